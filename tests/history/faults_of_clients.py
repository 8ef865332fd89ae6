"""Planted faults in what clients see: I4 same order, I5 sender order, I6 no phantom, I7 complete, I8 monotone."""

from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from core.history.records import (
    Acked,
    Applied,
    Connected,
    Crash,
    Disconnected,
    Ended,
    Entry,
    Event,
    Healed,
    Hidden,
    Marked,
    MarksSeen,
    ReadBack,
    Refused,
    Sent,
)
from core.history.verdict import Invariant
from tests.history.planting import (
    NoPlace,
    Pick,
    appended,
    choose,
    conversations,
    fault,
    finals,
    head_of,
    log_of,
    of_type,
    with_,
    without,
)
from tests.history.world import CREW, DIRECT, replaced

# ---- I4 same order


@fault(Invariant.I4)
def a_device_applies_two_entries_the_wrong_way_round(events: list[Event], pick: Pick) -> list[Event]:
    applied = of_type(events, Applied)
    a, b = choose(pick, [
        (a, b) for (a, x), (b, y) in pairwise(applied)
        if (x.device, x.conversation) == (y.device, y.conversation) and x.entry.seq + 1 == y.entry.seq
        and not any(isinstance(e, Connected) and e.device == x.device for e in events[a:b])
    ])  # fmt: skip
    events = list(events)
    events[a], events[b] = events[b], events[a]
    return events


@fault(Invariant.I4)
def a_device_applies_an_entry_twice(events: list[Event], pick: Pick) -> list[Event]:
    at, _ = choose(pick, of_type(events, Applied))
    return [*events[: at + 1], *events[at:]]


@fault(Invariant.I4)
def a_device_sees_another_sender(events: list[Event], pick: Pick) -> list[Event]:
    at, applied = choose(pick, of_type(events, Applied))
    return with_(events, at, entry=replaced(applied.entry, sender="someone"))


@fault(Invariant.I4)
def a_device_sees_another_client_id(events: list[Event], pick: Pick) -> list[Event]:
    at, applied = choose(pick, of_type(events, Applied))
    return with_(events, at, entry=replaced(applied.entry, client_id="c0"))


@fault(Invariant.I4)
def a_device_sees_another_body(events: list[Event], pick: Pick) -> list[Event]:
    intact = {(c, seq) for c in conversations(events) for seq, e in log_of(events, c).items() if e.body is not None}
    at, applied = choose(pick, [
        (at, a) for at, a in of_type(events, Applied) if (a.conversation, a.entry.seq) in intact
    ])  # fmt: skip
    return with_(events, at, entry=replaced(applied.entry, body="other"))


@fault(Invariant.I4)
def two_readers_find_different_logs(events: list[Event], pick: Pick) -> list[Event]:
    at, read = choose(pick, [(at, r) for at, r in of_type(events, ReadBack) if r.user and r.entries])
    entry = choose(pick, read.entries)
    return with_(events, at, entries=tuple(replaced(e, kind="odd") if e == entry else e for e in read.entries))


# ---- I5 sender order


@fault(Invariant.I5)
def two_sends_of_one_connection_change_places(events: list[Event], pick: Pick) -> list[Event]:
    """Consistently, in everything that anyone saw: only the order in which they were sent is broken."""
    attempts = Counter((s.conversation, s.user, s.client_id) for _, s in of_type(events, Sent))
    refused = {(r.conversation, r.user, r.client_id) for _, r in of_type(events, Refused)}
    sure = [
        sent for _, sent in of_type(events, Sent)
        if attempts[key := (sent.conversation, sent.user, sent.client_id)] == 1 and key not in refused
    ]  # fmt: skip
    seqs = {(ack.conversation, ack.user, ack.client_id): ack.seq for _, ack in of_type(events, Acked)}
    a, b = choose(pick, [
        (seqs[x.conversation, x.user, x.client_id], y)
        for i, x in enumerate(sure) for y in sure[i + 1 :]
        if (x.device, x.connection, x.conversation) == (y.device, y.connection, y.conversation)
        and (x.conversation, x.user, x.client_id) in seqs and (y.conversation, y.user, y.client_id) in seqs
        and _are_alike(events, x.conversation, seqs[x.conversation, x.user, x.client_id],
                       seqs[y.conversation, y.user, y.client_id])
    ])  # fmt: skip
    return _swap_seqs(events, b.conversation, a, seqs[b.conversation, b.user, b.client_id])


