"""What comes in: conversations, the cursor rule over live entries and pages, what is missing, what is marked. Pure.

There is one way to repair everything: a conversation whose head is above its cursor is *behind*, and is pulled from
the cursor on until it is not. A lost push, a slow application, a lost connection and a long absence all end there.
"""

import random
from collections.abc import Iterable
from math import inf

import msgspec

from trimaran_client import limits
from trimaran_client.backoff import full_jitter_s
from trimaran_client.commands import MarkCommand
from trimaran_client.conversation import Conversation, Offer, steps
from trimaran_client.due import DueSet
from trimaran_client.errors import Rejected
from trimaran_client.events import ConversationChanged, Event, EventQueue
from trimaran_client.frames import ConversationRecord, Head, Marks, Message, Page

HIDDEN = "hidden"


class Inbox:
    """The conversations of one user on one device, and the events that wait for the application."""

    def __init__(self, rng: random.Random, *, auto_mark: bool, events_max: int) -> None:
        self.conversations: dict[str, Conversation] = {}
        self.events = EventQueue(events_max)
        self.user: str | None = None
        self._rng = rng
        self._auto_mark = auto_mark
        self._is_connected = False
        self._is_synced = False
        self._marks: DueSet[str] = DueSet()
        self._behind: DueSet[str] = DueSet()
        self._pulls = 0
        # Set while entries stay in the server's log because the application is slow.
        self._is_held_back = False

    @property
    def behind(self) -> int:
        """How many conversations are being caught up, or wait for it."""
        return len(self._behind) + self._pulls

    def get(self, conversation: str) -> Conversation:
        """The conversation, made if it was unknown."""
        found = self.conversations.get(conversation)
        if found is None:
            found = self.conversations[conversation] = Conversation(conversation)
        return found

    # --- the connection ---

    def on_welcome(self, user: str, now_s: float) -> None:
        """Marks go out again: all that the server did not confirm, since what it was told may not have arrived."""
        self.user = user
        self._is_connected = True
        for conversation in self.conversations.values():
            conversation.on_marks_doubtful()
            self._mark_later(conversation, now_s)

    def on_synced(self, pending: Iterable[Head], now_s: float) -> None:
        """The replay is over: from now on what is missing is pulled."""
        self._is_synced = True
        for head in pending:
            self.get(head.conversation).on_head(head.head)
        for conversation in self.conversations.values():
            self._catch_up_later(conversation, now_s)

    def on_disconnected(self) -> None:
        """Nothing is on its way any more."""
        self._is_connected = self._is_synced = False
        self._marks.clear()
        self._behind.clear()
        self._pulls = 0
        for conversation in self.conversations.values():
            conversation.is_pulling = False

    # --- what the server says ---

    def on_listed(self, records: Iterable[ConversationRecord], now_s: float) -> None:
        """Conversations as the server has them."""
        for record in records:
            conversation = self.get(record.conversation)
            conversation.on_listed(record)
            self.events.put(ConversationChanged(conversation))
            self._after_quiet_move(conversation, now_s)
            self._mark_later(conversation, now_s)
            self._catch_up_later(conversation, now_s)

    def on_message(self, message: Message, now_s: float) -> None:
        """A live or replayed entry."""
        conversation = self.get(message.conversation)
        if not self._take_entry(conversation, message, message.seq, now_s):
            self._catch_up_later(conversation, now_s)

    def on_own(self, own: Message, now_s: float) -> None:
        """An acknowledgement: it counts as the own entry, and the server has moved the own `read`."""
        conversation = self.get(own.conversation)
        self._take_entry(conversation, own, own.seq, now_s)
        conversation.on_own(own.seq)
        self._catch_up_later(conversation, now_s)

    def on_heads(self, heads: Iterable[Head], now_s: float) -> None:
        """These have entries up to their heads."""
        for head in heads:
            conversation = self.get(head.conversation)
            conversation.on_head(head.head)
            self._catch_up_later(conversation, now_s)

    def on_marks(self, marks: Marks) -> None:
        """How far others are, and this user on other devices."""
        conversation = self.get(marks.conversation)
        for mark in marks.marks:
            if mark.user != self.user:
                conversation.on_peer(mark.user, mark.delivered, mark.read)
            elif mark.read is not None:
                conversation.on_own(mark.read)
        self.events.put(marks)

    def _take_entry(self, conversation: Conversation, message: Message, as_of: int, now_s: float) -> bool:
        """Applies it by the cursor rule. False where entries are missing, or it must wait in the server's log."""
        if message.kind == HIDDEN:
            conversation.on_head(message.seq)
            joins = conversation.skip(message.seq, message.seq)
            self._after_quiet_move(conversation, now_s)
            return joins
        if self.events.is_full and message.seq > conversation.cursor:
            conversation.on_head(message.seq)
            self._is_held_back = True
            return False
        match conversation.offer(message.seq):
            case Offer.GAP:
                return False
            case Offer.DROP:
                return True
            case Offer.APPLY:
                pass
        is_own = message.sender == self.user
        if is_own:
            conversation.on_own(message.seq)
        elif message.kind == "text":
            conversation.count_unread(message.seq)
        conversation.unsettled += 1
        self.events.put(self._dated(message, conversation.id, as_of))
        return True

    def _dated(self, message: Message, conversation: str, as_of: int) -> Message:
        is_own = message.sender == self.user
        return msgspec.structs.replace(message, conversation=conversation, as_of=as_of, is_own=is_own)

    def dated(self, page: Page, conversation: str) -> Page:
        """The page with what its messages leave unsaid."""
        messages = [self._dated(message, conversation, page.head) for message in page.messages]
        return msgspec.structs.replace(page, messages=messages, conversation=conversation)

    # --- catching up ---

    def _catch_up_later(self, conversation: Conversation, now_s: float) -> None:
        is_under_way = conversation.is_pulling or conversation.id in self._behind
        if self._is_synced and conversation.is_behind and not is_under_way:
            self._behind.put(conversation.id, now_s)

    def next_catch_up_s(self) -> float:
        """When the next pull is due; infinity while enough are under way, or the application is behind itself."""
        is_busy = self._is_held_back or self._pulls >= limits.PULLS_MAX
        return inf if is_busy else self._behind.next_s()

    def pop_catch_up(self, now_s: float) -> Conversation | None:
        """The conversation to pull from its cursor on; it is under way until one of the next two is called."""
        name = self._behind.pop(now_s)
        if name is None or not self.conversations[name].is_behind:
            return None
        self._pulls += 1
        self.conversations[name].is_pulling = True
        return self.conversations[name]

    def on_caught_up(self, name: str, page: Page, now_s: float) -> None:
        """The page for a pull of this inbox."""
        conversation = self._end_pull(name)
        cursor = conversation.cursor
        conversation.on_head(page.head)
        conversation.on_first(page.first)
        for lowest, highest, message in steps(page):
            if message is not None:
                goes_on = self._take_entry(conversation, message, page.head, now_s)
            else:
                goes_on = conversation.skip(lowest, highest)
            if not goes_on:
                break
        self._after_quiet_move(conversation, now_s)
        if conversation.is_behind and conversation.cursor == cursor and not self._is_held_back:
            self._catch_up_again(conversation, now_s, 0.0)
            return
        conversation.pulls_in_vain = 0
        self._catch_up_later(conversation, now_s)

    def on_catch_up_refused(self, name: str, retry_after_s: float | None, now_s: float) -> None:
        """A pull of this inbox was answered with an error, or not at all."""
        self._catch_up_again(self._end_pull(name), now_s, retry_after_s or 0.0)

    def _end_pull(self, name: str) -> Conversation:
        self._pulls -= 1
        conversation = self.conversations[name]
        conversation.is_pulling = False
        return conversation

    def _catch_up_again(self, conversation: Conversation, now_s: float, delay_s: float) -> None:
        """A pull brought nothing: once more, but not in a tight loop."""
        jitter_s = full_jitter_s(conversation.pulls_in_vain, self._rng)
        conversation.pulls_in_vain += 1
        self._behind.put(conversation.id, now_s + delay_s + jitter_s)

    # --- the application ---

    def take_event(self) -> Event | None:
        """The next event, or None."""
        event = self.events.take()
        if self._is_held_back and self.events.is_low:
            self._is_held_back = False
        return event

    def settle(self, message: Message, now_s: float) -> None:
        """The application is done with an entry that it took."""
        conversation = self.conversations[message.conversation]
        conversation.unsettled -= 1
        if self._auto_mark:
            # With nothing left to take, what followed and was hidden is settled too.
            seq = conversation.cursor if conversation.unsettled == 0 else message.seq
            conversation.delivered = max(conversation.delivered, seq)
            self._mark_later(conversation, now_s)

    def mark(self, name: str, delivered: int, read: int, now_s: float) -> None:
        """Raises the marks; what was not applied yet is told when it is.

        Raises:
            Rejected: `not_found`.
        """
        conversation = self.conversations.get(name)
        if conversation is None:
            raise Rejected("not_found", "no such conversation", field="conversation")
        conversation.delivered = max(conversation.delivered, delivered, read)
        conversation.on_read(read)
        self._mark_later(conversation, now_s)

    def _after_quiet_move(self, conversation: Conversation, now_s: float) -> None:
        """The cursor may have passed what no application will take: nothing else would mark it."""
        if self._auto_mark and conversation.unsettled == 0 and conversation.cursor > conversation.delivered:
            conversation.delivered = conversation.cursor
        self._mark_later(conversation, now_s)

    def _mark_later(self, conversation: Conversation, now_s: float) -> None:
        if self._is_connected and conversation.id not in self._marks and conversation.marks_to_tell() != (None, None):
            self._marks.put(conversation.id, max(now_s, conversation.marked_s + limits.MARK_INTERVAL_S))

    def next_mark_s(self) -> float:
        """When the next mark is due."""
        return self._marks.next_s()

    def pop_mark(self, now_s: float) -> MarkCommand | None:
        """The next mark to send."""
        name = self._marks.pop(now_s)
        if name is None:
            return None
        conversation = self.conversations[name]
        delivered, read = conversation.marks_to_tell()
        if delivered is None and read is None:
            return None
        conversation.marked_s = now_s
        conversation.on_marks_told(delivered, read)
        return MarkCommand(conversation=name, delivered=delivered, read=read)
