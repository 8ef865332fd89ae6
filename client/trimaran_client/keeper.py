"""`Keeper`: the outbox's copy on disk. A message is durable before it is queued; what has its answer is taken off.

Many messages at one moment cost one write; so do many answers.
"""

from collections.abc import Callable

import anyio
from anyio import lowlevel, to_thread

from trimaran_client.errors import ChatError
from trimaran_client.outbox import OutboxItem
from trimaran_client.storage import OutboxStore


class Keeper:
    """Calls the store in a worker thread, one call at a time."""

    def __init__(self, store: OutboxStore, queue: Callable[[OutboxItem], None]) -> None:
        """`queue` takes a message that is durable now."""
        self._store = store
        self._queue = queue
        self._disk = anyio.Lock()
        # What waits for the disk: whoever gets it next writes everything, in the order of the calls.
        self._waiting: dict[str, OutboxItem] = {}
        self._failed: dict[str, ChatError] = {}
        self._done: list[str] = []
        self._owner: str | None = None
        self._has_work = anyio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    async def keep(self, item: OutboxItem) -> None:
        """Makes the message durable and queues it. Cancelled before that, it is not sent.

        Raises:
            OutboxBroken: it cannot be written.
        """
        if not self._store.is_durable:
            await lowlevel.checkpoint()
            self._queue(item)
            return
        self._waiting[item.client_id] = item
        try:
            async with self._disk:
                if item.client_id in self._waiting:
                    await self._write_all()
            if item.client_id in self._failed:
                raise self._failed[item.client_id]
        finally:
            self._waiting.pop(item.client_id, None)
            self._failed.pop(item.client_id, None)

    async def _write_all(self) -> None:
        items = list(self._waiting.values())
        try:
            # What was written must also be queued, cancelled or not.
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(self._store.add, items)
        except ChatError as error:
            self._failed |= {item.client_id: error for item in items if item.client_id in self._waiting}
        else:
            for item in items:
                self._queue(item)
        for item in items:
            self._waiting.pop(item.client_id, None)

    def done(self, client_id: str) -> None:
        """This message has its answer."""
        if self._store.is_durable:
            self._done.append(client_id)
            self._has_work.set()

    def belongs_to(self, user: str) -> None:
        """The messages are this user's, and must never be sent by another."""
        if self._store.is_durable and self._owner != user:
            self._owner = user
            self._has_work.set()

    async def run(self) -> None:
        """Clears the disk as answers come."""
        while True:
            await self._has_work.wait()
            self._has_work = anyio.Event()
            await self.clear()

    async def clear(self) -> None:
        """Clears the disk of what has its answer."""
        async with self._disk:
            done, self._done = self._done, []
            try:
                with anyio.CancelScope(shield=True):
                    await to_thread.run_sync(self._clear, self._owner, done)
            except ChatError:
                # They are sent once more by the next run, and acknowledged as duplicates.
                pass

    def _clear(self, owner: str | None, done: list[str]) -> None:
        if owner is not None:
            self._store.set_owner(owner)
        if done:
            self._store.remove(done)

    async def close(self) -> None:
        """The last clearing; the store is free afterwards."""
        if self._store.is_durable:
            await self.clear()
            await to_thread.run_sync(self._store.close)
