"""What the router needs of the services, as Protocols that a service object (embedded) and an rpc client (cluster) both fulfil.

Every method is a checkpoint, takes and gives records of core/base, and raises only `TrimaranError`s: `Unavailable` where the service or
its store is away (nothing is known to be done), `Rejected` where the answer is no. Calls take batches where a message is concerned, so that
a turn of the router costs one call whatever it carries.
"""

from collections.abc import Sequence
from typing import Protocol

from core.base.ids import ClientId, ConversationId, DeviceId, GroupId, UserId
from core.base.records import (
    Append,
    Claimed,
    Entry,
    GroupState,
    Intent,
    Listed,
    Mark,
    Outcome,
    Page,
    PageQuery,
    Person,
    Presence,
    RowChange,
    SlotRow,
    Watched,
)


class LogService(Protocol):
    """The logs of direct conversations (message) or of groups (group_message)."""

    async def append(self, batch: Sequence[Append]) -> list[Outcome]:
        """Append conditionally, one outcome per item in order; one conversation's refusal never fails the others. Durable on return."""

    async def claim(self, conversation: ConversationId, epoch: int) -> Claimed:
        """Fence every lower epoch, then read head and tail serially. Raises: Rejected (conflict) if a greater epoch has claimed."""

    async def find(self, conversation: ConversationId, sender: UserId, client_id: ClientId) -> Entry | None:
        """The entry of a send that was appended in the last days, wherever."""

    async def entry(self, conversation: ConversationId, seq: int) -> Entry | None:
        """The entry at `seq`; None above the head."""

    async def read(self, conversation: ConversationId, after: int, up_to: int, limit: int) -> list[Entry]:
        """Raw entries after `after` up to `up_to` (0: the head), by rising seq, at most `limit`. A deleted text has an empty body."""

    async def page(self, query: PageQuery) -> Page:
        """A page as of now, made in one snapshot of the store."""

    async def open_slot(self, slot: int, epoch: int) -> SlotRow:
        """Raise the slot's epoch; from then on writes of a lower one are refused. Raises: Rejected (conflict) if a greater one is there."""

    async def note_intents(self, slot: int, epoch: int, intents: Sequence[Intent]) -> None:
        """Put intents into the slot's index. Raises: Rejected (conflict) if the row's epoch is another."""


class RelayService(Protocol):
    """Each user's list of conversations and watermarks, each device's cursors."""

    async def listing(self, user: UserId, device: DeviceId) -> list[Listed]:
        """All conversations of a user as this device sees them, newest first; the device is known from then on."""

    async def listed(self, user: UserId, device: DeviceId, conversations: Sequence[ConversationId]) -> list[Listed]:
        """The same for some conversations; those that are not the user's are left out."""

    async def prepare(self, changes: Sequence[RowChange]) -> None:
        """Make changes of membership durable *before* their entries are appended; not shown until confirmed or found in the log."""

    async def confirm(self, changes: Sequence[RowChange]) -> None:
        """The entries of prepared changes are in the log."""

    async def merge(self, marks: Sequence[Mark]) -> None:
        """Merge watermarks by max; durable on return."""


class GroupService(Protocol):
    """The projection of the groups' logs."""

    async def state(self, group: GroupId) -> GroupState | None:
        """A group as of the seq that the projection stands at; None for one that it has never seen."""

    async def follow(self, entries: Sequence[Entry]) -> None:
        """Apply `member` and `group` entries (rising per conversation); those that are not the next ones are read from the log."""


class UserService(Protocol):
    """Accounts, as far as the router needs them."""

    async def person(self, user: UserId, device: DeviceId) -> Person | None:
        """Who connects; None if there is no such user or device."""

    async def pair(self, one: UserId, other: UserId) -> frozenset[UserId]:
        """Which of the two has blocked the other. Raises: Rejected (not_found) if one of them does not exist."""


class LastSeenService(Protocol):
    """Last activity, and who may know it."""

    async def watched(self, watcher: UserId, users: Sequence[UserId]) -> list[Watched]:
        """For each user what the watcher may know, by privacy, blocks and shared conversations; in the order asked."""

    async def report(self, changes: Sequence[Presence]) -> None:
        """Users came online or went offline."""
