"""What an owner knows of a conversation: where its log stands, who is in it, what waits to be appended.

Pure state with the transitions that need nothing else; the pipeline that drives it is in owner.py.
"""

from collections import deque
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Final, Protocol

from msgspec.structs import replace

from core.base.errors import TrimaranError
from core.base.ids import ClientId, ConversationId, UserId, is_group
from core.base.limits import RECENT_ENTRIES
from core.base.records import EMPTY_BODY, Entry, Loaded, Role, RowChange, Send, Sent


class Reply(Protocol):
    """Where the answer to a send goes; exactly one of the two is called, once."""

    def sent(self, sent: Sent) -> None:
        """It is in the log."""

    def refused(self, error: TrimaranError) -> None:
        """It is not, or nobody knows (`unavailable`)."""


class NoReply:
    """For a send whose sender was answered `unavailable` while its outcome is still open."""

    def sent(self, sent: Sent) -> None:
        """Nobody waits."""

    def refused(self, error: TrimaranError) -> None:
        """Nobody waits."""


NO_REPLY: Final = NoReply()


class Waiting:
    """A send on its way into the log."""

    __slots__ = (
        "deadline_s",
        "error",
        "is_found_asked",
        "is_open",
        "is_retry",
        "is_target_asked",
        "is_target_known",
        "reply",
        "send",
        "target",
        "was_open",
    )

    def __init__(self, send: Send, reply: Reply, deadline_s: float) -> None:
        self.send: Final = send
        self.reply = reply
        self.deadline_s: Final = deadline_s
        self.is_retry = send.is_retry  # to be looked up durably before it is appended
        self.is_found_asked = False
        self.is_open = False  # was handed to the store, outcome not known: not dropped until the log was read
        self.was_open = False  # once was: then an ack for what is found is the first one
        self.target: Entry | None = None  # what `ref` names, where it is not recent and was looked up
        self.is_target_asked = False
        self.is_target_known = False
        self.error: TrimaranError | None = None  # a look-up failed

    def ask_anew(self) -> None:
        """Whatever was looked up may have changed: it is to be looked up again before it is appended."""
        self.is_retry = True
        self.is_found_asked = False
        self.is_target_asked = self.is_target_known
        self.error = None


class Phase(Enum):
    """Where a conversation's pipeline stands; one append in flight at a time."""

    LOADING = "loading"  # being claimed
    FAILED = "failed"  # could not be claimed, and something is open: tried again at the next tick
    IDLE = "idle"
    LOOKING = "looking"  # what is at the front of the queue is being looked up
    PREPARING = "preparing"  # rows are being made durable before a change of members
    APPENDING = "appending"
    GONE = "gone"  # no longer in the owner's table


class Conversation:
    """One conversation that this node owns and serves."""

    __slots__ = (
        "_by_client",
        "blocked_by",
        "changes",
        "epoch",
        "head",
        "history",
        "id",
        "in_flight",
        "is_group",
        "is_loaded",
        "is_queued",
        "is_stale",
        "looking",
        "members",
        "on_loaded",
        "phase",
        "queue",
        "recent",
        "texts",
        "title",
        "used_s",
    )

    def __init__(self, conversation: ConversationId, now_s: float) -> None:
        self.id: Final = conversation
        self.is_group: Final = is_group(conversation)
        self.phase = Phase.LOADING
        self.is_loaded = False
        self.epoch = 0  # of the newest claim
        self.head = 0
        self.texts = 0
        self.members: Mapping[UserId, Role] = {}
        self.title = ""
        self.history = "joined"
        self.blocked_by: frozenset[UserId] = frozenset()
        self.recent: dict[int, Entry] = {}  # the newest entries by seq, rising
        self._by_client: dict[tuple[UserId, ClientId], int] = {}  # seqs of `recent`
        self.queue: deque[Waiting] = deque()
        self.is_queued = False  # in the owner's list of those to look at in this turn
        self.is_stale = False  # to be loaded again before the next append
        self.in_flight: list[tuple[Waiting, Entry]] = []
        self.changes: tuple[RowChange, ...] = ()  # of the entries in flight
        self.looking = 0  # look-ups that are out
        self.on_loaded: list[Callable[[], None]] = []
        self.used_s = now_s

    def load(self, loaded: Loaded) -> list[Entry]:
        """Go on from what a claim found; return the entries above the head known so far: own late appends, to be pushed."""
        known = self.head if self.is_loaded else loaded.claimed.head
        late = [entry for entry in loaded.claimed.tail if entry.seq > known]
        self.head = loaded.claimed.head
        self.texts = loaded.claimed.texts
        self.members = loaded.members
        self.title = loaded.title
        self.history = loaded.history
        self.blocked_by = loaded.blocked_by
        self.recent.clear()
        self._by_client.clear()
        for entry in loaded.claimed.tail:
            self._remember(entry)
        self.is_loaded = True
        return late

    def commit(self, entry: Entry) -> None:
        """The next entry is in the log."""
        assert entry.seq == self.head + 1, (self.id, self.head, entry.seq)
        self.head = entry.seq
        self.texts = entry.texts
        if entry.kind == "delete":
            self._empty(entry.ref)
        self._remember(entry)

    def sent_as(self, sender: UserId, client_id: ClientId) -> Entry | None:
        """The recent entry of a send, if there is one."""
        seq = self._by_client.get((sender, client_id))
        return None if seq is None else self.recent[seq]

    def hidden_from(self, sender: UserId) -> str:
        """Who may not see what `sender` writes now: the other of a direct conversation, where it blocked the sender."""
        for user in self.blocked_by:
            if user != sender:
                return user
        return ""

    @property
    def is_quiet(self) -> bool:
        """Whether nothing would be lost by forgetting it."""
        return self.phase is Phase.IDLE and not self.queue and not self.in_flight and not self.on_loaded

    def _remember(self, entry: Entry) -> None:
        self.recent[entry.seq] = entry
        self._by_client[(entry.sender, entry.client_id)] = entry.seq
        if len(self.recent) > RECENT_ENTRIES:
            oldest = self.recent.pop(next(iter(self.recent)))
            self._by_client.pop((oldest.sender, oldest.client_id), None)

    def _empty(self, ref: int) -> None:
        """A deletion was appended: no copy of the words stays, and what waits knows."""
        for entry in list(self.recent.values()):
            if entry.seq == ref or (entry.kind == "edit" and entry.ref == ref):
                self.recent[entry.seq] = replace(entry, body=EMPTY_BODY, is_emptied=True)
        for waiting in self.queue:
            if waiting.target is not None and waiting.target.seq == ref:
                waiting.target = replace(waiting.target, body=EMPTY_BODY, is_emptied=True)
