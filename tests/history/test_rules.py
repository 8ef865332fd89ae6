"""The rules of the checker one by one, on histories of a few lines: what it must accept, and what it must not."""

from collections.abc import Iterable
from typing import cast

import pytest

from core.history.checker import check
from core.history.records import (
    Acked,
    Applied,
    BadHistory,
    Blocked,
    Connected,
    Crash,
    Ended,
    Entry,
    Event,
    Group,
    Healed,
    Hidden,
    Line,
    Listed,
    Marked,
    MarksSeen,
    ReadBack,
    Record,
    Refused,
    Sent,
    Skipped,
    Where,
)
from core.history.verdict import Invariant, Verdict

C = "d:ann:bob"
TOP = 2**63 - 1


def decide(*events: Record | Iterable[Record]) -> Verdict:
    """The verdict on some events, or lists of them."""
    flat = [one for e in events for one in ([e] if not isinstance(e, Iterable) else e)]
    return check([Line(Where("h", number), cast(Event, event)) for number, event in enumerate(flat, start=1)])


def broken(*events: Record | Iterable[Record]) -> set[str]:
    """The invariants that some events break; nothing may stay undecided."""
    verdict = decide(*events)
    assert verdict.undecided == []
    return set(verdict.counts)


def text(seq: int, sender: str = "ann", body: str | None = "b", kind: str = "text", ref: int | None = None) -> Entry:
    return Entry(seq=seq, sender=sender, client_id=f"c{seq}", kind=kind, body=body, ref=ref)


def sent(
    entry: Entry, at_s: float = 0.0, connection: int | None = 1, body: str | None = None, retry: bool = False
) -> Sent:
    assert entry.sender is not None
    assert entry.client_id is not None
    return Sent(at_s=at_s, user=entry.sender, device=entry.sender, connection=connection, conversation=C, retry=retry,
                client_id=entry.client_id, kind=entry.kind, body=body or entry.body, ref=entry.ref)  # fmt: skip


def acked(entry: Entry, at_s: float = 0.0, connection: int | None = 1, duplicate: bool = False) -> Acked:
    assert entry.sender is not None
    assert entry.client_id is not None
    return Acked(at_s=at_s, user=entry.sender, device=entry.sender, connection=connection, conversation=C,
                 client_id=entry.client_id, seq=entry.seq, duplicate=duplicate)  # fmt: skip


def refused(entry: Entry, code: str, connection: int | None = 1) -> Refused:
    assert entry.sender is not None
    assert entry.client_id is not None
    return Refused(at_s=0.0, user=entry.sender, device=entry.sender, connection=connection, conversation=C,
                   client_id=entry.client_id, code=code)  # fmt: skip


def applied(entry: Entry, user: str = "bob", device: str = "", at_s: float = 0.0) -> Applied:
    return Applied(at_s=at_s, user=user, device=device or user, conversation=C, entry=entry)


def log(*entries: Entry, conversation: str = C) -> ReadBack:
    """The final read of the store."""
    return ReadBack(at_s=0.0, user=None, device=None, conversation=conversation, head=len(entries), final=True,
                    entries=entries)  # fmt: skip


def listed(device: str, cursor: int, head: int, at_s: float = 0.0, user: str = "bob") -> Listed:
    return Listed(at_s=at_s, user=user, device=device, conversation=C, cursor=cursor, head=head)


def connected(
    device: str = "bob", number: int = 1, fresh: bool = False, user: str = "bob", at_s: float = 0.0
) -> Connected:
    return Connected(at_s=at_s, user=user, device=device, connection=number, fresh=fresh)


def shown(at_s: float, delivered: int | None = None, read: int | None = None) -> MarksSeen:
    return MarksSeen(at_s=at_s, user="ann", device="ann", conversation=C, of="bob", delivered=delivered, read=read)


THREE = [text(1), text(2), text(3)]
SENT = [sent(entry) for entry in THREE]
MARKED = Marked(at_s=0.0, user="bob", device="bob", conversation=C, delivered=3, read=3)


