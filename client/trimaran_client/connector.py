"""`Connector`: makes one connection after the other, and moves frames between it and the state, which decides.

One supervisor; a reader and a writer per connection; one task that renews the token. Between two awaits the state is
consistent, and after each change of it `on_change` hands out what came of it.
"""

from collections.abc import Callable
from math import inf
from urllib.parse import urlsplit

import anyio
from anyio.abc import TaskGroup, TaskStatus

from trimaran_client import limits
from trimaran_client.backoff import NORMAL, Again, Over
from trimaran_client.clock import Clock
from trimaran_client.errors import ApiError, ChatClosed, ChatError, DialFailed, TransportClosed, Unreachable
from trimaran_client.rest import socket_address
from trimaran_client.state import ClientState
from trimaran_client.tokens import Tokens
from trimaran_client.transport import Dial, Transport


class Link:
    """One connection, from its hello to its end."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.scope = anyio.CancelScope()
        self.attention = anyio.Event()
        """Set when the supervisor has something to do: it ended, or the server wants the client elsewhere."""
        self.is_over = False
        self.code: int | None = None
        self.reason = ""

    def end(self, code: int | None, reason: str) -> None:
        """Nothing more is read or written. Only the first end counts."""
        if not self.is_over:
            self.is_over, self.code, self.reason = True, code, reason
            self.scope.cancel()
            self.attention.set()


class Connector:
    """Keeps the client connected."""

    def __init__(
        self, url: str, tokens: Tokens, state: ClientState, dial: Dial, clock: Clock, on_change: Callable[[], None]
    ) -> None:
        self.is_closing = False
        """Set by the user's end of the chat: the connection then ends with `bye`."""
        self._url = socket_address(url)
        self._tokens = tokens
        self._state = state
        self._dial = dial
        self._clock = clock
        self._on_change = on_change
        self._token = ""
        self._link: Link | None = None
        # Whoever waits puts a new event in place first.
        self._work = anyio.Event()
        self._room = anyio.Event()
        self._writer_due_s = -inf
        self._has_paused_in_vain = False

    def poke(self) -> None:
        """Something changed: wakes the reader and the writer if there is work for them."""
        if self._state.is_paused and not self._state.may_pause:
            self._room.set()
        if self._writer_due_s > -inf and self._state.next_timer_s(self._clock.now_s()) < self._writer_due_s:
            self._work.set()

    # --- connections, one after the other ---

    async def run(self, tasks: TaskGroup) -> ChatError:
        """Connects until that makes no sense any more, and says why."""
        url, refresh_first = self._url, False
        while True:
            plan, url = await self._connect(tasks, url, refresh_first)
            if isinstance(plan, Over):
                return self._state.fatal or ChatClosed(plan.code, plan.reason)
            refresh_first = plan.refresh_first
            await anyio.sleep(plan.delay_s)

    async def _connect(self, tasks: TaskGroup, url: str, refresh_first: bool) -> tuple[Again | Over, str]:
        """One connection, from dialling to its end: what to do next, and where."""
        try:
            self._token = await self._tokens.fresh(force=refresh_first)
            link: Link = await tasks.start(self._hold, url)
        except ApiError as error:
            return self._state.on_dial_failed(error.status, str(error), error.retry_after_s), self._url
        except Unreachable as error:
            return self._state.on_dial_failed(None, str(error), None), self._url
        except DialFailed as error:
            # A node that the client was moved to may be gone: the first address always knows where to go.
            status = error.status if url == self._url else None
            return self._state.on_dial_failed(status, error.reason, error.retry_after_s), self._url
        while not link.is_over:
            await link.attention.wait()
            if self._state.moved is not None and not link.is_over:
                link, url = await self._move(tasks, link, url)
        plan = self._state.on_disconnected(link.code, link.reason, self._clock.now_s())
        self._on_change()
        return (Over(NORMAL, "") if self._state.fatal else plan), url

    async def _move(self, tasks: TaskGroup, link: Link, url: str) -> tuple[Link, str]:
        """The server said `moved`: connect there first; `_hold` ends the old connection once the new one is open."""
        moved, self._state.moved = self._state.moved, None
        link.attention = anyio.Event()
        assert moved is not None
        # The token goes there too: never from an encrypted connection to one that is not.
        if urlsplit(moved.url).scheme not in {"wss", urlsplit(self._url).scheme}:
            return link, url
        try:
            return await tasks.start(self._hold, moved.url), moved.url
        except DialFailed:
            # The old one serves until the server closes it.
            return link, url

    async def _hold(self, url: str, *, task_status: TaskStatus[Link]) -> None:
        """One open connection; it takes the place of an earlier one."""
        async with self._dial(url) as transport:
            link = Link(transport)
            old, self._link = self._link, link
            if old is not None:
                old.end(None, "replaced")
            self._state.on_connected(self._token, self._clock.now_s())
            task_status.started(link)
            try:
                with link.scope:
                    async with anyio.create_task_group() as tasks:
                        tasks.start_soon(self._read, link)
                        tasks.start_soon(self._write, link)
            finally:
                with anyio.move_on_after(limits.CLOSE_S, shield=True):
                    await self._say_goodbye(link)

    async def _say_goodbye(self, link: Link) -> None:
        if self.is_closing and link is self._link and not link.is_over:
            self._state.say_bye()
            try:
                for frame in self._state.take_frames(self._clock.now_s()):
                    await link.transport.send(frame)
            except TransportClosed:
                return
        await link.transport.close(NORMAL)

    # --- one connection ---

    async def _read(self, link: Link) -> None:
        try:
            while True:
                await self._wait_for_room()
                data = await link.transport.receive()
                if link is not self._link:
                    return
                self._state.on_text(data, self._clock.now_s())
                self._on_change()
                if self._state.fatal is not None:
                    link.end(None, "must not go on")
                elif self._state.moved is not None:
                    link.attention.set()
        except TransportClosed as closed:
            link.end(closed.code, closed.reason)

    async def _wait_for_room(self) -> None:
        """Leaves the socket unread while the application is slow and waits for nothing from it.

        Not for longer than a heartbeat, or the server would take this client for dead: then the socket is read again,
        and the entries that find no room stay in the server's log until there is some.
        """
        if not self._state.may_pause:
            self._has_paused_in_vain = False
            return
        if self._has_paused_in_vain:
            return
        self._state.pause()
        with anyio.move_on_after(limits.HEARTBEAT_S) as scope:
            while self._state.may_pause:
                self._room = anyio.Event()
                await self._room.wait()
        self._has_paused_in_vain = scope.cancelled_caught
        self._state.resume(self._clock.now_s())
        self.poke()

    async def _write(self, link: Link) -> None:
        try:
            while True:
                now_s = self._clock.now_s()
                if not self._state.on_timer(now_s):
                    link.end(None, "silence")
                frames = self._state.take_frames(now_s)
                self._on_change()
                for frame in frames:
                    with anyio.fail_after(limits.WRITE_S):
                        await link.transport.send(frame)
                if not frames:
                    await self._wait_for_work(now_s)
        except TransportClosed as closed:
            link.end(closed.code, closed.reason)
        except TimeoutError:
            link.end(None, "the server does not read")

    async def _wait_for_work(self, now_s: float) -> None:
        self._work = anyio.Event()
        self._writer_due_s = self._state.next_timer_s(now_s)
        try:
            with anyio.move_on_after(self._writer_due_s - now_s):
                await self._work.wait()
        finally:
            # Until it waits again nobody need wake it: it looks for work before it does.
            self._writer_due_s = -inf

    # --- the token ---

    async def renew(self) -> None:
        """Shows the live connection a new token before the old one ends."""
        attempt = 0
        while (delay_s := self._tokens.renew_in_s()) is not None:
            await anyio.sleep(max(delay_s, min(limits.BACKOFF_FIRST_S * 2.0**attempt, limits.BACKOFF_MAX_S)))
            try:
                token = await self._tokens.fresh()
            except ApiError as error:
                if error.status == 401:
                    # The connection lives until its token ends; then the supervisor meets the same answer.
                    return
                attempt += 1
            except Unreachable:
                attempt += 1
            else:
                attempt = 0
                if token != self._token:
                    self._token = token
                    self._state.renew(token, self._clock.now_s())
                    self.poke()
