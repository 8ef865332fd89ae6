"""Time and ids: the only module of the client that reads a clock.

Everything else takes the time as an argument or a `Clock`, and random numbers from a `random.Random`, so that a
simulation can drive the very same code.
"""

import random
import time
import uuid
from typing import Protocol

import anyio


class Clock(Protocol):
    """What time it is."""

    def now_s(self) -> float:
        """Seconds that only grow, for deadlines; the origin means nothing."""
        ...

    def time_ms(self) -> int:
        """Milliseconds since 1970. Orders nothing: it goes into ids and into the judgement whether a token is old."""
        ...


class SystemClock:
    """The clock of the running event loop, and the machine's calendar."""

    def now_s(self) -> float:
        return anyio.current_time()

    def time_ms(self) -> int:
        return time.time_ns() // 1_000_000


class ClientIds:
    """UUIDv7 (RFC 9562, section 5.7) that only rise, also within one millisecond and when the calendar goes back."""

    def __init__(self, clock: Clock, rng: random.Random) -> None:
        self._clock = clock
        self._rng = rng
        self._last_ms = 0
        self._count = 0

    def next(self) -> str:
        """A new id, as lower-case text."""
        now_ms = self._clock.time_ms()
        if now_ms > self._last_ms:
            self._last_ms = now_ms
            # Method 1 of section 6.2: a counter in rand_a; it starts in the lower half, so that there is room to count.
            self._count = self._rng.getrandbits(11)
        else:
            self._count += 1
            if self._count >> 12:
                self._last_ms += 1
                self._count = self._rng.getrandbits(11)
        number = (
            (self._last_ms & (1 << 48) - 1) << 80 | 7 << 76 | self._count << 64 | 2 << 62 | self._rng.getrandbits(62)
        )
        return str(uuid.UUID(int=number))
