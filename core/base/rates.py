"""Token buckets: the one mechanism behind every rate limit."""

from typing import Final


class TokenBucket:
    """`rate_per_s` tokens a second, at most `burst` saved up; a rate of 0 switches the limit off."""

    __slots__ = ("_at_s", "_burst", "_rate_per_s", "_tokens")

    def __init__(self, rate_per_s: float, burst: float, now_s: float) -> None:
        self._rate_per_s: Final = rate_per_s
        self._burst: Final = burst
        self._tokens = burst
        self._at_s = now_s

    def take(self, now_s: float) -> bool:
        """Take one token if there is one."""
        rate = self._rate_per_s
        if rate <= 0:
            return True
        tokens = self._tokens + (now_s - self._at_s) * rate
        self._at_s = now_s
        if tokens > self._burst:
            tokens = self._burst
        if tokens < 1.0:
            self._tokens = tokens
            return False
        self._tokens = tokens - 1.0
        return True

    def is_half_full(self, now_s: float) -> bool:
        """Whether half of the burst is saved up: whoever spent it has paused since."""
        saved = self._tokens + (now_s - self._at_s) * self._rate_per_s
        return self._rate_per_s <= 0 or 2 * saved >= self._burst

    def wait_s(self, now_s: float) -> float:
        """Seconds until `take` will succeed; 0 if it would now."""
        if self._rate_per_s <= 0:
            return 0.0
        tokens = min(self._burst, self._tokens + (now_s - self._at_s) * self._rate_per_s)
        return max(0.0, (1.0 - tokens) / self._rate_per_s)
