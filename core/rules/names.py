"""The names of the rules. Every frame, route and rpc declares the one that guards it; a test fails where one is missing."""

from msgspec import Struct


class Rule(Struct, frozen=True):
    """A rule by name, with what it says in words."""

    name: str
    says: str


OPEN = Rule("open", "Anyone, without a token.")
SIGNED_IN = Rule("signed-in", "Every user, about itself or about what is open to all users.")
OPERATOR = Rule("operator", "Operators of the deployment.")
SESSION = Rule("session", "The connection itself: its first frame, its heartbeat, its end.")
READ = Rule("read", "Who is or was a member, from `first` up to the removal.")
MARK = Rule("mark", "Who is or was a member, its own watermarks, up to the head that it may see.")
SEND = Rule("send", "A member that may write; edits by their author, deletions by author or admin.")
TYPE = Rule("type", "A member that may write.")
WATCH = Rule("watch", "Every user; what it is told follows the other's privacy and blocks.")
START = Rule("start", "Every user, with users that exist.")
SEE_GROUP = Rule("see-group", "Members of the group.")
CHANGE_GROUP = Rule("change-group", "Owners and admins of the group.")
END_GROUP = Rule("end-group", "Owners of the group.")
CHANGE_MEMBERS = Rule(
    "change-members", "Owners; admins where members and readers are concerned; everyone may leave, but the last owner."
)
INVITE = Rule("invite", "Owners and admins invite; who holds a valid code may join.")

ALL = {
    rule.name: rule
    for rule in (
        OPEN, SIGNED_IN, OPERATOR, SESSION, READ, MARK, SEND, TYPE, WATCH, START,
        SEE_GROUP, CHANGE_GROUP, END_GROUP, CHANGE_MEMBERS, INVITE,
    )
}  # fmt: skip
