"""Port of relay's store: per user the rows of its conversations and its watermarks, per device the cursors."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from core.base.ids import ConversationId, DeviceId, UserId
from core.base.records import Mark, Row, RowChange


class RelayStore(Protocol):
    """Rows and watermarks; everything here but a pending change only grows, so repeating a call is harmless."""

    async def open_device(self, user: UserId, device: DeviceId) -> None:
        """Make a device known. A user's first device starts each conversation at `first - 1`; a later one at the user's `delivered`,
        written down now, in the same transaction that makes it known. A device that is known stays as it is."""

    async def rows(self, user: UserId) -> list[Row]:
        """All rows of a user, pending ones too, in no particular order."""

    async def row(self, user: UserId, conversation: ConversationId) -> Row | None:
        """One row of a user."""

    async def rows_at(self, pairs: Sequence[tuple[UserId, ConversationId]]) -> list[Row | None]:
        """Rows of users in conversations, in the order asked; None where there is none."""

    async def counts(self, users: Sequence[UserId]) -> list[int]:
        """How many rows each user has, in the order asked."""

    async def cursors(self, user: UserId, device: DeviceId) -> Mapping[ConversationId, int]:
        """What the device marked, or where it started; conversations that are missing start at `first - 1`."""

    async def prepare(self, changes: Sequence[RowChange]) -> None:
        """Write down changes that are about to be appended: they become the row's `pending`, replacing an earlier one. All or nothing.

        A row that does not exist is made, with first = joined = 0 (never a member yet).
        """

    async def confirm(self, changes: Sequence[RowChange]) -> None:
        """The changes are in the log: they become the row's first, joined and removal, unless the row knows a later change; `pending` is
        cleared if it names the same seq or a lower one. Works whether or not the change was prepared. All or nothing."""

    async def forget(self, user: UserId, conversation: ConversationId, seq: int) -> None:
        """The change that is pending at `seq` never happened: clear it; a row that never was a member's goes."""

    async def merge(self, marks: Sequence[Mark]) -> None:
        """Merge watermarks by max, into the row and, where `device` is not "", into the device's cursor; `read` raises the cursor too.
        Marks for rows that do not exist are dropped. Durable on return."""

    async def marks(self, pairs: Sequence[tuple[UserId, ConversationId]]) -> list[tuple[int, int]]:
        """(delivered, read) of users in conversations, in the order asked; (0, 0) where there is no row."""

    async def sharing(self, user: UserId, others: Sequence[UserId]) -> frozenset[UserId]:
        """Which of `others` are members of a conversation of which `user` is a member too."""

    async def set_muted(self, user: UserId, conversation: ConversationId, muted: bool) -> bool:
        """Mute or unmute; False if there is no row."""