class TestSends:
    """I1, I2, I5."""

    def test_an_unknown_outcome_may_land(self) -> None:
        assert broken(sent(text(1)), refused(text(1), "unavailable"), log(text(1))) == set()

    def test_a_refused_send_may_not_land(self) -> None:
        assert broken(sent(text(1)), refused(text(1), "rate_limited"), log(text(1))) == {"I6"}

    def test_a_refused_send_may_land_by_its_other_transmission(self) -> None:
        retry = sent(text(1), connection=2, retry=True)
        assert broken(sent(text(1)), retry, refused(text(1), "rate_limited", connection=2), log(text(1))) == set()

    def test_an_ack_names_the_entry_of_its_client_id(self) -> None:
        first, second = text(1), text(2)
        wrong = acked(Entry(seq=2, sender="ann", client_id="c1", kind="text", body="b"))
        assert broken(sent(first), sent(second), wrong, log(first, second)) == {"I1"}

    def test_another_body_under_the_same_client_id_does_not_excuse_the_loss_of_the_first(self) -> None:
        first, other = text(1), text(1, body="other")
        conflict = [sent(other, retry=True), refused(other, "conflict")]
        assert broken(sent(first), acked(first), conflict, log(first)) == set()
        assert broken(sent(first), acked(first), conflict, log(other)) == {"I1"}

    def test_one_user_may_use_the_client_id_of_another(self) -> None:
        his = Entry(seq=2, sender="bob", client_id="c1", kind="text", body="b")
        assert broken(sent(text(1)), sent(his), log(text(1), his)) == set()

    def test_a_retry_on_a_later_connection_may_come_after_newer_sends(self) -> None:
        old, new = text(1), text(2)
        again = sent(old, connection=2, retry=True)
        events = [sent(old), sent(new, connection=2), again, acked(new, connection=2), acked(old, 2, 2, duplicate=True)]
        assert broken(events, log(old, new)) == set()

    def test_a_send_that_was_refused_first_may_be_overtaken(self) -> None:
        late, new = text(2), text(1)
        events = [sent(late), sent(new), refused(late, "unavailable"), acked(new), sent(late, retry=True), acked(late)]
        assert broken(events, log(new, late)) == set()

    def test_sends_on_one_connection_keep_their_order_even_without_acks(self) -> None:
        assert broken(sent(text(2)), sent(text(1)), log(text(1), text(2))) == {"I5"}

    def test_sends_by_rest_have_no_order(self) -> None:
        later, earlier = text(2), text(1)
        assert broken(sent(later, connection=None), sent(earlier, connection=None), log(earlier, later)) == set()

    def test_a_lost_connection_leaves_the_order_open(self) -> None:
        """Both were sent on the first connection, neither arrived; the second has its own order."""
        a, b = text(2), text(1)
        again = [sent(b, connection=2, retry=True), sent(a, connection=2, retry=True)]
        assert broken(sent(a), sent(b), again, acked(b, 1, 2), acked(a, 1, 2), log(b, a)) == set()


class TestContent:
    """I4: edits and deletions change what a page shows, nothing else does."""

    def test_a_deleted_entry_may_be_seen_with_and_without_its_body(self) -> None:
        gone, delete = text(1, body=None), text(2, kind="delete", body=None, ref=1)
        sends = [sent(text(1)), sent(delete)]
        before, after = applied(text(1)), applied(gone, device="bob-2")
        assert broken(sends, before, after, log(gone, delete)) == set()

    def test_two_devices_agree_on_the_body_that_a_deletion_took(self) -> None:
        delete = text(2, kind="delete", body=None, ref=1)
        other = applied(text(1, body="other"), device="bob-2")
        assert "I4" in broken(sent(text(1)), sent(delete), applied(text(1)), other, log(text(1, body=None), delete))

    def test_a_body_does_not_vanish_without_a_deletion(self) -> None:
        assert broken(sent(text(1)), applied(text(1, body=None)), log(text(1))) == {"I4"}

    def test_a_page_may_show_a_text_as_it_was_edited(self) -> None:
        edit = text(2, kind="edit", body="new", ref=1)
        sends = [sent(text(1)), sent(edit)]
        assert broken(sends, applied(text(1, body="new")), log(text(1), edit)) == set()
        assert broken(sends, applied(text(1, body="newer")), log(text(1), edit)) == {"I4"}

    def test_a_deletion_empties_the_edits_too(self) -> None:
        edit, delete = text(2, kind="edit", body=None, ref=1), text(3, kind="delete", body=None, ref=1)
        sends = [sent(text(1)), sent(edit, body="new"), sent(delete)]
        seen = [applied(text(1)), applied(text(1, body="new"), device="bob-2")]
        assert broken(sends, seen, log(text(1, body=None), edit, delete)) == set()


