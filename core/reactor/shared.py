"""What all sockets of one reactor share: who they are, who has output, who waits for what, and what is counted.

Waits of one length need no timers: a dict keeps its keys in the order of insertion, so the longest waiting is the first one
(`clocked.py` looks at it once a second). Connections hold one reference to this and nothing else in common.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Protocol

from core.base.limits import Limits
from core.base.timers import TimerWheel
from core.reactor.application import Application, OnBinary, OnError
from core.reactor.poller import Poller
from core.router.outbox import Outbox

if TYPE_CHECKING:  # they import this module
    from core.reactor.connection import Connection
    from core.reactor.half_open import HalfOpen
    from core.reactor.lingering import Lingering

logger: Final = logging.getLogger("trimaran.reactor")


class Handler(Protocol):
    """What stands behind a descriptor."""

    def on_ready(self, mask: int) -> None:
        """The descriptor is ready for what `mask` says."""

    def fail(self, where: str, error: Exception) -> None:
        """An exception came out of a call about this descriptor."""

    def abort(self) -> None:
        """Close the descriptor, now."""


@dataclass(slots=True)
class Counts:
    """What happened since the start. Counted per read, send or connection, never per frame."""

    accepted: int = 0
    evicted: int = 0  # half-open ones that made room for newer ones
    refused: int = 0
    upgraded: int = 0
    handed_over: int = 0
    turns: int = 0
    reads: int = 0
    sends: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    blocks: int = 0  # times that a socket took less than there was
    errors: int = 0


@dataclass(frozen=True, slots=True)
class ReactorStatistics:
    """The counts so far, and how things stand now."""

    counts: Counts
    connections: int
    half_open: int
    closing: int
    lingering: int
    blocked: int
    dirty: int


class Shared:
    """One per reactor."""

    __slots__ = (
        "application",
        "blocked",
        "closing",
        "connections",
        "counts",
        "dirty",
        "half_open",
        "handlers",
        "heartbeats",
        "limits",
        "lingering",
        "now_s",
        "on_binary",
        "on_error",
        "poller",
    )

    def __init__(
        self,
        application: Application[Any],
        limits: Limits,
        now_s: float,
        on_binary: OnBinary | None,
        on_error: OnError | None,
    ) -> None:
        self.application: Final = application
        self.limits: Final = limits
        self.on_binary: Final = on_binary
        self.on_error: Final = on_error
        self.poller: Final = Poller()
        self.handlers: Final[dict[int, Handler]] = {}
        self.dirty: Final[list[Outbox]] = []
        self.now_s = now_s  # of this turn
        self.heartbeats: Final[TimerWheel[Connection]] = TimerWheel(now_s)
        self.counts: Final = Counts()
        self.connections = 0
        # Each by insertion: since when it waits for the rest of its head, for progress, for the peer's Close, for the peer's end.
        self.half_open: Final[dict[HalfOpen, float]] = {}
        self.blocked: Final[dict[Connection, float]] = {}
        self.closing: Final[dict[Connection, float]] = {}
        self.lingering: Final[dict[Lingering, float]] = {}

    def report(self, where: str, error: Exception) -> None:
        """Count an exception that came out of the application, and tell whoever wants to know."""
        self.counts.errors += 1
        if self.on_error is not None:
            self.on_error(where, error)
        else:
            logger.error("application_failed where=%s", where, exc_info=error)

    def statistics(self) -> ReactorStatistics:
        """The counts, and how things stand now."""
        return ReactorStatistics(
            counts=replace(self.counts),
            connections=self.connections,
            half_open=len(self.half_open),
            closing=len(self.closing),
            lingering=len(self.lingering),
            blocked=len(self.blocked),
            dirty=len(self.dirty),
        )


def overdue(waiting: dict[Any, float], before_s: float) -> Iterable[Any]:
    """Those that wait since `before_s` or longer, from a dict in the order of time; a list, so that they may leave meanwhile."""
    found = []
    for waiter, since_s in waiting.items():
        if since_s > before_s:
            break
        found.append(waiter)
    return found
