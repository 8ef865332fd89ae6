"""What an entry of a group's log makes of the group: the one fold for all who follow a group.

Pure, and total for entries that an owner appended: those were judged by groups.py before they came into the log.
"""

from typing import Final

import msgspec

from core.base.ids import ConversationId
from core.base.records import Entry, GroupBody, GroupState, MemberBody, Role

_MEMBER_BODY: Final = msgspec.json.Decoder(MemberBody)
_GROUP_BODY: Final = msgspec.json.Decoder(GroupBody)
_DEFAULT_ROLE: Final[Role] = "member"


def no_group(conversation: ConversationId) -> GroupState:
    """A group before its first entry."""
    return GroupState(conversation, 0, "", "joined", {})


def member_body(entry: Entry) -> MemberBody:
    """What a `member` entry says."""
    assert entry.kind == "member", entry.kind
    return _MEMBER_BODY.decode(entry.body)


def group_body(entry: Entry) -> GroupBody:
    """What a `group` entry says."""
    assert entry.kind == "group", entry.kind
    return _GROUP_BODY.decode(entry.body)


def after(state: GroupState, entry: Entry) -> GroupState:
    """The group after the entry that follows `state.seq`; other kinds than `member` and `group` move the seq alone."""
    assert entry.conversation == state.conversation, (state.conversation, entry.conversation)
    assert entry.seq == state.seq + 1, (state.seq, entry.seq)
    members = dict(state.members)
    name, history = state.name, state.history
    match entry.kind:
        case "member":
            change = member_body(entry)
            for user in change.removed:
                members.pop(user, None)
            for user in change.added:
                members[user] = change.roles.get(user, _DEFAULT_ROLE)
            if change.deleted:
                members.clear()
            name, history = change.name or name, change.history or history
        case "group":
            renaming = group_body(entry)
            members.update((user, role) for user, role in renaming.roles.items() if user in members)
            name, history = renaming.name or name, renaming.history or history
        case _:
            pass
    created_ms = entry.time_ms if entry.seq == 1 else state.created_ms
    return GroupState(state.conversation, entry.seq, name, history, members, created_ms)
