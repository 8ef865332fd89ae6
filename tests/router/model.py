"""The stores and services behind a router as plain dicts: every operation is one atomic step, slow and plain enough to be right."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from core.base.errors import Rejected, not_found
from core.base.ids import ClientId, ConversationId, DeviceId, UserId, direct_users, is_group
from core.base.limits import RECENT_ENTRIES
from core.base.records import (
    Append,
    Appended,
    Claimed,
    Entry,
    GroupState,
    HeadQuery,
    Listed,
    Loaded,
    Mark,
    Outcome,
    Peer,
    Person,
    Reader,
    Role,
    RowChange,
    Watched,
)
from core.rules import membership
from tests.contracts.log_model import LogModel


class TrustingLog(LogModel):
    """A log that looks at head and epoch alone: that no send is in it twice is then its owner's doing."""

    def append(self, item: Append) -> Outcome:
        unique = tuple(replace(entry, client_id=ClientId(f"{entry.client_id}@{entry.seq}")) for entry in item.entries)
        outcome = super().append(replace(item, entries=unique))
        if isinstance(outcome, Appended):
            for entry in item.entries:
                self.log[entry.seq - 1] = replace(self.log[entry.seq - 1], client_id=entry.client_id)
        return outcome


Key = tuple[UserId, ConversationId]


@dataclass
class Row:
    """A conversation in a user's list."""

    first: int = 0
    joined: int = 0
    removal: int = 0
    delivered: int = 0
    read: int = 0
    muted: bool = False
    pending: int = 0
    pending_first: int = 0