def _are_alike(events: list[Event], conversation: str, a: int, b: int) -> bool:
    """Whether two entries may change places and nothing else is broken by it."""
    log = log_of(events, conversation)
    blocked = {e.seq for _, e in of_type(events, Hidden) if e.conversation == conversation}
    blocked |= {s for _, r in finals(events, conversation) for s, _ in r.skip if conversation == DIRECT}
    is_told = any(e.ref in (a, b) for e in log.values())
    return log[a].kind == log[b].kind == "text" and not is_told and not blocked & {a, b}


def _swap_seqs(events: list[Event], conversation: str, a: int, b: int) -> list[Event]:
    log = log_of(events, conversation)
    other = {a: b, b: a}

    def entry(old: Entry) -> Entry:
        return replaced(log[other[old.seq]], seq=old.seq, hidden_for=old.hidden_for) if old.seq in other else old

    def change(event: Event) -> Event:
        if getattr(event, "conversation", None) != conversation:
            return event
        match event:
            case Acked(seq=seq):
                return replaced(event, seq=other.get(seq, seq))
            case Applied():
                return replaced(event, entry=entry(event.entry))
            case ReadBack():
                return replaced(event, entries=tuple(map(entry, event.entries)))
            case _:
                return event

    return [change(event) for event in events]


# ---- I6 no phantom


@fault(Invariant.I6)
def the_log_holds_what_nobody_sent(events: list[Event], pick: Pick) -> list[Event]:
    conversation = choose(pick, conversations(events))
    seq = head_of(events, conversation) + 1
    return appended(events, conversation, Entry(seq=seq, sender="ann", client_id="c0", kind="text", body="boo"))


@fault(Invariant.I6)
def the_log_holds_what_was_refused(events: list[Event], pick: Pick) -> list[Event]:
    at, one = choose(pick, of_type(events, Sent))
    sent: Any = replaced(one, client_id="c0", retry=False)
    refused = Refused(at_s=sent.at_s, user=sent.user, device=sent.device, connection=sent.connection,
                      conversation=sent.conversation, client_id="c0", code="forbidden")  # fmt: skip
    entry = Entry(seq=head_of(events, sent.conversation) + 1, sender=sent.user, client_id="c0", kind=sent.kind,
                  body=sent.body, ref=sent.ref)  # fmt: skip
    return appended([*events[:at], sent, refused, *events[at:]], sent.conversation, entry)


@fault(Invariant.I6)
def a_stranger_writes(events: list[Event], pick: Pick) -> list[Event]:
    conversation = choose(pick, conversations(events))
    sent = Sent(at_s=0.0, user="eve", device="eve-phone", connection=1, conversation=conversation, client_id="c0",
                body="boo")  # fmt: skip
    entry = Entry(seq=head_of(events, conversation) + 1, sender="eve", client_id="c0", kind="text", body="boo")
    return appended([sent, *events], conversation, entry)


@fault(Invariant.I6)
def a_device_is_given_what_the_log_does_not_have(events: list[Event], pick: Pick) -> list[Event]:
    at, applied = choose(pick, of_type(events, Applied))
    entry = replaced(applied.entry, seq=head_of(events, applied.conversation) + 1, client_id="c0")
    return [*events[: at + 1], replaced(applied, entry=entry), *events[at + 1 :]]


@fault(Invariant.I6)
def an_ack_comes_for_what_was_not_sent(events: list[Event], pick: Pick) -> list[Event]:
    at, _ = choose(pick, of_type(events, Acked))
    return with_(events, at, client_id="c0")


@fault(Invariant.I6)
def a_stranger_is_given_an_entry(events: list[Event], pick: Pick) -> list[Event]:
    at, applied = choose(pick, of_type(events, Applied))
    return [*events[:at], replaced(applied, user="eve", device="eve-phone"), *events[at:]]


@fault(Invariant.I6)
def one_who_was_removed_is_given_more(events: list[Event], pick: Pick) -> list[Event]:
    return _given_outside(events, pick, lambda seq, given: seq > max(given))


