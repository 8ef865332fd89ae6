"""The relay service: per user the list of conversations and the watermarks, per device the cursors.

A row says what a user may see of a conversation: `first` up to the removal. Changes of membership are prepared here
before their entries are appended; one that nobody confirmed is settled by the log at that seq, whenever somebody looks.
The log is read after the rows, and the rows once more after the log: who is removed in between is shown nothing beyond
the removal.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from core.base.errors import Rejected, Unavailable, not_found
from core.base.ids import ConversationId, DeviceId, GroupId, UserId, direct_users, group_of, is_group
from core.base.limits import Limits
from core.base.records import (
    Entry,
    GroupState,
    HeadQuery,
    HeadState,
    Listed,
    Mark,
    Peer,
    Reader,
    Row,
    RowChange,
)
from core.rules.membership import member_body
from sidecars.ports.relay import RelayStore

_SETTLE_TRIES: Final = 4  # rows that change while the logs are read; more often than this they do not
_HEADS_PER_CALL: Final = 500


class Position(NamedTuple):
    """A place in a listing, newest first. For presentation only: times order nothing else."""

    time_ms: int  # of the newest entry
    conversation: ConversationId  # decides where times are equal


class Log(Protocol):
    """What relay reads of the logs: a message or group_message service."""

    async def entry(self, conversation: ConversationId, seq: int) -> Entry | None:
        """The entry at `seq`; None above the head."""

    async def heads(self, queries: Sequence[HeadQuery]) -> list[HeadState]:
        """Where each conversation stands for its reader, in the order asked."""


class Groups(Protocol):
    """What relay asks of the group service."""

    async def states(self, groups: Sequence[GroupId]) -> list[GroupState]:
        """Groups as their logs say, those that exist, in any order."""


class People(Protocol):
    """What relay asks of the user service."""

    async def names(self, users: Sequence[UserId]) -> Mapping[UserId, str]:
        """Names of users, of those that exist."""

    async def blockers(self, user: UserId, others: Sequence[UserId]) -> frozenset[UserId]:
        """Which of `others` have blocked `user`."""

    async def blocked(self, user: UserId, others: Sequence[UserId]) -> frozenset[UserId]:
        """Which of `others` are blocked by `user`."""


class RelayService:
    """Lists, watermarks and cursors on the store, told with what the logs, the groups and the accounts say."""

    def __init__(
        self, store: RelayStore, *, message: Log, group_message: Log, groups: Groups, people: People, limits: Limits
    ) -> None:
        self._store = store
        self._message = message
        self._group_message = group_message
        self._groups = groups
        self._people = people
        self._limits = limits

    # ---- for routers

    async def listing(self, user: UserId, device: DeviceId) -> list[Listed]:
        """All conversations of a user as this device sees them, newest first; the device is known from then on."""
        await self._store.open_device(user, device)
        cursors = await self._store.cursors(user, device)
        return await self._compose(user, await self._store.rows(user), cursors)

    async def listed(self, user: UserId, device: DeviceId, conversations: Sequence[ConversationId]) -> list[Listed]:
        """The same for some conversations; those that are not the user's are left out."""
        cursors = await self._store.cursors(user, device)
        return await self._compose(user, await self._rows(user, conversations), cursors)

    async def prepare(self, changes: Sequence[RowChange]) -> None:
        """Make changes of membership durable before their entries are appended.

        A change that is pending already, and whose entry is in the log, is confirmed first: it must not be lost.
        Raises: Rejected (conflict) if a user would have more conversations than it may.
        """
        rows = await self._store.rows_at([(change.user, change.conversation) for change in changes])
        await self._check_room([change.user for change, row in zip(changes, rows) if row is None and change.first])
        for change, row in zip(changes, rows):
            if row is not None and row.pending and row.pending != change.seq:
                await self._settled(change.user, row)
        await self._store.prepare(changes)

    async def confirm(self, changes: Sequence[RowChange]) -> None:
        """The entries of prepared changes are in the log."""
        await self._store.confirm(changes)

    async def merge(self, marks: Sequence[Mark]) -> None:
        """Merge watermarks by max; durable on return. Their bounds are checked by the router, the only writer."""
        await self._store.merge(marks)

    # ---- for other services

    async def reader(self, user: UserId, conversation: ConversationId) -> Reader:
        """What a user may see of a conversation.

        Raises: Rejected (not_found) for a stranger, as for what does not exist.
        """
        row = await self._shown_row(user, conversation)
        if row is None:
            raise not_found("conversation")
        return _reader(user, row)

    async def groups_of(self, user: UserId) -> list[GroupId]:
        """The groups that a user is a member of."""
        rows = [await self._settled(user, row) for row in await self._store.rows(user)]
        return [group_of(row.conversation) for row in rows if row and not row.removal and is_group(row.conversation)]

    async def sharing(self, user: UserId, others: Sequence[UserId]) -> frozenset[UserId]:
        """Which of `others` share a conversation with a user now."""
        return await self._store.sharing(user, others)

    async def set_muted(self, user: UserId, conversation: ConversationId, *, muted: bool) -> None:
        """Mute or unmute. Raises: Rejected (not_found)."""
        if await self._shown_row(user, conversation) is None:
            raise not_found("conversation")
        await self._store.set_muted(user, conversation, muted)

    # ---- rows

    async def _check_room(self, users: Sequence[UserId]) -> None:
        most = self._limits.conversations_per_user
        if users and max(await self._store.counts(users)) >= most:
            raise Rejected("conflict", f"a user has at most {most} conversations")

    async def _rows(self, user: UserId, conversations: Iterable[ConversationId]) -> list[Row]:
        rows = await self._store.rows_at([(user, conversation) for conversation in dict.fromkeys(conversations)])
        return [row for row in rows if row is not None]

    async def _shown_row(self, user: UserId, conversation: ConversationId) -> Row | None:
        row = await self._store.row(user, conversation)
        return None if row is None else await self._settled(user, row)

    async def _settled(self, user: UserId, row: Row) -> Row | None:
        """The row without a change that the log has decided on; None for one that never was a member's.

        While the log has not come to the change's seq the append may be in flight, so it stays, and the row is as
        before it - but that nothing beyond a pending removal is shown: the log may have passed it a moment later.
        """
        if row.pending:
            entry = await self._log(row.conversation).entry(row.conversation, row.pending)
            if entry is not None:
                change = RowChange(user, row.conversation, row.pending, row.pending_first)
                if _says(entry, change):
                    await self._store.confirm([change])
                else:
                    await self._store.forget(user, row.conversation, row.pending)
                settled = await self._store.row(user, row.conversation)
                if settled is None:
                    return None
                row = settled
        return row if row.joined or row.removal else None

    def _log(self, conversation: ConversationId) -> Log:
        return self._group_message if is_group(conversation) else self._message

    # ---- listings

    async def _compose(self, user: UserId, rows: Sequence[Row], cursors: Mapping[ConversationId, int]) -> list[Listed]:
        """The listing of some rows. Watermarks are read before the heads, so that none is shown above its head."""
        states = await self._stand(user, rows)
        groups = {state.conversation: state for state in await self._states(row for row, _ in states)}
        peers = await self._peers(user, [row.conversation for row, _ in states if not is_group(row.conversation)])
        listed = [
            _listed(
                user,
                row,
                head,
                cursors.get(row.conversation, 0),
                groups.get(row.conversation),
                peers.get(row.conversation),
            )
            for row, head in states
        ]
        listed.sort(key=position_of, reverse=True)
        return listed

    async def _stand(self, user: UserId, rows: Sequence[Row]) -> list[tuple[Row, HeadState]]:
        """Each row that is shown, and where its log stands for the user, within bounds that held after it was read."""
        found: list[tuple[Row, HeadState]] = []
        for _ in range(_SETTLE_TRIES):
            shown = [row for each in rows if (row := await self._settled(user, each))]
            if not shown:
                return found
            heads = await self._heads(user, shown)
            now = {row.conversation: row for row in await self._rows(user, [row.conversation for row in shown])}
            rows = []
            for row in shown:
                fresh = now.get(row.conversation)
                if fresh is not None and _bounds(fresh) == _bounds(row):
                    found.append((row, heads[row.conversation]))
                elif fresh is not None:
                    rows.append(fresh)
        if rows:
            raise Unavailable("the list of conversations changes too often to be read")
        return found

    async def _heads(self, user: UserId, rows: Sequence[Row]) -> dict[ConversationId, HeadState]:
        found: dict[ConversationId, HeadState] = {}
        for log in (self._message, self._group_message):
            queries = [
                HeadQuery(row.conversation, _reader(user, row), max(row.read, row.joined - 1))
                for row in rows
                if self._log(row.conversation) is log
            ]
            for start in range(0, len(queries), _HEADS_PER_CALL):
                for state in await log.heads(queries[start : start + _HEADS_PER_CALL]):
                    found[state.conversation] = state
        return found

    async def _states(self, rows: Iterable[Row]) -> list[GroupState]:
        groups = [group_of(row.conversation) for row in rows if is_group(row.conversation)]
        found: list[GroupState] = []
        for start in range(0, len(groups), _HEADS_PER_CALL):
            found += await self._groups.states(groups[start : start + _HEADS_PER_CALL])
        return found

    async def _peers(self, user: UserId, conversations: Sequence[ConversationId]) -> dict[ConversationId, Peer]:
        """The other sides of direct conversations. Between two of whom one has blocked the other no marks are shown."""
        if not conversations:
            return {}
        others = [_other(user, conversation) for conversation in conversations]
        names = await self._people.names(others)
        apart = await self._people.blockers(user, others) | await self._people.blocked(user, others)
        marks = await self._store.marks(list(zip(others, conversations)))
        return {
            conversation: Peer(other, names.get(other, ""), *((0, 0) if other in apart else mark))
            for conversation, other, mark in zip(conversations, others, marks)
        }


