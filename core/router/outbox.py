"""What waits to be sent to one connection: whole frames, counted, flushed once per turn by the reactor.

The router pushes; the reactor empties. Neither ever waits: a client that does not read is seen here (`is_above_high`), its entries are then
no longer queued but pulled later, and its socket is not read. Frames are shared between outboxes and never copied here.
"""

from typing import Any, Final, NamedTuple

from core.base.limits import OUTBOX_LOW_PART


class Closing(NamedTuple):
    """What the Close frame will say."""

    code: int
    reason: str


class OutboxStatistics(NamedTuple):
    """How much of one outbox waits."""

    frames: int
    bytes: int
    is_above_high: bool


class Outbox:
    """The frames for one connection.

    `dirty` is shared by all outboxes of a reactor: who has something new to send is in it once. `owner` is what the reactor needs to find
    the socket again; it means nothing to others. `wants_drain` asks for `on_drained` at each flush that leaves less than the low mark, not
    only after the high mark was passed.
    """

    __slots__ = ("_dirty", "chunks", "closing", "high_bytes", "is_dirty", "owner", "size", "wants_drain")

    def __init__(self, dirty: "list[Outbox]", high_bytes: int, owner: Any = None) -> None:
        self._dirty: Final = dirty
        self.owner = owner
        self.high_bytes: Final = high_bytes
        self.chunks: list[bytes | memoryview] = []
        self.size = 0
        self.closing: Closing | None = None
        self.is_dirty = False  # in `dirty`, or waiting for its socket: needs no entry there
        self.wants_drain = False

    def push(self, frame: bytes) -> None:
        """Queue a whole frame; once closing, nothing more."""
        if self.closing is not None:
            return
        self.chunks.append(frame)
        self.size += len(frame)
        if not self.is_dirty:
            self.is_dirty = True
            self._dirty.append(self)

    def close(self, code: int, reason: str = "") -> None:
        """Have what is queued sent, then a Close frame, then the connection ended; only the first call counts.

        The session's `on_closed` comes later, from the reactor.
        """
        if self.closing is not None:
            return
        self.closing = Closing(code, reason)
        # Also while it waits for its socket: the session is to be told now, not when a slow client takes its next bytes.
        self.is_dirty = True
        self._dirty.append(self)

    @property
    def is_above_high(self) -> bool:
        """Whether the client is too slow to be given more than it must get."""
        return self.size > self.high_bytes

    @property
    def low_bytes(self) -> int:
        """Below this a slow client counts as drained."""
        return self.high_bytes // OUTBOX_LOW_PART

    def statistics(self) -> OutboxStatistics:
        """How much waits now."""
        return OutboxStatistics(len(self.chunks), self.size, self.is_above_high)