@fault(Invariant.I6)
def a_new_member_is_given_what_was_before_it(events: list[Event], pick: Pick) -> list[Event]:
    return _given_outside(events, pick, lambda seq, given: seq < min(given))


def _given_outside(events: list[Event], pick: Pick, wanted: Callable[[int, set[int]], bool]) -> list[Event]:
    """A device that applies an entry of the group which its user was never given."""
    log = log_of(events, CREW)
    seen = {e.user: {x.seq for x in e.entries} for _, e in finals(events, CREW) if e.user is not None}
    at, entry = choose(pick, [
        (at, entry)
        for at, applied in of_type(events, Applied) if applied.conversation == CREW
        for entry in log.values() if wanted(entry.seq, seen[applied.user]) and entry.seq not in seen[applied.user]
    ])  # fmt: skip
    return [*events[: at + 1], replaced(events[at], entry=entry), *events[at + 1 :]]


@fault(Invariant.I6)
def one_who_was_removed_reads_on(events: list[Event], pick: Pick) -> list[Event]:
    head = head_of(events, CREW)
    at, read = choose(pick, [(at, r) for at, r in finals(events, CREW) if r.head < head])
    return with_(events, at, head=head, entries=(*read.entries, *list(log_of(events, CREW).values())[read.head :]))


@fault(Invariant.I6)
def one_who_blocked_is_shown_an_entry(events: list[Event], pick: Pick) -> list[Event]:
    at, hidden = choose(pick, of_type(events, Hidden))
    entry = log_of(events, hidden.conversation)[hidden.seq]
    shown = Applied(
        at_s=hidden.at_s, user=hidden.user, device=hidden.device, conversation=hidden.conversation, entry=entry
    )
    return [*events[:at], shown, *events[at + 1 :]]


@fault(Invariant.I6)
def an_entry_is_hidden_from_one_who_blocked_nobody(events: list[Event], pick: Pick) -> list[Event]:
    at, one = choose(pick, of_type(events, Applied))
    hidden = Hidden(at_s=one.at_s, user=one.user, device=one.device, conversation=one.conversation, seq=one.entry.seq)
    return [*events[:at], hidden, *events[at + 1 :]]


# ---- I7 complete


@fault(Invariant.I7)
def a_device_never_comes_to_the_head(events: list[Event], pick: Pick) -> list[Event]:
    device, conversation, head = choose(pick, _at_the_head(events))
    return without(events, (
        at for at, e in enumerate(events)
        if isinstance(e, Applied) and (e.device, e.conversation) == (device, conversation) and e.entry.seq == head
    ))  # fmt: skip


@fault(Invariant.I7)
def a_device_hears_nothing_of_a_conversation(events: list[Event], pick: Pick) -> list[Event]:
    device, conversation, _ = choose(pick, _at_the_head(events))
    return without(events, (
        at for at, e in enumerate(events)
        if getattr(e, "device", None) == device and getattr(e, "conversation", None) == conversation
        and not isinstance(e, Sent | Acked | Refused | ReadBack)
    ))  # fmt: skip


@fault(Invariant.I7)
def a_device_comes_to_the_head_too_late(events: list[Event], pick: Pick) -> list[Event]:
    device, conversation, head = choose(pick, _at_the_head(events))
    knew = [e for _, e in of_type(events, Applied) if (e.conversation, e.entry.seq) == (conversation, head)]
    if len({e.device for e in knew}) < 2:
        raise NoPlace  # Only this device tells when the last append was.
    healed_s = of_type(events, Healed)[0][1].at_s
    return [
        replaced(e, at_s=healed_s + 30) if e in knew and getattr(e, "device", None) == device
        else replaced(e, at_s=healed_s + 60) if isinstance(e, Ended) else e
        for e in events
    ]  # fmt: skip