def _reader(user: UserId, row: Row) -> Reader:
    """What the row lets its user see; a removal bounds it from the moment that it is prepared."""
    is_leaving = row.pending and not row.pending_first
    return Reader(user, row.first, row.removal or (row.pending if is_leaving else 0))


def _bounds(row: Row) -> tuple[int, ...]:
    """What must not have changed while the log was read."""
    return row.first, row.joined, row.removal, row.pending, row.pending_first


def _says(entry: Entry, change: RowChange) -> bool:
    """Whether the entry at the change's seq is the one that makes the change."""
    if not is_group(change.conversation):
        return True  # both users' rows begin with the first entry, whatever it is
    if entry.kind != "member":
        return False
    body = member_body(entry)
    return change.user in body.added if change.first else change.user in body.removed or body.deleted


def _other(user: UserId, conversation: ConversationId) -> UserId:
    one, other = direct_users(conversation)
    return other if one == user else one


def _listed(
    user: UserId, row: Row, head: HeadState, cursor: int, group: GroupState | None, peer: Peer | None
) -> Listed:
    return Listed(
        conversation=row.conversation,
        first=row.first,
        head=head.head,
        delivered=max(cursor, row.first - 1),
        read=row.read,
        unread=head.unread,
        last=head.last,
        title=group.name if group else peer.name if peer else "",
        role="none" if row.removal else group.members.get(user, "member") if group else "member",
        members=len(group.members) if group else len(set(direct_users(row.conversation))) if peer else 0,
        muted=row.muted,
        peer=peer,
        joined=row.joined,
        user_delivered=row.delivered,
        history=group.history if group else "",
    )


def position_of(listed: Listed) -> Position:
    """Where a conversation stands in a listing."""
    return Position(listed.last.entry.time_ms if listed.last else 0, listed.conversation)
