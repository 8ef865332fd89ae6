"""Port of the last_seen service's store: when each user was active last."""

from collections.abc import Sequence
from typing import Protocol

from core.base.ids import UserId


class LastSeenStore(Protocol):
    """Times of last activity; they only grow."""

    async def note(self, times: Sequence[tuple[UserId, int]]) -> None:
        """Merge (user, milliseconds since 1970) by max."""

    async def last(self, users: Sequence[UserId]) -> list[int]:
        """When each was active last, in the order asked; 0 where it is not known."""
