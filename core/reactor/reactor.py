"""The loop: all that is ready is read and decided, then all that is to be said is sent; then everybody else gets a turn.

A turn is synchronous: no await, no task switch and no queue between reading a frame and flushing its consequences. One Trio task runs it,
for any number of connections. What one turn does is bounded (events, accepts, calls, sends); what is over the bound goes on in the next, in
order.
"""

import socket
from collections.abc import Iterable
from typing import Any, Final

import trio

from core.base.clock import Clock
from core.base.errors import Close
from core.base.limits import DRAIN_S, INBOX_CALLS_PER_TURN, SENDS_PER_TURN, Limits
from core.reactor.application import Application, HandOver, OnBinary, OnError
from core.reactor.clocked import look_at_clock
from core.reactor.connection import Connection
from core.reactor.half_open import Doors
from core.reactor.listener import Listener
from core.reactor.poller import protected
from core.reactor.shared import ReactorStatistics, Shared
from core.router.inbox import Inbox

TICK_S: Final = 1.0
WAIT_S: Final = TICK_S / 4
"""The longest wait, which makes a tick late by so much at most."""


class Reactor:
    """Build it, then `run` it, once. All methods are for the Trio thread."""

    def __init__(
        self,
        listeners: Iterable[socket.socket],
        application: Application[Any],
        hand_over: HandOver,
        *,
        clock: Clock,
        limits: Limits,
        inbox: Inbox,
        websocket_paths: frozenset[str],
        on_binary: OnBinary | None = None,
        on_error: OnError | None = None,
    ) -> None:
        """Listening sockets come from `listen` and are closed by `run`.

        `on_binary` makes binary messages something that is taken instead of closed with 1003; only a conformance test wants that.
        `on_error` gets what comes out of the application instead of the log.
        """
        self._clock: Final = clock
        self._application: Final = application
        self._inbox: Final = inbox
        self._shared: Final = Shared(application, limits, clock.monotonic_s(), on_binary, on_error)
        doors = Doors(websocket_paths, hand_over)
        self._listeners: Final = [Listener(sock, doors, self._shared) for sock in listeners]
        self._next_tick_s = self._shared.now_s + TICK_S
        self._closing: tuple[int, str] | None = None
        self._deadline_s = 0.0  # of the drain

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until `stop` has drained, or until cancelled; then every socket is closed and every session told."""
        shared = self._shared
        self._inbox.on_wake = shared.poller.wake
        for listener in self._listeners:
            listener.start()
        task_status.started()
        try:
            while not self._is_drained():
                # One cancel scope for many turns: a scope for each would cost as much as the checkpoint.
                with trio.move_on_after(WAIT_S):
                    while not self._is_drained():
                        is_busy = bool(shared.dirty) or len(self._inbox) > 0
                        self._turn(await shared.poller.wait(is_busy))
                        if self._clock.monotonic_s() >= self._next_tick_s:
                            break
                self._tick_if_due()
        finally:
            self._end()

    def wake(self) -> None:
        """Have a turn run soon although nothing is ready."""
        self._shared.poller.wake()

    def stop(self, close_code: int = Close.DRAINING, reason: str = "draining") -> None:
        """Accept no more, close every connection with `close_code`, and end `run` when all are gone, after DRAIN_S at the latest."""
        if self._closing is None:
            self._closing = (close_code, reason)
            self._deadline_s = self._clock.monotonic_s() + DRAIN_S
            for listener in self._listeners:
                listener.abort()
            for handler in list(self._shared.handlers.values()):
                if isinstance(handler, Connection):
                    handler.outbox.close(close_code, reason)
            for half_open in list(self._shared.half_open):
                half_open.abort()
            self.wake()

    def statistics(self) -> ReactorStatistics:
        """The counts, and how things stand now."""
        return self._shared.statistics()

    # ---- a turn

    @protected
    def _turn(self, events: list[tuple[int, int]]) -> None:
        shared = self._shared
        shared.now_s = self._clock.monotonic_s()
        shared.counts.turns += 1
        handlers = shared.handlers
        for descriptor, mask in events:
            handler = handlers.get(descriptor)
            if handler is None:  # closed earlier in this turn, or a wake-up call
                shared.poller.is_wake(descriptor)
                continue
            try:
                handler.on_ready(mask)
            except Exception as error:  # noqa: BLE001  (the top of whatever one socket brings about)
                handler.fail("on_ready", error)
        if len(self._inbox):
            for call in self._inbox.take(INBOX_CALLS_PER_TURN):
                self._guarded("inbox", call)
        self._end_turn()

    @protected
    def _tick_if_due(self) -> None:
        shared = self._shared
        shared.now_s = now_s = self._clock.monotonic_s()
        if now_s < self._next_tick_s:
            return
        self._next_tick_s = now_s + TICK_S
        for listener in self._listeners:
            listener.resume()
        look_at_clock(shared)
        self._guarded("on_tick", lambda: self._application.on_tick(now_s))
        self._end_turn()

    def _end_turn(self) -> None:
        self._guarded("end_turn", self._application.end_turn)
        self._flush()

    def _flush(self) -> None:
        """Send for everyone who has something to be sent, once; a large fan-out goes on in the next turn, in order."""
        dirty = self._shared.dirty
        batch = dirty[:SENDS_PER_TURN]
        del dirty[: len(batch)]
        for outbox in batch:
            connection = outbox.owner
            if connection is None:  # gone since
                continue
            try:
                connection.flush()
            except Exception as error:  # noqa: BLE001  (the top of whatever one socket brings about)
                connection.fail("flush", error)

    def _guarded(self, where: str, call: Any) -> None:
        try:
            call()
        except Exception as error:  # noqa: BLE001  (the top of a call that is about no single connection)
            self._shared.report(where, error)

    # ---- the end

    def _is_drained(self) -> bool:
        shared = self._shared
        if self._closing is None:
            return False
        is_empty = not shared.connections and not shared.lingering and not shared.dirty
        return is_empty or self._clock.monotonic_s() >= self._deadline_s

    @protected
    def _end(self) -> None:
        self._inbox.on_wake = None
        for listener in self._listeners:
            listener.abort()
        for handler in list(self._shared.handlers.values()):
            handler.abort()
        self._shared.poller.close()
