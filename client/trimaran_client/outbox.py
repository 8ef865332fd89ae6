"""The outbox: what was sent and is not acknowledged. Pure; `storage` keeps a copy on disk.

Rules: the messages of a conversation are transmitted in the order they were put in, one unacknowledged at a time, so
that one that is refused is never overtaken by the next. A message keeps its `client_id` and its bytes through every
retry, and each transmission after the first says `retry`. It leaves by its acknowledgement, or by an error that would
come again.
"""

from collections import deque

import msgspec

from trimaran_client.due import DueSet
from trimaran_client.errors import OutboxFull
from trimaran_client.limits import ATTEMPTS_MAX, OUTBOX_ITEMS_MAX

TRANSIENT = frozenset({"unavailable", "rate_limited"})
"""Codes after which the same message is tried for as long as it takes."""

DOUBTFUL = frozenset({"internal", "unauthenticated"})
"""Codes that may pass (a fault, a token that ran out): tried ATTEMPTS_MAX times."""


class OutboxItem(msgspec.Struct, kw_only=True):
    """A message that waits for its acknowledgement; `conversation` or `to`, and the body's bytes as they are sent."""

    client_id: str
    conversation: str | None = None
    to: str | None = None
    kind: str = "text"
    body: msgspec.Raw
    ref: int | None = None
    was_sent: bool = False
    """Whether it was given to a socket, or may have been by an earlier run of the program: the next time is a retry."""
    attempts: int = 0


def direct_conversation(user: str, other: str) -> str:
    """The id of the conversation of two users; of one with itself: the notes."""
    return "d:{}:{}".format(*sorted((user, other)))


class Outbox:
    """Queues of messages, one per conversation, each with at most one in flight."""

    def __init__(self, user: str | None = None) -> None:
        self._user = user
        self._items: dict[str, OutboxItem] = {}
        self._queues: dict[str, deque[OutboxItem]] = {}
        self._in_flight: dict[str, str] = {}
        # Conversations whose first message may be transmitted, and when; one in flight is not in it.
        self._ready: DueSet[str] = DueSet()

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, client_id: str) -> bool:
        return client_id in self._items

    def set_user(self, user: str) -> None:
        """Who sends. Only now a message `to` somebody and one in their conversation are known to share a queue."""
        if user == self._user:
            return
        assert not self._in_flight, "the user is learned before anything is transmitted"
        self._user = user
        items, self._items = self._items, {}
        self._queues.clear()
        self._ready.clear()
        for item in items.values():
            self.put(item)

    def put(self, item: OutboxItem) -> None:
        """Takes a message.

        Raises:
            OutboxFull: too many wait.
        """
        assert item.client_id not in self._items
        if len(self._items) >= OUTBOX_ITEMS_MAX:
            raise OutboxFull(f"{OUTBOX_ITEMS_MAX} messages wait to be acknowledged")
        self._items[item.client_id] = item
        key = self._key(item)
        queue = self._queues.setdefault(key, deque())
        queue.append(item)
        if len(queue) == 1:
            self._ready.put(key, float("-inf"))

    def next_s(self) -> float:
        """When the next message may be transmitted; infinity if none."""
        return self._ready.next_s()

    def pop_ready(self, now_s: float) -> OutboxItem | None:
        """The next message to transmit; from now on it is in flight. `was_sent` says whether this is a retry."""
        key = self._ready.pop(now_s)
        if key is None:
            return None
        item = self._queues[key][0]
        assert key not in self._in_flight
        self._in_flight[key] = item.client_id
        return item

    def on_transmitted(self, item: OutboxItem) -> None:
        """It goes to the socket; whether it arrives is open."""
        item.was_sent = True
        item.attempts += 1

    def on_acked(self, client_id: str) -> OutboxItem | None:
        """It is durable. None if it is not here: an acknowledgement may come twice."""
        return self._remove(client_id)

    def on_refused(self, client_id: str, code: str, retry_at_s: float) -> OutboxItem | None:
        """It was answered with an error: to be tried again at that time, or given up; the item is then returned."""
        item = self._items.get(client_id)
        if item is None:
            return None
        if code not in TRANSIENT and not (code in DOUBTFUL and item.attempts < ATTEMPTS_MAX):
            return self._remove(client_id)
        key = self._key(item)
        if self._in_flight.get(key) == client_id:
            del self._in_flight[key]
            self._ready.put(key, retry_at_s)
        return None

    def on_disconnected(self) -> None:
        """What was in flight is transmitted again on the next connection; delays end with this one."""
        self._in_flight.clear()
        for key in self._queues:
            self._ready.put(key, float("-inf"))

    def _key(self, item: OutboxItem) -> str:
        if item.conversation is not None:
            return item.conversation
        assert item.to is not None
        return direct_conversation(self._user, item.to) if self._user else f"to:{item.to}"

    def _remove(self, client_id: str) -> OutboxItem | None:
        item = self._items.pop(client_id, None)
        if item is None:
            return None
        key = self._key(item)
        queue = self._queues[key]
        if queue[0] is not item:
            # Only the first was ever transmitted; an answer for a later one is the server's fault, and harmless.
            queue.remove(item)
            return item
        queue.popleft()
        self._in_flight.pop(key, None)
        if queue:
            self._ready.put(key, float("-inf"))
        else:
            del self._queues[key]
            self._ready.discard(key)
        return item
