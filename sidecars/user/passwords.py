"""Passwords: their bounds, and argon2id (RFC 9106) in a bounded pool of threads.

Hashing is the one expensive thing that a stranger can ask for, so what is out of bounds never gets here, and what comes
above the pool's queue is told to come again. An account that does not exist costs the same as one that does.
"""

import unicodedata
from collections.abc import Callable
from functools import partial
from typing import Final, Literal, Protocol, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import HashingError, InvalidHashError, VerificationError, VerifyMismatchError

from core.base.errors import Rejected, Unavailable
from core.base.limits import PASSWORD_CHARS_MAX, PASSWORD_CHARS_MIN

T = TypeVar("T")

Cost = Literal["full", "test"]

_HASHERS: Final[dict[Cost, PasswordHasher]] = {
    # The minimum of OWASP's password storage cheat sheet: 19 MiB, two passes.
    "full": PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1),
    "test": PasswordHasher(time_cost=1, memory_cost=8, parallelism=1),
}


class Pool(Protocol):
    """Threads for work that computes: core/bridge/pool.py."""

    async def call(self, job: Callable[[], T]) -> T:
        """Have `job` done in a thread. Raises: Unavailable if too much waits."""


class Passwords:
    """Hashes and compares passwords. `cost` "test" protects nothing."""

    def __init__(self, pool: Pool, cost: Cost = "full") -> None:
        self._pool = pool
        self._hasher = _HASHERS[cost]
        hasher = self._hasher
        # Of no password: comparing with it takes what any comparison takes.
        self._nobodys = (
            f"$argon2id$v=19$m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}${'A' * 22}${'A' * 43}"
        )

    async def hash(self, password: str) -> str:
        """The hash to keep. A checkpoint. Raises: Rejected (bad_request) for a password out of bounds; Unavailable."""
        if len(password) < PASSWORD_CHARS_MIN:
            raise _out_of_bounds("password")
        return await self._pool.call(partial(_hash, self._hasher, _bytes_of(password)))

    async def matches(self, password: str, password_hash: str | None) -> bool:
        """Whether `password` is the one of a hash; None: there is no account, which takes as long.

        A checkpoint. Raises: Rejected (bad_request) for a password beyond the bound; Unavailable.
        """
        kept = self._nobodys if password_hash is None else password_hash
        return await self._pool.call(partial(_matches, self._hasher, kept, _bytes_of(password)))


def check_new(password: str, field: str = "password") -> None:
    """Refuse a new password that is out of bounds, before anything is done for it.

    Raises: Rejected (bad_request) naming `field`.
    """
    if len(password) < PASSWORD_CHARS_MIN:
        raise _out_of_bounds(field)
    check_length(password, field)


def check_length(password: str, field: str = "password") -> None:
    """Refuse what no password can be. Raises: Rejected (bad_request) naming `field`."""
    if len(password) > PASSWORD_CHARS_MAX:
        raise _out_of_bounds(field)


def _out_of_bounds(field: str) -> Rejected:
    expected = f"{PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters"
    return Rejected("bad_request", f"{field}: expected {expected}", field=field)


def _bytes_of(password: str) -> bytes:
    """What is hashed: the same, however the keyboard composes its letters."""
    check_length(password)
    # Lone surrogates are characters too, to those who have nothing else.
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")


def _hash(hasher: PasswordHasher, password: bytes) -> str:
    try:
        return hasher.hash(password)
    except HashingError as error:
        raise Unavailable("there is no memory to hash a password in") from error


def _matches(hasher: PasswordHasher, kept: str, password: bytes) -> bool:
    try:
        return hasher.verify(kept, password)
    except (VerifyMismatchError, InvalidHashError):
        return False
    except VerificationError as error:  # no memory, or a damaged hash
        raise Unavailable("the password could not be compared") from error
