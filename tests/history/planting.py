"""How faults are planted: the register of them, and what they find and change places in a history with.

A fault takes a correct history and breaks one promise in it, as a faulty server would. It is a function of
(events, pick), where `pick` chooses one of several places; it raises `NoPlace` where the history has none. Its name is
what the tests show.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias, TypeVar

from core.history.records import Acked, Entry, Event, ReadBack
from core.history.verdict import Invariant
from tests.history.world import replaced

T = TypeVar("T")
Pick: TypeAlias = Callable[[Sequence[Any]], Any]
Fault: TypeAlias = Callable[[list[Event], Pick], list[Event]]


class NoPlace(Exception):
    """This history has no place for this fault."""


FAULTS: dict[str, tuple[Invariant, Fault]] = {}
"""Name -> the invariant that must be named, and the fault."""


def fault(invariant: Invariant) -> Callable[[Fault], Fault]:
    """Enter a fault under its name."""

    def enter(function: Fault) -> Fault:
        FAULTS[function.__name__] = (invariant, function)
        return function

    return enter


def choose(pick: Pick, places: Iterable[T]) -> T:
    """One of the places."""
    found = list(places)
    if not found:
        raise NoPlace
    chosen: T = pick(found)
    return chosen


def of_type(events: list[Event], kind: type[T]) -> list[tuple[int, T]]:
    """The events of a type, with their places."""
    return [(at, event) for at, event in enumerate(events) if isinstance(event, kind)]


def finals(events: list[Event], conversation: str) -> list[tuple[int, ReadBack]]:
    """The final reads of a conversation."""
    return [(at, e) for at, e in of_type(events, ReadBack) if e.final and e.conversation == conversation]


def head_of(events: list[Event], conversation: str) -> int:
    """The head as the final reads tell it."""
    return max((read.head for _, read in finals(events, conversation)), default=0)


def log_of(events: list[Event], conversation: str) -> dict[int, Entry]:
    """The log as the store was read."""
    return {e.seq: e for _, read in finals(events, conversation) if read.user is None for e in read.entries}


def with_(events: list[Event], at: int, **changes: Any) -> list[Event]:
    """The history with one event changed."""
    return [*events[:at], replaced(events[at], **changes), *events[at + 1 :]]


def without(events: list[Event], places: Iterable[int]) -> list[Event]:
    """The history without some events."""
    gone = set(places)
    return [event for at, event in enumerate(events) if at not in gone]


def in_every_final(events: list[Event], conversation: str, change: Callable[[ReadBack], dict[str, Any]]) -> list[Event]:
    """The history with every final read of a conversation changed."""
    for at, read in finals(events, conversation):
        events = with_(events, at, **change(read))
    return events


def appended(events: list[Event], conversation: str, entry: Entry) -> list[Event]:
    """The history in which the log ends with one more entry, as everyone reads it in the end who reads to the end."""
    head = head_of(events, conversation)

    def change(read: ReadBack) -> dict[str, Any]:
        if read.head < head:
            return {}
        return {"head": head + 1} if read.more else {"head": head + 1, "entries": (*read.entries, entry)}

    return in_every_final(events, conversation, change)


def acks(events: list[Event]) -> list[tuple[int, Acked]]:
    """The acks that are the only ones of their send."""
    found = of_type(events, Acked)
    times = Counter((ack.conversation, ack.user, ack.client_id) for _, ack in found)
    return [(at, ack) for at, ack in found if times[ack.conversation, ack.user, ack.client_id] == 1]


def conversations(events: list[Event]) -> list[str]:
    return sorted({read.conversation for _, read in of_type(events, ReadBack) if read.final and read.head})