@fault(Invariant.I7)
def a_device_passes_over_an_entry(events: list[Event], pick: Pick) -> list[Event]:
    applied = [(at, e) for at, e in of_type(events, Applied) if e.entry.kind != "member"]
    later = {(e.device, e.conversation, e.entry.seq) for _, e in of_type(events, Applied)}
    times = Counter((e.device, e.conversation, e.entry.seq) for _, e in applied)
    at, _ = choose(pick, [
        (at, e) for at, e in applied
        if times[e.device, e.conversation, e.entry.seq] == 1
        and all((e.device, e.conversation, e.entry.seq + step) in later for step in (-1, 1))
    ])  # fmt: skip
    return without(events, [at])


def _at_the_head(events: list[Event]) -> list[tuple[str, str, int]]:
    """(device, conversation, head) of devices that applied the head, once, and are connected to the end."""
    ended = {e.device: e.connection for _, e in of_type(events, Disconnected)}
    open_ = {e.device for _, e in of_type(events, Connected) if e.connection > ended.get(e.device, 0)}
    present = {
        (r.user, r.conversation)
        for _, r in of_type(events, ReadBack)
        if r.final and r.head == head_of(events, r.conversation)
    }
    gone = {(u, r.conversation) for _, r in of_type(events, ReadBack) if r.final for u in
            (r.entries[-1].removed if r.entries and r.entries[-1].seq == r.head else ())}  # fmt: skip
    times = Counter(
        (e.device, e.conversation, e.entry.seq) for _, e in of_type(events, Applied)
        if e.device in open_ and e.entry.seq == head_of(events, e.conversation)
        and (e.user, e.conversation) in present and (e.user, e.conversation) not in gone
    )  # fmt: skip
    return [place for place, count in times.items() if count == 1]


# ---- I8 monotone


@fault(Invariant.I8)
def a_shown_read_moves_back(events: list[Event], pick: Pick) -> list[Event]:
    at, seen = choose(pick, [(at, e) for at, e in of_type(events, MarksSeen) if e.read])
    return [*events[: at + 1], replaced(seen, read=seen.read - 1 if seen.read else 0), *events[at + 1 :]]


@fault(Invariant.I8)
def a_shown_delivered_moves_back_without_a_crash(events: list[Event], pick: Pick) -> list[Event]:
    at, seen = choose(pick, [(at, e) for at, e in of_type(events, MarksSeen) if e.delivered])
    lower = replaced(seen, delivered=0, read=None, at_s=seen.at_s + 3)
    return [e for e in [*events[: at + 1], lower, *events[at + 1 :]] if not isinstance(e, Crash)]


@fault(Invariant.I8)
def a_delivered_falls_back_that_was_shown_long_before_the_crash(events: list[Event], pick: Pick) -> list[Event]:
    at, seen = choose(pick, [(at, e) for at, e in of_type(events, MarksSeen) if e.delivered])
    crash = Crash(at_s=seen.at_s + 2.5)
    lower = replaced(seen, delivered=0, read=None, at_s=seen.at_s + 2.6)
    rest = [e for e in events if not isinstance(e, Crash)]
    at = rest.index(seen)
    return [*rest[: at + 1], crash, lower, *rest[at + 1 :]]


@fault(Invariant.I8)
def read_is_shown_above_delivered(events: list[Event], pick: Pick) -> list[Event]:
    at, seen = choose(pick, [(at, e) for at, e in of_type(events, MarksSeen) if e.read])
    return with_(events, at, delivered=(seen.read or 1) - 1)


@fault(Invariant.I8)
def delivered_is_shown_above_the_head(events: list[Event], pick: Pick) -> list[Event]:
    at, seen = choose(pick, of_type(events, MarksSeen))
    return with_(events, at, delivered=head_of(events, seen.conversation) + 1)


@fault(Invariant.I8)
def a_read_is_shown_that_nobody_marked(events: list[Event], pick: Pick) -> list[Event]:
    read = [(e.conversation, e.user, e.read) for _, e in of_type(events, Marked)]
    at, seen = choose(pick, [
        (at, e) for at, e in of_type(events, MarksSeen)
        if (e.conversation, e.of, head_of(events, e.conversation)) not in read
        and log_of(events, e.conversation)[head_of(events, e.conversation)].sender != e.of
        and e.of not in log_of(events, e.conversation)[head_of(events, e.conversation)].added
    ])  # fmt: skip
    head = head_of(events, seen.conversation)
    return with_(events, at, delivered=head, read=head)
