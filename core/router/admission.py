"""Whether a send may become the next entry of a conversation, and which entry: pure, asked by the owner for each send of a batch.

The rules themselves are in core/rules; here is what they are applied to: the conversation as of the batch being built.
"""

from enum import Enum
from typing import Final

import msgspec

from core.base.errors import Rejected, TrimaranError, not_found
from core.base.ids import ClientId, UserId, direct_users
from core.base.limits import Limits
from core.base.records import REF_KINDS, Entry, GroupBody, MemberBody, Role, RowChange, Send
from core.router.conversations import Conversation, Waiting
from core.rules.conversations import may_refer, may_write
from core.rules.groups import may_change_group, may_change_members

_decode_member: Final = msgspec.json.Decoder(MemberBody).decode
_decode_group: Final = msgspec.json.Decoder(GroupBody).decode


class Step(Enum):
    """What to do with a send that is not refused."""

    TOGETHER = "together"  # it joins the batch
    ALONE = "alone"  # it is a batch of its own
    LATER = "later"  # something must be known or be in the log first


class Batch:
    """The entries that one append of a conversation is going to have."""

    __slots__ = ("deleted", "entries", "keys", "time_ms")

    def __init__(self, time_ms: int) -> None:
        self.time_ms: Final = time_ms
        self.entries: list[Entry] = []
        self.keys: set[tuple[UserId, ClientId]] = set()
        self.deleted: set[int] = set()  # refs that the batch's own deletions empty


class Admission:
    """Decides and makes entries; holds nothing but the limits."""

    def __init__(self, limits: Limits) -> None:
        self._limits: Final = limits

    def decide(self, conversation: Conversation, waiting: Waiting, batch: Batch) -> Step | TrimaranError:
        """What to do with the send at the front of the queue. It is no duplicate of a recent entry."""
        send = waiting.send
        if waiting.error is not None:
            return waiting.error
        if waiting.is_retry or (send.sender, send.client_id) in batch.keys:
            return Step.LATER
        if send.kind == "member":
            return self._decide_members(conversation, send) or Step.ALONE
        if send.kind == "group":
            return may_change_group(conversation.members, send.sender, _decode_group(send.body)) or Step.ALONE
        role = conversation.members.get(send.sender, "")
        error = may_write(role)
        if error is not None:
            return error
        if send.ref or send.kind in REF_KINDS:
            if self.needs_target(conversation, waiting) or send.ref in batch.deleted:
                return Step.LATER
            target = conversation.recent.get(send.ref, waiting.target)
            error = may_refer(send.kind, send.sender, role, target, first=1)
            if error is not None:
                return error
        return Step.TOGETHER

    def needs_target(self, conversation: Conversation, waiting: Waiting) -> bool:
        """Whether the entry that `ref` names must still be looked up."""
        ref = waiting.send.ref
        return 0 < ref <= conversation.head and ref not in conversation.recent and not waiting.is_target_known

    def add(self, conversation: Conversation, send: Send, batch: Batch) -> None:
        """Make the next entry of the batch from a send that may be."""
        last = batch.entries[-1] if batch.entries else None
        hidden_from = conversation.hidden_from(send.sender) if conversation.blocked_by else ""
        texts = conversation.texts if last is None else last.texts
        if send.kind == "text" and not hidden_from:
            texts += 1
        seq = (conversation.head if last is None else last.seq) + 1
        batch.entries.append(
            Entry(
                send.conversation,
                seq,
                send.sender,
                send.device,
                send.client_id,
                send.kind,
                send.body,
                send.ref,
                batch.time_ms,
                texts,
                hidden_from,
            )
        )
        batch.keys.add((send.sender, send.client_id))
        if send.kind == "delete":
            batch.deleted.add(send.ref)

    def row_changes(self, conversation: Conversation, entry: Entry) -> tuple[RowChange, ...]:
        """Whose lists an entry changes: those it adds or removes; the first of a direct conversation adds both users."""
        if not conversation.is_group:
            if entry.seq != 1:
                return ()
            return tuple(RowChange(user, conversation.id, 1, 1) for user in sorted(set(direct_users(conversation.id))))
        if entry.kind != "member":
            return ()
        body = _decode_member(entry.body)
        first = 1 if (body.history or conversation.history) == "shared" else entry.seq
        added = (RowChange(user, conversation.id, entry.seq, first) for user in body.added)
        removed = (RowChange(user, conversation.id, entry.seq, 0) for user in body.removed)
        return (*added, *removed)

    def apply(self, conversation: Conversation, entry: Entry) -> None:
        """What a committed entry does to members, title and history."""
        if entry.kind == "member":
            body = _decode_member(entry.body)
            members = {user: role for user, role in conversation.members.items() if user not in body.removed}
            for user in body.added:
                role: Role = body.roles.get(user, "member")
                members[user] = role
            conversation.members = members
            conversation.title = body.name or conversation.title
            conversation.history = body.history or conversation.history
        elif entry.kind == "group":
            change = _decode_group(entry.body)
            conversation.members = {**conversation.members, **change.roles}
            conversation.title = change.name or conversation.title
            conversation.history = change.history or conversation.history

    def _decide_members(self, conversation: Conversation, send: Send) -> Rejected | None:
        change = _decode_member(send.body)
        if conversation.head == 0:
            if not change.name or change.roles.get(send.sender) != "owner":
                return not_found("group")
            if len(change.added) > self._limits.group_members:
                return Rejected("conflict", f"a group has at most {self._limits.group_members} members")
            return None
        return may_change_members(
            conversation.members,
            send.sender,
            change,
            is_invited=send.via == "invite",
            members_max=self._limits.group_members,
        )
