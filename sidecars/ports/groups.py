"""Port of the group service's store: the projection of the groups' logs, and invites."""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from core.base.ids import GroupId, UserId
from core.base.records import GroupState


class Invite(Struct, frozen=True, gc=False):
    """An invitation into a group, good until `expires_ms` for `uses_left` more people (-1: any number)."""

    code_hash: str
    group: GroupId
    by: UserId
    expires_ms: int
    uses_left: int


class GroupStore(Protocol):
    """Groups as of the seq of their log that the store stands at."""

    async def state(self, group: GroupId) -> GroupState | None:
        """A group; None if the projection has never seen it."""

    async def states(self, groups: Sequence[GroupId]) -> list[GroupState]:
        """Several groups, those that are known, in no particular order."""

    async def put(self, state: GroupState) -> None:
        """Replace a group's projection if `state.seq` is greater than the seq that it stands at; else nothing."""

    async def add_invite(self, invite: Invite) -> None:
        """Keep an invite."""

    async def take_invite(self, code_hash: str, now_ms: int) -> Invite | None:
        """Use an invite up by one, atomically; None if there is none, or it is over."""

    async def return_invite(self, code_hash: str) -> None:
        """Give a use back: the join was refused."""