class TestDevices:
    """I4 and I7: where a device starts and what it passes over."""

    def test_a_program_without_state_may_repeat_what_it_applied(self) -> None:
        once = [connected(), *[applied(e) for e in THREE]]
        again = [connected(number=2, fresh=True), listed("bob", 1, 3), applied(text(2)), applied(text(3))]
        assert broken(SENT, once, again, log(*THREE)) == set()

    def test_a_program_with_state_may_not(self) -> None:
        once = [connected(), *[applied(e) for e in THREE]]
        assert broken(SENT, once, connected(number=2), applied(text(2)), log(*THREE)) == {"I4"}

    def test_a_program_without_state_is_not_started_beyond_what_it_applied(self) -> None:
        again = [connected(number=2, fresh=True), listed("bob", 2, 3), applied(text(3))]
        assert broken(SENT, connected(), applied(text(1)), again, log(*THREE)) == {"I7"}

    def test_a_later_device_starts_where_another_came(self) -> None:
        first = [connected(), *[applied(e) for e in THREE]]
        later = [connected("bob-2"), listed("bob-2", 2, 3), applied(text(3), device="bob-2")]
        assert broken(SENT, later, first, log(*THREE)) == set()

    def test_a_later_device_starts_no_further(self) -> None:
        later = [connected("bob-2"), listed("bob-2", 2, 3), applied(text(3), device="bob-2")]
        assert broken(SENT, applied(text(1)), later, log(*THREE)) == {"I7"}

    def test_a_first_device_starts_at_the_beginning(self) -> None:
        assert broken(SENT, connected(), listed("bob", 2, 3), applied(text(3)), log(*THREE)) == {"I7"}

    def test_a_device_that_is_away_at_the_end_owes_nothing(self) -> None:
        assert broken(SENT, applied(text(1)), log(*THREE), Ended(at_s=99)) == set()

    def test_a_connection_shortly_before_the_end_decides_nothing(self) -> None:
        verdict = decide(SENT, Healed(at_s=10), connected(at_s=18), log(*THREE), Ended(at_s=20))
        assert not verdict.counts
        assert [undecided.conversation for undecided in verdict.undecided] == [C]
        assert not verdict.is_whole

    @pytest.mark.parametrize(("at_s", "expected"), [(15.0, set()), (15.1, {"I7"})])
    def test_five_seconds_are_the_time_to_catch_up(self, at_s: float, expected: set[str]) -> None:
        late = [connected(), applied(text(1), at_s=at_s), Healed(at_s=10), Ended(at_s=20)]
        assert broken(sent(text(1)), acked(text(1), at_s=3), late, log(text(1))) == expected

    @pytest.mark.parametrize(("at_s", "expected"), [(17.0, set()), (17.1, {"I7"})])
    def test_the_time_to_catch_up_begins_with_the_last_append(self, at_s: float, expected: set[str]) -> None:
        sends = [sent(text(1)), acked(text(1), at_s=3), sent(text(2), at_s=11), acked(text(2), at_s=12)]
        late = [connected(), applied(text(1), at_s=4), applied(text(2), at_s=at_s), Healed(at_s=10), Ended(at_s=30)]
        assert broken(sends, late, log(text(1), text(2))) == expected

    def test_an_append_that_nobody_saw_was_made_no_earlier_than_its_last_transmission(self) -> None:
        verdict = decide(sent(text(1), at_s=12), connected(), Healed(at_s=10), Ended(at_s=16), log(text(1)))
        assert not verdict.counts
        assert "1.000 s too early" in verdict.undecided[0].what

    def test_without_markers_the_history_ends_with_its_last_line(self) -> None:
        assert broken(sent(text(1)), connected(), listed("bob", 0, 1, at_s=50), log(text(1))) == {"I7"}

    def test_a_device_has_one_user(self) -> None:
        with pytest.raises(BadHistory, match="h:2: device x of user ann was of bob before"):
            decide(connected("x"), connected("x", 2, user="ann"))

    def test_a_connection_has_its_own_number(self) -> None:
        with pytest.raises(BadHistory, match="h:2: connection 1 of this device is used twice"):
            decide(connected(), connected())