@dataclass
class Store:
    """What survives the death of a router."""

    logs: dict[ConversationId, LogModel] = field(default_factory=dict)
    rows: dict[Key, Row] = field(default_factory=dict)
    cursors: dict[tuple[UserId, str], dict[ConversationId, int]] = field(default_factory=dict)
    users: set[UserId] = field(default_factory=set)
    revoked: set[str] = field(default_factory=set)  # devices
    blocks: set[tuple[UserId, UserId]] = field(default_factory=set)  # (who, whom)
    hiding: set[UserId] = field(default_factory=set)  # whose presence nobody may see
    last_seen: dict[UserId, int] = field(default_factory=dict)
    is_trusting: bool = False

    # ---- logs

    def log(self, conversation: ConversationId) -> LogModel:
        log = self.logs.get(conversation)
        if log is None:
            log = self.logs[conversation] = (TrustingLog if self.is_trusting else LogModel)(conversation)
        return log

    def entries(self, conversation: ConversationId) -> list[Entry]:
        return self.log(conversation).log

    def append(self, item: Append) -> Outcome:
        outcome = self.log(item.conversation).append(item)
        assert not isinstance(outcome, Appended) or outcome.head == item.entries[-1].seq
        return outcome

    def load(self, conversation: ConversationId, epoch: int) -> Loaded:
        members: dict[UserId, Role] = {}
        if not is_group(conversation):
            users = direct_users(conversation)
            if not self.users.issuperset(users):
                raise not_found("user")
            members = dict.fromkeys(users, "member")
        log = self.log(conversation)
        if epoch < log.epoch:
            raise Rejected("conflict", "claimed at a greater epoch")
        log.epoch = epoch
        claimed = Claimed(
            conversation, epoch, log.head, log.log[-1].texts if log.log else 0, tuple(log.log[-RECENT_ENTRIES:])
        )
        if is_group(conversation):
            state = self.group(conversation)
            return Loaded(claimed, state.members, state.name, state.history)
        one, other = direct_users(conversation)
        blocked_by = frozenset(who for who, whom in ((one, other), (other, one)) if (who, whom) in self.blocks)
        return Loaded(claimed, members, blocked_by=blocked_by)

    def group(self, conversation: ConversationId) -> GroupState:
        state = membership.no_group(conversation)
        for entry in self.entries(conversation):
            state = membership.after(state, entry)
        return state

    def find(self, conversation: ConversationId, sender: UserId, client_id: str) -> Entry | None:
        found = [e for e in self.entries(conversation) if (e.sender, e.client_id) == (sender, client_id)]
        assert len(found) <= 1
        return found[0] if found else None

    def entry(self, conversation: ConversationId, seq: int) -> Entry | None:
        entries = self.entries(conversation)
        return entries[seq - 1] if 0 < seq <= len(entries) else None

    def read(self, conversation: ConversationId, after: int, up_to: int, limit: int) -> list[Entry]:
        entries = self.entries(conversation)
        return entries[after : min(up_to or len(entries), after + limit)]

    # ---- relay

    def arrive(self, user: UserId, device: DeviceId) -> tuple[Person | None, list[Listed]]:
        if user not in self.users:
            return None, []
        person = Person(user, user, device, device not in self.revoked)
        if not person.is_active:
            return person, []
        if (user, device) not in self.cursors:
            is_first = not any(known == user for known, _ in self.cursors)
            mine = {} if is_first else {c: row.delivered for (u, c), row in self.rows.items() if u == user}
            self.cursors[user, device] = mine
        return person, self.listed(user, device, [c for u, c in self.rows if u == user])

    def listed(self, user: UserId, device: str, conversations: Iterable[ConversationId]) -> list[Listed]:
        found = [self._listed(user, device, each) for each in conversations]
        return sorted(
            (each for each in found if each is not None),
            key=lambda each: (each.last.entry.time_ms if each.last else 0, each.conversation),
            reverse=True,
        )

    def _listed(self, user: UserId, device: str, conversation: ConversationId) -> Listed | None:
        row = self._settled(user, conversation)
        if row is None or not (row.joined or row.removal):
            return None
        state = self.log(conversation).head_state(
            HeadQuery(conversation, Reader(user, row.first, row.removal), max(row.read, row.joined - 1))
        )
        cursor = self.cursors.get((user, device), {}).get(conversation, 0)
        role, count, title, history, peer = "member", 2, "", "", None
        if is_group(conversation):
            group = self.group(conversation)
            role, count, title, history = group.members.get(user, ""), len(group.members), group.name, group.history
        else:
            other = next((each for each in direct_users(conversation) if each != user), user)
            theirs = self.rows.get((other, conversation), Row())
            peer = Peer(other, other, theirs.delivered, theirs.read)
        return Listed(
            conversation=conversation,
            first=row.first,
            head=state.head,
            delivered=max(cursor, row.first - 1),
            read=row.read,
            unread=state.unread,
            last=state.last,
            title=title,
            role="none" if row.removal else role,
            members=count,
            muted=row.muted,
            peer=peer,
            joined=row.joined,
            user_delivered=row.delivered,
            history=history,
        )

    def _settled(self, user: UserId, conversation: ConversationId) -> Row | None:
        row = self.rows.get((user, conversation))
        if row is not None and row.pending:
            entry = self.entry(conversation, row.pending)
            if entry is not None and _says(entry, user, is_added=bool(row.pending_first)):
                self._confirm(RowChange(user, conversation, row.pending, row.pending_first))
            elif entry is not None:
                row.pending = row.pending_first = 0
        return row

    def prepare(self, changes: Sequence[RowChange]) -> None:
        for change in changes:
            self._settled(change.user, change.conversation)
            row = self.rows.setdefault((change.user, change.conversation), Row())
            row.pending, row.pending_first = change.seq, change.first

    def committed(self, changes: Sequence[RowChange]) -> None:
        for change in changes:
            self._confirm(change)

    def _confirm(self, change: RowChange) -> None:
        row = self.rows.setdefault((change.user, change.conversation), Row())
        if change.seq > max(row.joined, row.removal):
            if change.first:
                row.first, row.joined, row.removal = change.first, change.seq, 0
            else:
                row.removal, row.first = change.seq, row.first if row.joined else change.seq
        if row.pending <= change.seq:
            row.pending = row.pending_first = 0

    def merge(self, marks: Sequence[Mark]) -> None:
        for mark in marks:
            row = self.rows.get((mark.user, mark.conversation))
            if row is None:
                continue
            row.delivered = max(row.delivered, mark.delivered, mark.read)
            row.read = max(row.read, mark.read)
            if mark.device:
                cursors = self.cursors.setdefault((mark.user, mark.device), {})
                cursors[mark.conversation] = max(cursors.get(mark.conversation, 0), mark.delivered, mark.read)

    # ---- people

    def watched(self, watcher: UserId, users: Sequence[UserId]) -> list[Watched]:
        return [Watched(user, self.may_see(watcher, user), self.last_seen.get(user, 0)) for user in users]

    def may_see(self, watcher: UserId, user: UserId) -> bool:
        is_apart = (user, watcher) in self.blocks or (watcher, user) in self.blocks
        return user in self.users and user not in self.hiding and not is_apart

    # ---- for tests

    def may_read(self, user: UserId, conversation: ConversationId) -> tuple[set[int], set[int]]:
        """By the log alone: the seqs that a user may ever have seen, and those of its newest membership, which it must see."""
        if not is_group(conversation):
            everything = {e.seq for e in self.entries(conversation)} if user in direct_users(conversation) else set()
            return everything, everything
        allowed: set[int] = set()
        newest: set[int] = set()
        is_member = False
        for entry in self.entries(conversation):
            body = membership.member_body(entry) if entry.kind == "member" else None
            if body is not None and user in body.added:
                is_member = True
                is_shared = self.group(conversation).history == "shared"
                newest = set(range(1, entry.seq)) if is_shared else set()
            if is_member:
                newest.add(entry.seq)
                allowed |= newest
            if body is not None and user in body.removed:
                is_member = False
        return allowed, newest


def _says(entry: Entry, user: UserId, *, is_added: bool) -> bool:
    if not is_group(entry.conversation):
        return True
    if entry.kind != "member":
        return False
    body = membership.member_body(entry)
    return user in body.added if is_added else user in body.removed
