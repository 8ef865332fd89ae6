"""When to connect again: the close codes of the protocol, and full-jitter back-off. Pure.

Full jitter: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
"""

import random
from dataclasses import dataclass

from trimaran_client.limits import BACKOFF_FIRST_S, BACKOFF_MAX_S, STEADY_S

NORMAL = 1000
POLICY = 1008
TOKEN_EXPIRED = 4003
UNAUTHENTICATED = 4500
FORBIDDEN_CODES = range(4500, 4600)
"""The server says: do not connect again."""

# An answer to the handshake that the same handshake would get again. The others (408, 425, 429, 5xx) pass.
FINAL_STATUSES = frozenset({400, 401, 403, 404, 405, 410, 426})


@dataclass(frozen=True, slots=True)
class Again:
    """Connect again after `delay_s`; with a new token first where `refresh_first`."""

    delay_s: float
    refresh_first: bool = False


@dataclass(frozen=True, slots=True)
class Over:
    """Do not connect again."""

    code: int
    reason: str


def full_jitter_s(attempt: int, rng: random.Random) -> float:
    """The delay before the attempt with this number, counted from 0."""
    return rng.uniform(0.0, min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2.0 ** min(attempt, 32)))


class Reconnecting:
    """Counts the attempts in vain and decides after each end of a connection."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._attempt = 0
        self._synced_s: float | None = None

    def on_synced(self, now_s: float) -> None:
        """The connection works."""
        self._synced_s = now_s

    def on_closed(self, code: int | None, reason: str, now_s: float) -> Again | Over:
        """The connection ended; `code` is None when no Close frame came."""
        # Only one that lasted is a success: else a connection that dies of what we send would be made in a tight loop.
        if self._synced_s is not None and now_s - self._synced_s >= STEADY_S:
            self._attempt = 0
        self._synced_s = None
        if code is not None and code in FORBIDDEN_CODES:
            return Over(code, reason)
        return self._again(refresh_first=code == TOKEN_EXPIRED)

    def on_dial_failed(self, status: int | None, reason: str, retry_after_s: float | None) -> Again | Over:
        """No connection came about; `status` is the HTTP status of a refusal."""
        self._synced_s = None
        if status in FINAL_STATUSES:
            code = UNAUTHENTICATED if status == 401 else POLICY
            return Over(code, f"the server refused the handshake: HTTP {status} {reason}")
        return self._again(at_least_s=retry_after_s or 0.0)

    def _again(self, *, refresh_first: bool = False, at_least_s: float = 0.0) -> Again:
        delay_s = at_least_s + full_jitter_s(self._attempt, self._rng)
        self._attempt += 1
        return Again(delay_s, refresh_first)
