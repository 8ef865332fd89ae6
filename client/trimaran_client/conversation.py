"""One conversation as this device knows it: the cursor rule, the marks, the number of unread texts. Pure.

The cursor is the seq up to which every entry was applied. It moves by one entry, or over a range that this reader may
not see, or to `first` where what lies before can no longer be read; it never moves back.
"""

from collections import deque
from collections.abc import Iterator
from enum import Enum, auto

from trimaran_client.frames import ConversationRecord, Message, Page
from trimaran_client.limits import UNREAD_TRACKED_MAX


class Offer(Enum):
    """What the cursor rule says to an entry."""

    APPLY = auto()
    DROP = auto()
    GAP = auto()


class Conversation:
    """What is known of a conversation; applications read it, only the client changes it."""

    def __init__(self, conversation: str) -> None:
        self.id = conversation
        self.record: ConversationRecord | None = None
        """As the server listed it last; None until it did."""
        self.cursor = 0
        self.head = 0
        self.first = 1
        self.delivered = 0
        """The mark that this device wants the server to know; `read` likewise."""
        self.read = 0
        self.delivered_told = 0
        self.read_told = 0
        self.marked_s = float("-inf")
        self.peers: dict[str, tuple[int, int]] = {}
        """User -> (delivered, read) of the others, where the server tells."""
        self.unsettled = 0
        """Entries that wait for the application, or that it is at work on."""
        self.is_pulling = False
        self.pulls_in_vain = 0
        self._unread_base = 0
        self._unread_base_seq = 0
        self._unread_later: deque[int] = deque()

    def __repr__(self) -> str:
        return f"<Conversation {self.id} cursor={self.cursor} head={self.head} unread={self.unread}>"

    @property
    def title(self) -> str:
        """The name of the group, or of the other one."""
        if self.record is None:
            return self.id
        peer = self.record.peer
        return self.record.title or (peer.name if peer else "") or self.id

    @property
    def is_listed(self) -> bool:
        """Whether the server has told of it, so that the cursor is known."""
        return self.record is not None

    @property
    def is_behind(self) -> bool:
        """Whether entries are missing."""
        return self.is_listed and self.cursor < self.head

    @property
    def unread(self) -> int:
        """Texts of others above `read`; may be too high where `read` lies below what this device was told at first."""
        return self._unread_base + len(self._unread_later)

    # --- what the server says ---

    def on_listed(self, record: ConversationRecord) -> None:
        """The server's word: where this device's cursor stands, if that was not known, and what can be read at all."""
        is_new, self.record = not self.is_listed, record
        self.first = record.first
        self.head = max(self.head, record.head)
        if is_new:
            self.cursor = max(self.cursor, record.delivered)
            self.delivered = max(self.delivered, record.delivered)
        self.cursor = max(self.cursor, record.first - 1)
        self.read = max(self.read, record.read)
        # Not the greater one: a server that forgot the last second of marks is told again.
        self.delivered_told, self.read_told = record.delivered, record.read
        if record.peer is not None:
            self.on_peer(record.peer.user, record.peer.delivered, record.peer.read)
        # `unread` counts up to the head: only what comes above it is counted here.
        self._unread_base, self._unread_base_seq = record.unread, record.head
        self._unread_later = deque(seq for seq in self._unread_later if seq > record.head)
        self._forget_read()

    def on_peer(self, user: str, delivered: int | None, read: int | None) -> None:
        """How far another user is; a mark never goes back."""
        old_delivered, old_read = self.peers.get(user, (0, 0))
        new_read = max(old_read, read or 0)
        self.peers[user] = (max(old_delivered, delivered or 0, new_read), new_read)

    def on_head(self, head: int) -> None:
        """The newest seq, as anything told it."""
        self.head = max(self.head, head)

    # --- the cursor rule ---

    def offer(self, seq: int) -> Offer:
        """An entry came: the next is applied, an older dropped, a later one shows a gap."""
        self.head = max(self.head, seq)
        if seq <= self.cursor:
            return Offer.DROP
        if seq > self.cursor + 1:
            return Offer.GAP
        self.cursor = seq
        return Offer.APPLY

    def skip(self, lowest: int, highest: int) -> bool:
        """Entries that this reader may not see count as applied. False where they do not join the cursor."""
        if lowest > self.cursor + 1:
            return False
        self.cursor = max(self.cursor, highest)
        self.head = max(self.head, highest)
        return True

    def on_first(self, first: int) -> None:
        """Entries before `first` cannot be read: nothing is missing there."""
        self.first = max(self.first, first)
        self.cursor = max(self.cursor, first - 1)

    # --- unread ---

    def count_unread(self, seq: int) -> None:
        """A text of somebody else was applied."""
        if seq <= max(self.read, self._unread_base_seq):
            return
        self._unread_later.append(seq)
        if len(self._unread_later) > UNREAD_TRACKED_MAX:
            self._unread_base += 1
            self._unread_base_seq = self._unread_later.popleft()

    def on_read(self, seq: int) -> None:
        """This user has read up to here, on whichever device."""
        if seq > self.read:
            self.read = seq
            self._forget_read()

    def on_own(self, seq: int) -> None:
        """The server itself has moved this user's `read`: by an own entry, or as another device told it."""
        self.on_read(seq)
        self.read_told = max(self.read_told, seq)

    def _forget_read(self) -> None:
        if self.read >= self._unread_base_seq:
            self._unread_base = 0
        while self._unread_later and self._unread_later[0] <= self.read:
            self._unread_later.popleft()

    # --- marks ---

    def marks_to_tell(self) -> tuple[int | None, int | None]:
        """`(delivered, read)` that the server does not know yet, each None if it does. Never above what was applied."""
        delivered, read = min(self.delivered, self.cursor), min(self.read, self.cursor)
        return (
            delivered if delivered > self.delivered_told else None,
            read if read > self.read_told else None,
        )

    def on_marks_doubtful(self) -> None:
        """A new connection: only what the server itself stated is known to have arrived."""
        self.delivered_told = self.record.delivered if self.record else 0
        self.read_told = self.record.read if self.record else 0
        self.marked_s = float("-inf")

    def on_marks_told(self, delivered: int | None, read: int | None) -> None:
        """They are on their way; a `read` of this device raises its `delivered` too."""
        self.delivered_told = max(self.delivered_told, delivered or 0, read or 0)
        self.read_told = max(self.read_told, read or 0)


def steps(page: Page) -> Iterator[tuple[int, int, Message | None]]:
    """The page's entries and skipped ranges as `(lowest, highest, entry or None)`, by rising seq."""
    ranges: list[tuple[int, int, Message | None]] = [(lowest, highest, None) for lowest, highest in page.skip]
    ranges.extend((message.seq, message.seq, message) for message in page.messages)
    ranges.sort(key=lambda step: step[0])
    return iter(ranges)
