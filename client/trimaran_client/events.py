"""What the application is told, and the bounded queue in which it waits. Pure.

The queue gives entries one at a time, in order; an entry is *settled* once the application has come back for the next.
Only settled entries are marked delivered, so that a program that dies at work gets the entry again.
"""

from collections import deque
from dataclasses import dataclass

from trimaran_client.conversation import Conversation
from trimaran_client.errors import Rejected
from trimaran_client.frames import Marks, Message, Notification, Presence, Synced, Typing, Welcome
from trimaran_client.limits import EVENTS_MAX


@dataclass(frozen=True, slots=True)
class ConversationChanged:
    """A conversation appeared, or its title, role, members, `first` or `muted` changed."""

    conversation: Conversation


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection is lost; the client connects again in `retry_in_s`."""

    code: int | None
    reason: str
    retry_in_s: float


@dataclass(frozen=True, slots=True)
class SendFailed:
    """A message for which nobody waits any more (of an earlier run, say) was refused for good."""

    client_id: str
    error: Rejected


@dataclass(frozen=True, slots=True)
class ServerComplained:
    """An error that belongs to no send and no pull."""

    error: Rejected


Event = (
    Message
    | ConversationChanged
    | Marks
    | Typing
    | Presence
    | Notification
    | Welcome
    | Synced
    | Disconnected
    | SendFailed
    | ServerComplained
)


class EventQueue:
    """Events in order. When it is full, hints are shed and entries refused; the few others always find room."""

    def __init__(self, events_max: int = EVENTS_MAX) -> None:
        assert events_max > 0
        self._max = events_max
        self._events: deque[Event] = deque()
        self._changed: set[str] = set()
        self.shed = 0

    def __len__(self) -> int:
        return len(self._events)

    @property
    def is_full(self) -> bool:
        """Whether entries must wait in the server's log."""
        return len(self._events) >= self._max

    @property
    def is_low(self) -> bool:
        """Whether so much has been taken that it is worth pulling what was left."""
        return len(self._events) <= self._max // 2

    def put(self, event: Event) -> None:
        """Adds an event; the caller has seen that there is room for an entry."""
        match event:
            case ConversationChanged(conversation):
                # One in the queue is enough: it shows the conversation as it is when it is taken.
                if conversation.id in self._changed:
                    return
                self._changed.add(conversation.id)
            case Typing() | Presence() | Marks() | Notification() | ServerComplained() if self.is_full:
                self.shed += 1
                return
            case Welcome() | Synced() | Disconnected():
                self._forget_links(event)
            case _:
                pass
        self._events.append(event)

    def take(self) -> Event | None:
        """The oldest event, or None."""
        if not self._events:
            return None
        event = self._events.popleft()
        if isinstance(event, ConversationChanged):
            self._changed.discard(event.conversation.id)
        return event

    def _forget_links(self, event: Event) -> None:
        # A reader that sleeps through many connections is told of the last one only: the queue stays bounded.
        if self.is_full:
            kept = [old for old in self._events if not isinstance(old, type(event))]
            self._events = deque(kept)
