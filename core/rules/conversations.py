"""Rules about entries: who may write, change and delete in a conversation, and what may be referred to.

`role` is what the actor is in the conversation now: a Role, "none" for one who was removed, "" for a stranger. Both users of a direct
conversation are members.
"""

from typing import Final

from core.base.errors import Rejected, not_found
from core.base.records import Entry, Kind

WRITERS: Final = frozenset({"owner", "admin", "member"})
ADMINS: Final = frozenset({"owner", "admin"})


def may_read(role: str) -> Rejected | None:
    """Whether anything of the conversation may be read; the bounds are the row's `first` and `removal`."""
    return None if role else not_found("conversation")


def may_write(role: str) -> Rejected | None:
    """Whether texts, reactions and typing are the actor's to send."""
    if role in WRITERS:
        return None
    if role == "reader":
        return Rejected("forbidden", "readers of this group may not write")
    return not_found("conversation")


def may_refer(kind: Kind, sender: str, role: str, target: Entry | None, first: int) -> Rejected | None:
    """Whether `sender` may send a `kind` about `target` (None: there is no such entry); `first` is the lowest seq that it may see."""
    if target is None or target.seq < first or target.hidden_from == sender or target.kind != "text":
        return Rejected("not_found", "ref names no message of this conversation", field="ref")
    if kind == "delete":
        if target.sender != sender and role not in ADMINS:
            return Rejected("forbidden", "only the author or an admin of the group may delete a message")
        return None
    if target.is_emptied and kind != "text":
        return Rejected("not_found", "the message that ref names was deleted", field="ref")
    if kind == "edit" and target.sender != sender:
        return Rejected("forbidden", "only its author may edit a message")
    return None
