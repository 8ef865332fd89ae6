"""The client keeps to the server's rates, so that it is never refused for being fast."""

from collections.abc import Mapping
from math import inf
from typing import Any

from trimaran_client import limits
from trimaran_client.limits import RATE_SHARE


class TokenBucket:
    """`rate_per_s` tokens a second, at most `burst` at once; a rate of 0 is no limit."""

    def __init__(self, rate_per_s: float, burst: float) -> None:
        self._rate_per_s = rate_per_s * RATE_SHARE
        self._burst = max(burst * RATE_SHARE, 1.0)
        self._tokens = self._burst
        self._at_s = -inf

    def take(self, now_s: float) -> bool:
        """Takes a token if there is one."""
        if self._rate_per_s <= 0:
            return True
        self._refill(now_s)
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def next_s(self, now_s: float) -> float:
        """When there will be a token."""
        if self._rate_per_s <= 0:
            return now_s
        self._refill(now_s)
        missing = 1.0 - self._tokens
        # A hair later than computed, since a sum of fractions may stay just below the whole token.
        return now_s if missing <= 0 else now_s + missing / self._rate_per_s + 1e-6

    def _refill(self, now_s: float) -> None:
        if now_s > self._at_s:
            self._tokens = min(self._burst, self._tokens + (now_s - self._at_s) * self._rate_per_s)
            self._at_s = now_s


class Rates:
    """What the server allows: from `welcome.limits`, with the protocol's defaults until then."""

    def __init__(self) -> None:
        self.frame_bytes = limits.FRAME_BYTES
        self.body_bytes = inf
        self.sends = TokenBucket(limits.SENDS_PER_S, limits.SENDS_BURST)
        self.frames = TokenBucket(limits.FRAMES_PER_S, limits.FRAMES_BURST)
        self._announced: Mapping[str, Any] = {}

    def use(self, announced: Mapping[str, Any]) -> None:
        """Takes what a welcome announces; the buckets stay as full as they are if nothing changed."""
        # The server's bucket for sends is the device's, not the connection's: a new connection does not fill it.
        if announced == self._announced:
            return
        self._announced = announced

        def limit(name: str, default: float) -> float:
            value = announced.get(name, default)
            return value if isinstance(value, int | float) and value >= 0 else default

        self.frame_bytes = int(limit("frame_bytes", limits.FRAME_BYTES))
        self.body_bytes = limit("body_bytes", inf)
        self.sends = TokenBucket(limit("sends_per_s", limits.SENDS_PER_S), limit("sends_burst", limits.SENDS_BURST))
        self.frames = TokenBucket(
            limit("frames_per_s", limits.FRAMES_PER_S), limit("frames_burst", limits.FRAMES_BURST)
        )
