"""`since`: what a client was told at its last hello, as digests of its conversations, so that the same need not be told again.

The token is stateless and belongs to nobody: a set of 56-bit digests, one for each conversation as it was told. A conversation whose digest is
in it has not changed; one that is missing, or a token that is not understood, costs bytes only.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

_BYTES: Final = 7


def digest(told: bytes) -> bytes:
    """The digest of a conversation as it is told."""
    return blake2b(told, digest_size=_BYTES).digest()


def make(digests: Iterable[bytes]) -> str:
    """The token for conversations with these digests."""
    return urlsafe_b64encode(b"".join(digests)).decode()


def known(since: str | None) -> frozenset[bytes]:
    """The digests in a token; none where it is not one of ours."""
    if not since:
        return frozenset()
    try:
        packed = urlsafe_b64decode(since.encode("ascii"))
    except ValueError:
        return frozenset()
    if len(packed) % _BYTES:
        return frozenset()
    return frozenset(packed[at : at + _BYTES] for at in range(0, len(packed), _BYTES))
