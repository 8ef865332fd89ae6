"""The machine finds what it is for: one router after the other, each with a fault of a kind that matters."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from core.base.errors import TrimaranError, Unavailable
from core.base.ids import ConversationId
from core.base.records import Entry, Outcome, RowChange, Send, Unknown
from core.router.admission import Admission
from core.router.conversations import NO_REPLY, Conversation, Reply, Waiting
from core.router.feed import Feed
from core.router.marks import Marks
from core.router.owner import Owner, _answer
from core.router.sessions import Row, Session
from tests.properties.router_machine import RouterMachine

Patch = pytest.MonkeyPatch
Fault = Callable[[Patch], None]


def ack_before_commit(patch: Patch) -> None:
    append = Owner._append

    def too_early(owner: Owner, conversation: Conversation) -> None:
        append(owner, conversation)
        for waiting, entry in conversation.in_flight:
            _answer(waiting.reply, waiting.send, entry, is_duplicate=False)
            waiting.reply = NO_REPLY

    patch.setattr(Owner, "_append", too_early)


def no_dedupe(patch: Patch) -> None:
    """Neither when a batch is built nor before: the store of the machine trusts its owner."""

    def answers_nothing(owner: Owner, conversation: Conversation, send: Send, reply: Reply, **_: Any) -> bool:
        return False

    def finds_nothing(owner: Owner, conversation: Conversation) -> None:
        for waiting in conversation.queue:
            waiting.is_retry = False
        ask(owner, conversation)

    ask = Owner._ask
    patch.setattr(Owner, "_answer_known", answers_nothing)
    patch.setattr(Owner, "_ask", finds_nothing)


def no_dedupe_at_the_batch(patch: Patch) -> None:
    """Sends are looked up when they are admitted, and not again when their turn has come."""
    answer = Owner._answer_known
    decide = Admission.decide

    def only_at_admission(owner: Owner, conversation: Conversation, send: Send, reply: Reply, **at_batch: Any) -> bool:
        return not at_batch and answer(owner, conversation, send, reply)

    def forgets_the_retry(admission: Admission, conversation: Conversation, waiting: Waiting, batch: Any) -> Any:
        waiting.is_retry = waiting.is_retry and not conversation.recent
        batch.keys.clear()
        return decide(admission, conversation, waiting, batch)

    patch.setattr(Owner, "_answer_known", only_at_admission)
    patch.setattr(Admission, "decide", forgets_the_retry)


def drops_what_is_undecided(patch: Patch) -> None:
    on_appended = Owner.on_appended

    def gives_up(owner: Owner, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            conversation = owner._conversations[outcome.conversation]
            if isinstance(outcome, Unknown):
                owner._refuse_in_flight(conversation, Unavailable("no answer"))
            else:
                on_appended(owner, [outcome])

    patch.setattr(Owner, "on_appended", gives_up)


def keeps_late_entries_to_itself(patch: Patch) -> None:
    load = Conversation.load

    def tells_nobody(conversation: Conversation, loaded: Any) -> list[Entry]:
        load(conversation, loaded)
        return []

    patch.setattr(Conversation, "load", tells_nobody)


def pushes_before_it_tells(patch: Patch) -> None:
    def holds_nothing(feed: Feed, conversation: ConversationId) -> None:
        return

    patch.setattr(Feed, "hold", holds_nothing)


def pushes_move_the_cursor(patch: Patch) -> None:
    machine_init = RouterMachine.__init__
    push = Session.push_entry

    def with_marks(machine: RouterMachine) -> None:
        machine_init(machine)

        def pushes_and_marks(session: Session, conversation: ConversationId, seq: int, frame: bytes) -> bool:
            assert session.user is not None
            is_pushed = push(session, conversation, seq, frame)
            if is_pushed and conversation in session.user.rows:
                marks: Marks = machine.world.router.marks
                marks.mark(session.user, session.device, conversation, seq, None)
            return is_pushed

        patch.setattr(Session, "push_entry", pushes_and_marks)

    patch.setattr(RouterMachine, "__init__", with_marks)


def removed_members_stay_in_the_audience(patch: Patch) -> None:
    apply = Admission.apply
    change = Row.change

    def keeps_all(admission: Admission, conversation: Conversation, entry: Entry) -> None:
        before = conversation.members
        apply(admission, conversation, entry)
        conversation.members = {**before, **conversation.members}

    def only_begins(row: Row, row_change: RowChange) -> None:
        if row_change.first:
            change(row, row_change)

    patch.setattr(Admission, "apply", keeps_all)
    patch.setattr(Row, "change", only_begins)


def shows_reads_before_they_are_stored(patch: Patch) -> None:
    merge = Marks._merge

    def shows_at_once(marks: Marks, user: Any, device: str, conversation: Any, row: Row, *seqs: int) -> None:
        merge(marks, user, device, conversation, row, *seqs)
        marks._tell(user.id, conversation, row.delivered, row.read)

    patch.setattr(Marks, "_merge", shows_at_once)


def forgets_who_is_behind(patch: Patch) -> None:
    push = Session.push_entry

    def forgets(session: Session, conversation: ConversationId, seq: int, frame: bytes) -> bool:
        is_pushed = push(session, conversation, seq, frame)
        session.behind = None
        return is_pushed

    patch.setattr(Session, "push_entry", forgets)


FAULTS = (
    ack_before_commit,
    no_dedupe,
    no_dedupe_at_the_batch,
    drops_what_is_undecided,
    keeps_late_entries_to_itself,
    pushes_before_it_tells,
    pushes_move_the_cursor,
    removed_members_stay_in_the_audience,
    shows_reads_before_they_are_stored,
    forgets_who_is_behind,
)


@pytest.mark.parametrize("fault", FAULTS)
def test_the_machine_finds_a_planted_fault(fault: Fault, monkeypatch: Patch) -> None:
    fault(monkeypatch)
    finding = settings(
        max_examples=600,
        stateful_step_count=40,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        print_blob=False,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    with pytest.raises((AssertionError, TrimaranError)):
        run_state_machine_as_test(seed(1)(RouterMachine), settings=finding)
