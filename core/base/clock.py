"""The only source of time. Nothing else in core or sidecars may ask the system what time it is.

Time orders nothing: `seq` does. It is used for deadlines (`monotonic_s`) and to be shown to people (`wall_ms`), so a test or a
simulation can put any clock here and a run is replayable.
"""

import time
from typing import Protocol


class Clock(Protocol):
    """What may be asked about time."""

    def monotonic_s(self) -> float:
        """Seconds since some fixed moment of this process; never goes back."""

    def wall_ms(self) -> int:
        """Milliseconds since 1970, as people and clients see them; may jump."""


class SystemClock:
    """The machine's clocks."""

    __slots__ = ()

    def monotonic_s(self) -> float:
        """Seconds of the machine's monotonic clock."""
        return time.monotonic()

    def wall_ms(self) -> int:
        """Milliseconds since 1970 by the machine's wall clock."""
        return time.time_ns() // 1_000_000


class ManualClock:
    """A clock that moves when it is told to: for tests and simulations."""

    __slots__ = ("_now_s", "_wall_offset_ms")

    def __init__(self, now_s: float = 1_000.0, wall_ms: int = 1_800_000_000_000) -> None:
        self._now_s = now_s
        self._wall_offset_ms = wall_ms - int(now_s * 1_000)

    def monotonic_s(self) -> float:
        """The seconds that were last set."""
        return self._now_s

    def wall_ms(self) -> int:
        """The wall clock that goes with `monotonic_s`."""
        return self._wall_offset_ms + int(self._now_s * 1_000)

    def advance(self, seconds: float) -> None:
        """Move both clocks forward by `seconds` (>= 0)."""
        assert seconds >= 0, seconds
        self._now_s += seconds
