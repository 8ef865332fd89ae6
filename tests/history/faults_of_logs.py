"""Planted faults of the log and its promises: I1 durable, I2 once, I3 dense."""

from typing import Any

from core.history.records import Acked, Event, ReadBack
from core.history.verdict import Invariant
from tests.history.planting import (
    Pick,
    acks,
    appended,
    choose,
    conversations,
    fault,
    head_of,
    in_every_final,
    log_of,
    of_type,
    with_,
)
from tests.history.world import replaced

# ---- I1 durable


@fault(Invariant.I1)
def the_log_ends_before_an_acknowledged_entry(events: list[Event], pick: Pick) -> list[Event]:
    _, ack = choose(pick, acks(events))

    def cut(read: ReadBack) -> dict[str, Any]:
        kept = tuple(e for e in read.entries if e.seq < ack.seq)
        skip = tuple((a, b) for a, b in read.skip if b < ack.seq)
        return {
            "head": min(read.head, ack.seq - 1),
            "after": min(read.after, ack.seq - 1),
            "entries": kept,
            "skip": skip,
        }

    return in_every_final(events, ack.conversation, cut)


@fault(Invariant.I1)
def an_ack_names_the_seq_of_another_entry(events: list[Event], pick: Pick) -> list[Event]:
    at, ack = choose(pick, [(at, ack) for at, ack in acks(events) if ack.seq > 1])
    return with_(events, at, seq=ack.seq - 1)


@fault(Invariant.I1)
def an_ack_names_a_seq_above_the_log(events: list[Event], pick: Pick) -> list[Event]:
    at, ack = choose(pick, acks(events))
    return with_(events, at, seq=head_of(events, ack.conversation) + 7)


@fault(Invariant.I1)
def the_log_holds_another_body_than_was_acknowledged(events: list[Event], pick: Pick) -> list[Event]:
    _, ack = choose(pick, acks(events))

    def change(read: ReadBack) -> dict[str, Any]:
        return {"entries": tuple(replaced(e, body="other") if e.seq == ack.seq else e for e in read.entries)}

    return in_every_final(events, ack.conversation, change)


@fault(Invariant.I1)
def an_acknowledged_body_is_emptied_without_a_deletion(events: list[Event], pick: Pick) -> list[Event]:
    deleted = {(c, e.ref) for c in {r.conversation for _, r in of_type(events, ReadBack)}
               for e in log_of(events, c).values() if e.kind == "delete"}  # fmt: skip
    _, ack = choose(pick, [
        (at, ack) for at, ack in acks(events)
        if log_of(events, ack.conversation)[ack.seq].kind == "text" and (ack.conversation, ack.seq) not in deleted
    ])  # fmt: skip

    def change(read: ReadBack) -> dict[str, Any]:
        return {"entries": tuple(replaced(e, body=None) if e.seq == ack.seq else e for e in read.entries)}

    return in_every_final(events, ack.conversation, change)


@fault(Invariant.I1)
def a_read_does_not_find_what_its_reader_was_told(events: list[Event], pick: Pick) -> list[Event]:
    at, seen = choose(pick, of_type(events, Acked))
    head = seen.seq - 1
    read = ReadBack(at_s=seen.at_s, user=seen.user, device=seen.device, conversation=seen.conversation, head=head,
                    more=False, after=head, entries=())  # fmt: skip
    return [*events[: at + 1], read, *events[at + 1 :]]


@fault(Invariant.I1)
def one_final_reader_finds_a_shorter_log(events: list[Event], pick: Pick) -> list[Event]:
    at, read = choose(pick, [(at, r) for at, r in of_type(events, ReadBack) if r.final and not r.more and r.entries])
    last = max([read.entries[-1].seq, *(b for _, b in read.skip)])
    head = max(last - 1, read.after)
    return with_(events, at, head=head, entries=tuple(e for e in read.entries if e.seq <= head),
                 skip=tuple((a, b) for a, b in read.skip if b <= head))  # fmt: skip


# ---- I2 once


@fault(Invariant.I2)
def a_send_is_in_the_log_twice(events: list[Event], pick: Pick) -> list[Event]:
    conversation, entry = choose(pick, [
        (c, e) for c in conversations(events) for e in log_of(events, c).values() if e.client_id is not None
    ])  # fmt: skip
    return appended(events, conversation, replaced(entry, seq=head_of(events, conversation) + 1))


@fault(Invariant.I2)
def a_retry_is_acknowledged_at_another_seq(events: list[Event], pick: Pick) -> list[Event]:
    at, ack = choose(pick, of_type(events, Acked))
    return [*events[: at + 1], replaced(ack, seq=ack.seq + 1, duplicate=True), *events[at + 1 :]]


# ---- I3 dense


@fault(Invariant.I3)
def the_log_has_a_hole(events: list[Event], pick: Pick) -> list[Event]:
    # The page after one that ends with the lost entry would have been asked for from before it.
    ends = {(r.conversation, r.until) for _, r in of_type(events, ReadBack) if r.more}
    conversation, seq = choose(pick, [
        (c, seq) for c in conversations(events) for seq in range(1, head_of(events, c)) if (c, seq) not in ends
    ])  # fmt: skip
    return in_every_final(
        events, conversation, lambda read: {"entries": tuple(e for e in read.entries if e.seq != seq)}
    )


@fault(Invariant.I3)
def one_reader_is_not_given_an_entry(events: list[Event], pick: Pick) -> list[Event]:
    at, read = choose(pick, [(at, r) for at, r in of_type(events, ReadBack) if r.user and len(r.entries) > 1])
    entry = choose(pick, read.entries)
    return with_(events, at, entries=tuple(e for e in read.entries if e != entry))


@fault(Invariant.I3)
def a_read_gives_an_entry_twice(events: list[Event], pick: Pick) -> list[Event]:
    at, read = choose(pick, [(at, r) for at, r in of_type(events, ReadBack) if r.entries])
    return with_(events, at, entries=(read.entries[0], *read.entries))


@fault(Invariant.I3)
def the_log_goes_on_above_its_head(events: list[Event], pick: Pick) -> list[Event]:
    conversation = choose(pick, conversations(events))
    head = head_of(events, conversation)
    return in_every_final(events, conversation, lambda read: {"head": min(read.head, head - 1)})