class TestMembership:
    """I6 in a group."""

    G = "g:g"

    def member(self, seq: int, added: tuple[str, ...] = (), removed: tuple[str, ...] = ()) -> Entry:
        return Entry(seq=seq, sender=None, client_id=None, kind="member", body="m", added=added, removed=removed)

    def given(self, entry: Entry) -> Applied:
        return Applied(at_s=0.0, user="bob", device="bob", conversation=self.G, entry=entry)

    def come_and_go(self) -> list[Entry]:
        entries = [self.member(1, added=("ann",)), text(2), self.member(3, added=("bob",)), text(4)]
        entries += [self.member(5, removed=("bob",)), text(6), self.member(7, added=("bob",)), text(8)]
        return entries

    def history(self, *events: Event, policy: str = "joined") -> set[str]:
        entries = self.come_and_go()
        sends = [Sent(at_s=0.0, user="ann", device="ann", connection=1, conversation=self.G, client_id=f"c{e.seq}",
                      body="b") for e in entries if e.kind == "text"]  # fmt: skip
        group = Group(at_s=0.0, conversation=self.G, history="shared" if policy == "shared" else "joined")
        return broken(sends, group, events, log(*entries, conversation=self.G))

    @pytest.mark.parametrize(("seq", "is_seen"), [(2, False), (3, True), (4, True), (5, True), (6, False), (7, True)])
    def test_a_member_sees_from_its_joining_to_its_removal(self, seq: int, is_seen: bool) -> None:
        page = ReadBack(at_s=0.0, user="bob", device="bob", conversation=self.G, after=seq - 1, head=8, more=True,
                        entries=(self.come_and_go()[seq - 1],))  # fmt: skip
        assert self.history(page) == (set() if is_seen else {"I6"})

    def test_one_who_comes_back_skips_what_happened_meanwhile(self) -> None:
        entries = self.come_and_go()
        skip = Skipped(at_s=0.0, user="bob", device="bob", conversation=self.G, from_seq=6, to_seq=6)
        assert self.history(*[self.given(e) for e in entries[2:5]], skip, *map(self.given, entries[6:])) == set()

    def test_one_who_comes_back_may_start_at_its_new_joining(self) -> None:
        entries = self.come_and_go()
        assert self.history(self.given(entries[2]), *map(self.given, entries[6:])) == set()

    def test_a_member_may_not_skip_what_was_said_to_it(self) -> None:
        skip = Skipped(at_s=0.0, user="bob", device="bob", conversation=self.G, from_seq=1, to_seq=TOP)
        assert self.history(skip) == {"I6"}

    def test_one_who_was_removed_is_told_no_later_head(self) -> None:
        entries = self.come_and_go()[:6]
        send = [Sent(at_s=0.0, user="ann", device="ann", connection=1, conversation=self.G, client_id=f"c{seq}", body="b")
                for seq in (2, 4, 6)]  # fmt: skip
        page = ReadBack(at_s=0.0, user="bob", device="bob", conversation=self.G, after=5, head=6, more=True, entries=())
        assert broken(send, page, log(*entries, conversation=self.G)) == {"I6"}

    def test_a_group_that_shares_its_history_shows_all_of_it(self) -> None:
        assert self.history(*map(self.given, self.come_and_go()), policy="shared") == set()

    def test_the_removed_do_not_send(self) -> None:
        entries = [self.member(1, added=("ann", "bob")), self.member(2, removed=("ann",)), text(3)]
        send = Sent(at_s=0.0, user="ann", device="ann", connection=1, conversation=self.G, client_id="c3", body="b")
        assert broken(send, log(*entries, conversation=self.G)) == {"I6"}


