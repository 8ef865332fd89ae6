"""What becomes of an append: known, unknown, late, refused; rules 2, 3, 5 and 10 of order."""

import pytest

from core.base.errors import Rejected, Unavailable
from core.base.records import Conflict, Duplicate, Refused, Send
from tests.router.sends import TALK, acks, errors, say
from tests.router.world import (
    ANN,
    BOB,
    Answers,
    World,
    client_id,
)


@pytest.mark.parametrize("landed", [True, False])
def test_an_unknown_outcome_is_decided_by_reading_the_log(landed: bool) -> None:
    world = World(ANN, BOB)
    ann, bob = world.join(ANN), world.join(BOB)
    say(ann, 1)
    world.settle()
    say(ann, 2)
    say(ann, 3)
    world.append_call().lose(landed=landed)
    world.settle()
    assert [frame["type"] for frame in ann.frames if frame["type"] in ("ack", "message")] == ["ack"] * 3
    assert acks(ann) == [(1, 1, False), (2, 2, False), (3, 3, False)]
    assert [frame["seq"] for frame in bob.take("message")] == [1, 2, 3]


def test_what_lands_late_after_the_claim_is_fenced() -> None:
    world = World(ANN, BOB)
    ann = world.join(ANN)
    say(ann, 1)
    world.settle()
    say(ann, 2)
    world.append_call().lose(landed=False, may_land=True)
    world.turn()
    world.call("load").answer()
    assert isinstance(world.store.append(world.ports.late.pop()), Conflict)
    world.settle()
    assert acks(ann)[-1] == (2, 2, False)


def test_what_lands_late_before_the_claim_is_found_and_pushed() -> None:
    world = World(ANN, BOB)
    ann, bob = world.join(ANN), world.join(BOB)
    say(ann, 1)
    world.settle()
    say(ann, 2)
    world.append_call().lose(landed=False, may_land=True)
    world.turn()
    world.store.append(world.ports.late.pop())
    world.settle()
    assert acks(ann)[-1] == (2, 2, False)
    assert [frame["seq"] for frame in bob.take("message")] == [1, 2]


def test_an_undecided_send_outlives_its_deadline_and_a_store_that_is_away() -> None:
    world = World(ANN, BOB)
    ann, bob = world.join(ANN), world.join(BOB)
    say(ann, 1)
    world.settle()
    bob.take()
    say(ann, 2)
    world.append_call().lose(landed=True)
    for _ in range(12):
        world.turn()
        world.fail("load")
        world.tick()
    assert errors(ann) == [("unavailable", None)]
    world.settle()
    assert [frame["seq"] for frame in bob.take("message")] == [2]
    say(ann, 2, retry=True)
    world.settle()
    assert acks(ann) == [(2, 2, True)]


def test_a_store_that_refuses_is_told_and_tried_again_by_the_client() -> None:
    world = World(ANN, BOB)
    ann = world.join(ANN)
    say(ann, 1)
    world.settle()
    ann.take()
    say(ann, 2)
    world.append_call().answer_with(Refused(TALK, "the disk is full"))
    world.settle()
    (error,) = ann.take()
    assert (error["code"], error["message"]) == ("unavailable", "the disk is full")
    assert error["retry_after_s"] > 0
    say(ann, 2, retry=True)
    world.settle()
    assert acks(ann) == [(2, 2, False)]


def test_a_duplicate_that_the_store_names_is_looked_up_and_the_rest_appended() -> None:
    world = World(ANN, BOB)
    ann = world.join(ANN)
    say(ann, 1)
    world.settle()
    ann.take()
    say(ann, 2)
    say(ann, 3)
    world.append_call().answer_with(Duplicate(TALK, ANN, client_id(2), 1))
    world.settle()
    assert acks(ann) == [(2, 2, False), (3, 3, False)]


def test_a_greater_epoch_ends_the_ownership_and_all_that_waits_is_answered_once() -> None:
    world = World(ANN, BOB)
    ann = world.join(ANN)
    say(ann, 1)
    world.settle()
    ann.take()
    say(ann, 2)
    append = world.append_call()
    say(ann, 3)
    world.turn()
    append.answer_with(Conflict(TALK, 1, 1 << 62))
    world.settle()
    assert errors(ann) == [("unavailable", None)] * 2
    assert world.router.statistics() == {"users": 1, "sessions": 1, "conversations_loaded": 0, "sends_waiting": 0}
    world.tick()
    say(ann, 3, retry=True)
    world.settle()
    assert acks(ann) == [(3, 2, False)]


def test_a_look_up_that_fails_refuses_the_send_and_no_other() -> None:
    world = World(ANN, BOB)
    ann = world.join(ANN)
    say(ann, 1)
    world.settle()
    ann.take()
    say(ann, 2, retry=True)
    say(ann, 3)
    world.turn()
    world.fail("find")
    world.settle()
    assert [frame.get("code", frame.get("seq")) for frame in ann.take("ack", "error")] == ["unavailable", 2]


def test_a_conversation_that_cannot_be_loaded_refuses_what_waits_and_is_forgotten() -> None:
    world = World(ANN, BOB)
    ann = world.join(ANN)
    say(ann, 1)
    say(ann, 2)
    world.fail("load")
    world.settle()
    assert errors(ann) == [("unavailable", None)] * 2
    assert world.router.statistics()["conversations_loaded"] == 0


def test_rows_are_durable_before_the_first_entry_and_a_failure_of_theirs_refuses_it() -> None:
    world = World(ANN, BOB)
    ann = world.join(ANN)
    say(ann, 1)
    world.call("load").answer()
    world.turn()
    assert [call.name for call in world.calls] == ["prepare"]
    world.fail("prepare", Rejected("conflict", "a user has at most 5 conversations"))
    world.settle()
    assert errors(ann) == [("conflict", None)]
    assert not world.store.entries(TALK)


def test_a_send_that_waits_too_long_is_answered_and_forgotten() -> None:
    world = World(ANN, BOB)
    ann = world.join(ANN)
    say(ann, 1)
    load = world.call("load")
    world.tick(11)
    assert errors(ann) == [("unavailable", None)]
    load.answer()
    world.settle()
    assert not world.store.entries(TALK)
    assert world.router.statistics()["sends_waiting"] == 0


def test_a_send_by_rest_reaches_all_devices_of_its_sender_and_moves_its_read() -> None:
    world = World(ANN, BOB)
    reply = Answers()
    world.router.submit(Send(TALK, ANN, "", client_id(1), "text", b'{"text":"by rest"}'), reply)
    world.settle()
    world.tick()
    world.settle()
    assert reply.got[0].seq == 1
    assert world.store.rows[ANN, TALK].read == 1
    ann = world.hello(ANN)
    world.settle()
    assert ann.frames[1]["conversations"][0]["unread"] == 0
    assert len(ann.take("message")) == 1


def test_unavailable_is_said_with_when_to_come_again() -> None:
    world = World(ANN, BOB)
    ann = world.join(ANN)
    say(ann, 1)
    world.fail("load", Unavailable("away", retry_after_s=2))
    world.settle()
    assert ann.take("error")[0]["retry_after_s"] == 2
