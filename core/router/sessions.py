"""The people who are connected: a `User` while it has a session or is about to, its `Session`s, and a `Row` per conversation.

Pure state; decisions are elsewhere. Everything here is on the node of the user's slot.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from core.base.ids import ConversationId, DeviceId, SessionId, UserId
from core.base.rates import TokenBucket
from core.base.records import Listed, Reader, RowChange
from core.base.tokens import Claims
from core.protocol.commands import AnyCommand
from core.router.outbox import Outbox

if TYPE_CHECKING:
    from core.router.feed import Feed


class Row:
    """What the router keeps of one conversation of a live user."""

    __slots__ = ("changed", "delivered", "first", "head", "read", "removal", "told_delivered", "told_read")

    def __init__(self) -> None:
        self.first = 0  # lowest seq that may be read; 0: never a member
        self.changed = 0  # seq of the newest change of the membership that is known
        self.removal = 0  # the same, where it ended the membership; 0 while a member
        self.head = 0  # greatest seq that was appended, as far as this node was told
        self.delivered = 0  # the greatest that any device marked
        self.read = 0  # as marked; `told_...` is the part of both that relay has stored, so that others may be told
        self.told_delivered = 0
        self.told_read = 0

    @property
    def last(self) -> int:
        """The greatest seq that the user may see now."""
        return self.removal or self.head

    def change(self, change: RowChange) -> None:
        """The membership began or ended, unless a later change is known."""
        if change.seq < self.changed:
            return
        self.changed = change.seq
        if change.first:
            self.first, self.removal = change.first, 0
        else:
            self.removal = change.seq

    def is_newer_than(self, listed: Listed) -> bool:
        """Whether the membership has changed since relay was asked."""
        return self.changed > _changed(listed)

    def merge(self, listed: Listed) -> None:
        """Take over what relay says, where it is news: everything but the membership only grows."""
        changed = _changed(listed)
        if changed >= self.changed:
            self.changed = changed
            self.first = listed.first
            self.removal = listed.head if listed.role == "none" else 0
        self.head = max(self.head, listed.head)
        self.delivered = max(self.delivered, listed.user_delivered)
        self.read = max(self.read, listed.read)
        self.told_delivered = max(self.told_delivered, listed.user_delivered)
        self.told_read = max(self.told_read, listed.read)


def _changed(listed: Listed) -> int:
    """The seq of the newest change of the membership, as listed."""
    return listed.head if listed.role == "none" else listed.joined


class User:
    """A user with at least one session that said hello, or within the grace after its last one."""

    __slots__ = (
        "early",
        "early_changes",
        "id",
        "is_listed",
        "is_relisting",
        "left_s",
        "name",
        "rows",
        "sends",
        "sessions",
        "to_list",
    )

    def __init__(self, user: UserId) -> None:
        self.id: Final = user
        self.name = ""
        self.sessions: list[Session] = []
        self.rows: dict[ConversationId, Row] = {}
        self.is_listed = False  # rows are complete
        self.early: dict[ConversationId, int] = {}  # heads that came before the rows were there
        self.early_changes: list[RowChange] = []  # likewise
        self.left_s: float | None = None  # when the last session went
        self.sends: dict[DeviceId, TokenBucket] = {}
        self.to_list: set[ConversationId] = set()  # changed: to be told as `conversations`
        self.is_relisting = False  # a call is out for it

    def reader(self, conversation: ConversationId) -> Reader | None:
        """What the user may see of a conversation now; None for a stranger's."""
        row = self.rows.get(conversation)
        return Reader(self.id, row.first, row.removal) if row is not None and row.first else None


class Session:
    """One live connection."""

    __slots__ = (
        "abuse",
        "behind",
        "claims",
        "feed",
        "frames",
        "held",
        "held_bytes",
        "id",
        "is_closed",
        "is_leaving",
        "is_live",
        "missed",
        "opened_s",
        "outbox",
        "presence",
        "presence_bucket",
        "sends",
        "user",
        "watched",
    )

    def __init__(self, session: SessionId, outbox: Outbox, frames: TokenBucket, now_s: float) -> None:
        self.id: Final = session
        self.outbox: Final = outbox
        self.frames: Final = frames
        self.sends: TokenBucket | None = None  # the device's, from hello on
        self.opened_s: Final = now_s
        self.claims: Claims | None = None  # who this is; may be known from the handshake, before hello
        self.user: User | None = None  # set by hello
        self.is_live = False  # hello is answered: entries are pushed
        self.held: list[AnyCommand] = []  # came before hello was answered, and wait for it
        self.held_bytes = 0
        self.missed: set[ConversationId] = set()  # changed meanwhile: to be told of after its listing
        self.is_leaving = False  # said bye
        self.is_closed = False
        self.behind: dict[ConversationId, int] | None = None  # a slow consumer: heads that it was not pushed
        self.feed: Feed | None = None  # what it is being given at its own pace
        self.abuse = 0  # refusals by rate since the bucket was last half full
        self.watched: frozenset[UserId] = frozenset()
        self.presence: dict[UserId, bytes] = {}  # newest states that wait for the bucket
        self.presence_bucket: TokenBucket | None = None

    @property
    def device(self) -> DeviceId:
        """The device, once claims are there."""
        assert self.claims is not None
        return self.claims.device

    def push_entry(self, conversation: ConversationId, seq: int, frame: bytes) -> bool:
        """Push an entry; False where it will be given or told of later. A push is a hint: nothing is lost without it."""
        if not self.is_live:
            return False  # the listing is not there yet, and will know of it
        if self.feed is not None and not self.feed.lets_through(conversation, seq):
            return False
        outbox = self.outbox
        if self.behind is not None or outbox.size > outbox.high_bytes:
            if self.behind is None:
                self.behind = {}
            self.behind[conversation] = seq
            return False
        outbox.push(frame)
        return True

    def push_hint(self, frame: bytes) -> bool:
        """Push what may be shed: typing, presence, marks. False where the client is slow."""
        outbox = self.outbox
        if not self.is_live or outbox.size > outbox.low_bytes:
            return False
        outbox.push(frame)
        return True


class Roster:
    """Who is here: the users of this node with their sessions."""

    def __init__(self) -> None:
        self.users: Final[dict[UserId, User]] = {}
        self.sessions = 0

    def enter(self, session: Session, user_id: UserId) -> User:
        """A session said who it is."""
        user = self.users.get(user_id)
        if user is None:
            user = self.users[user_id] = User(user_id)
        user.sessions.append(session)
        session.user = user
        self.sessions += 1
        return user

    def leave(self, session: Session) -> None:
        """A session is gone; its user stays until `forget`."""
        if session.user is not None and session in session.user.sessions:
            session.user.sessions.remove(session)
            self.sessions -= 1

    def forget(self, user: User) -> None:
        """The grace after the last session is over."""
        assert not user.sessions
        self.users.pop(user.id, None)

    def live_sessions(self, users: Iterable[UserId]) -> Iterator[Session]:
        """The live sessions of those of `users` that are here."""
        for user_id in users:
            user = self.users.get(user_id)
            if user is not None:
                for session in user.sessions:
                    if session.is_live:
                        yield session