class TestBlocks:
    """I6 in a direct conversation."""

    def block(self, head: int, on: bool = True) -> Blocked:
        return Blocked(at_s=0.0, user="bob", peer="ann", conversation=C, head=head, on=on)

    def hidden(self, seq: int, device: str = "bob") -> Hidden:
        return Hidden(at_s=0.0, user="bob", device=device, conversation=C, seq=seq)

    def test_above_the_head_of_the_block_all_is_hidden(self) -> None:
        assert broken(SENT, self.block(1), applied(text(1)), self.hidden(2), self.hidden(3), log(*THREE)) == set()
        assert broken(SENT, self.block(1), applied(text(1)), applied(text(2)), log(*THREE)) == {"I6"}

    def test_what_was_sent_while_the_block_was_asked_for_may_be_either(self) -> None:
        assert broken(SENT, self.block(2), self.hidden(1), applied(text(2)), log(*THREE)) == set()

    def test_lifting_a_block_reveals_nothing(self) -> None:
        lifted = [self.block(0), self.block(2, on=False)]
        assert broken(SENT, lifted, self.hidden(1), self.hidden(2), applied(text(3)), log(*THREE)) == set()
        assert broken(SENT, lifted, applied(text(1)), log(*THREE)) == {"I6"}

    def test_all_devices_of_a_user_are_kept_from_the_same_entries(self) -> None:
        events = [self.block(3), self.hidden(1, device="bob-2"), applied(text(1))]
        assert broken(SENT, events, log(*THREE)) == {"I6"}


class TestMarks:
    """I8."""

    def test_a_crash_may_take_back_what_was_shown_within_two_seconds_before_it(self) -> None:
        seen = [shown(10, 1), shown(19, 3), shown(22, 1)]
        assert broken(SENT, MARKED, seen, Crash(at_s=20), log(*THREE)) == set()

    @pytest.mark.parametrize("crash_at_s", [9.0, 21.5, 30.0])
    def test_a_crash_at_another_time_may_not(self, crash_at_s: float) -> None:
        seen = [shown(10, 1), shown(19, 3), shown(25, 1)]
        assert broken(SENT, MARKED, seen, Crash(at_s=crash_at_s), log(*THREE)) == {"I8"}

    def test_a_crash_may_not_take_back_more(self) -> None:
        seen = [shown(10, 2), shown(19, 3), shown(22, 1)]
        assert broken(SENT, MARKED, seen, Crash(at_s=20), log(*THREE)) == {"I8"}

    def test_a_crash_after_the_fall_explains_nothing(self) -> None:
        assert broken(SENT, MARKED, shown(19, 3), shown(19.5, 1), Crash(at_s=20), log(*THREE)) == {"I8"}

    def test_what_was_shown_for_long_before_the_crash_or_again_after_it_is_not_taken_back(self) -> None:
        before = [shown(10, 3), shown(19, 3), shown(22, 1)]
        after = [shown(19, 3), shown(24, 3), shown(25, 1)]
        assert broken(SENT, MARKED, before, Crash(at_s=20), log(*THREE)) == {"I8"}
        assert broken(SENT, MARKED, after, Crash(at_s=20), log(*THREE)) == {"I8"}

    def test_a_read_counts_as_delivered(self) -> None:
        read = Marked(at_s=0.0, user="bob", device="bob", conversation=C, read=3)
        assert broken(SENT, read, shown(1, 3, 3), log(*THREE)) == set()

    def test_a_mark_above_the_head_is_not_shown_even_if_it_was_made(self) -> None:
        wild = Marked(at_s=0.0, user="bob", device="bob", conversation=C, delivered=9)
        assert broken(SENT, wild, log(*THREE)) == set()
        assert broken(SENT, wild, shown(1, 9), log(*THREE)) == {"I8"}

    def test_a_read_survives_every_crash(self) -> None:
        assert broken(SENT, MARKED, shown(19, read=3), Crash(at_s=20), shown(21, read=2), log(*THREE)) == {"I8"}

    def test_a_cursor_of_a_device_does_not_fall(self) -> None:
        lists = [listed("bob", 3, 3, at_s=10), listed("bob", 2, 3, at_s=20)]
        assert broken(SENT, [applied(e) for e in THREE], MARKED, lists, log(*THREE)) == {"I8"}

    def test_a_cursor_is_not_above_the_head(self) -> None:
        assert "I8" in broken(SENT, [applied(e) for e in THREE], listed("bob", 4, 3), log(*THREE))

    def test_an_own_send_moves_the_own_read(self) -> None:
        his = text(1, sender="bob")
        assert broken(sent(his), shown(1, 1, 1), log(his)) == set()
        assert broken(sent(text(1)), shown(1, 1, 1), log(text(1))) == {"I8"}


