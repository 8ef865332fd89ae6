"""Refresh tokens: families in which each token is exchanged once for the next (RFC 9700, section 4.14.2). Pure.

A token is `<family>.<secret>`, two times 256 random bits. The family's half is the same in all its tokens; the store
keeps hashes of both, so whoever presents the right half with any other secret than the newest holds a token that was
exchanged before: somebody has stolen one, and the family ends. No list of old tokens is needed, and no stranger can
end a family.

A lost reply must not end it either. For REFRESH_RETRY_S the token before the newest is answered with *the same* newest
one, which is made of it and of a nonce that the store keeps: neither alone is enough to make it. So of two exchanges at
one instant comes one chain.
"""

import hmac
import re
from hashlib import sha256
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from core.base.errors import Rejected
from core.base.ids import IdSource
from core.base.limits import REFRESH_RETRY_S
from sidecars.ports.users import Family

_TOKEN: Final = re.compile(r"([0-9a-f]{64})\.([0-9a-f]{64})", re.ASCII)


class Exchanged(Struct, frozen=True):
    """The token was the newest: `token` is the next, once `family` has replaced the stored one."""

    family: Family
    token: str


class Repeated(Struct, frozen=True):
    """The token was exchanged just now, perhaps without the client getting the answer: here it is again."""

    token: str


class Reused(Struct, frozen=True):
    """The token was exchanged before: the family ends."""


class Expired(Struct, frozen=True):
    """The newest token's time is over."""


class Presented(Struct, frozen=True):
    """A token that a client shows."""

    family: str
    secret: str

    @property
    def family_hash(self) -> str:
        """What the family is looked up by."""
        return _hash(self.family)


def start(ids: IdSource, now_ms: int, lifetime_s: int) -> Exchanged:
    """A new family with its first token."""
    family, secret = ids.secret(), ids.secret()
    stored = Family(_hash(family), _hash(secret), "", "", now_ms, now_ms + lifetime_s * 1_000)
    return Exchanged(stored, f"{family}.{secret}")


def parse(token: str) -> Presented:
    """The halves of a token. Raises: Rejected (unauthenticated) for anything else."""
    parts = _TOKEN.fullmatch(token)
    if parts is None:
        raise refusal()
    return Presented(parts[1], parts[2])


def exchange(
    stored: Family, presented: Presented, ids: IdSource, now_ms: int, lifetime_s: int
) -> Exchanged | Repeated | Reused | Expired:
    """What to do for a token of the family `stored`."""
    assert stored.family_hash == presented.family_hash
    given = _hash(presented.secret)
    if hmac.compare_digest(given, stored.current_hash):
        if stored.expires_ms <= now_ms:
            return Expired()
        nonce = ids.secret()
        secret = _next(presented.secret, nonce)
        family = replace(
            stored,
            current_hash=_hash(secret),
            previous_hash=given,
            nonce=nonce,
            rotated_ms=now_ms,
            expires_ms=now_ms + lifetime_s * 1_000,
        )
        return Exchanged(family, f"{presented.family}.{secret}")
    if hmac.compare_digest(given, stored.previous_hash) and now_ms - stored.rotated_ms <= REFRESH_RETRY_S * 1_000:
        return Repeated(f"{presented.family}.{_next(presented.secret, stored.nonce)}")
    return Reused()


def refusal() -> Rejected:
    """The one answer for a token that is none, unknown, over, used or revoked."""
    return Rejected("unauthenticated", "the refresh token is not valid: log in again")


def _hash(secret: str) -> str:
    # 256 random bits need no slow hash.
    return sha256(secret.encode("ascii")).hexdigest()


def _next(secret: str, nonce: str) -> str:
    return hmac.new(secret.encode("ascii"), nonce.encode("ascii"), sha256).hexdigest()