class TestReads:
    """I1 and I3 as readers see them."""

    def test_a_page_tells_no_head_that_is_gone_in_the_end(self) -> None:
        page = ReadBack(at_s=0.0, user="bob", device="bob", conversation=C, after=3, head=4, more=True, entries=())
        assert broken(SENT, page, log(*THREE)) == {"I1"}

    def test_a_page_in_the_middle_tells_of_no_more_than_it_names(self) -> None:
        page = ReadBack(
            at_s=0.0, user="bob", device="bob", conversation=C, after=1, head=3, more=True, entries=(text(2),)
        )
        assert broken(SENT, page, log(*THREE)) == set()


class TestInput:
    """Thin, contradictory and hostile histories."""

    def test_a_conversation_without_a_final_read_is_not_decided(self) -> None:
        verdict = decide(sent(text(1)), acked(text(1)))
        assert not verdict.counts
        assert [undecided.conversation for undecided in verdict.undecided] == [C]

    def test_a_beginning_that_no_final_reader_saw_is_not_decided(self) -> None:
        late = ReadBack(
            at_s=0.0, user=None, device=None, conversation=C, after=1, head=2, final=True, entries=(text(2),)
        )
        verdict = decide(sent(text(1)), acked(text(1)), sent(text(2)), acked(text(2)), late)
        assert not verdict.counts
        assert [undecided.what for undecided in verdict.undecided] == ["seq 1 not shown to any final reader"]

    def test_enormous_seqs_cost_nothing(self) -> None:
        skip = Skipped(at_s=0.0, user="bob", device="bob", conversation=C, from_seq=1, to_seq=TOP)
        wild = ReadBack(at_s=0.0, user="bob", device="bob", conversation=C, head=TOP, final=True, entries=(text(7),),
                        skip=((9, TOP),))  # fmt: skip
        assert Invariant.I3 in decide(skip, wild, shown(1, TOP, TOP), listed("bob", TOP, TOP)).counts

    @pytest.mark.parametrize("at", [0, 1])
    def test_a_hidden_entry_is_not_recorded_as_one_that_was_shown(self, at: int) -> None:
        entry = text(1, kind="hidden")
        with pytest.raises(BadHistory, match="h:1: an entry of kind hidden; expected"):
            decide([applied(entry), log(entry)][at])

    def test_a_skip_range_rises(self) -> None:
        with pytest.raises(BadHistory, match="h:1: a range from 3 to 2"):
            decide(Skipped(at_s=0.0, user="bob", device="bob", conversation=C, from_seq=3, to_seq=2))

    def test_many_violations_are_counted_and_some_are_kept(self) -> None:
        verdict = decide([applied(text(seq)) for seq in range(1, 1001)], log())
        assert verdict.counts[Invariant.I6] == 1000
        assert len(verdict.violations) == 50
