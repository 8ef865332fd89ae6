"""mark: bounds, what moves and what does not, and that a read is shown only once it is stored."""

from typing import Any

import pytest

from core.base.errors import Unavailable
from core.base.ids import UserId, direct_conversation
from core.base.limits import SMALL_GROUP_MEMBERS
from core.base.records import MemberBody
from tests.router.world import (
    ANN,
    BOB,
    GROUP,
    Answers,
    Connection,
    World,
    change_members,
    client_id,
    device_id,
    make_group,
)

TALK = direct_conversation(ANN, BOB)


def talk(texts: int = 3) -> tuple[World, Connection, Connection]:
    """ANN has written to BOB."""
    world = World(ANN, BOB)
    ann, bob = world.join(ANN), world.join(BOB)
    for number in range(1, texts + 1):
        ann.say(type="send", client_id=client_id(number), to=BOB, body={"text": "hi"})
    pass_time(world)
    ann.take()
    bob.take()
    return world, ann, bob


def pass_time(world: World) -> None:
    world.settle()
    world.tick(1.1)
    world.settle()


def marks(connection: Connection) -> list[tuple[UserId, int | None, int]]:
    return [
        (mark["user"], mark.get("delivered"), mark["read"])
        for frame in connection.take("marks")
        for mark in frame["marks"]
    ]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"read": 0}, ("bad_request", "read")),
        ({"read": -1}, ("bad_request", "read")),
        ({"delivered": 2**63}, ("bad_request", "delivered")),
        ({"delivered": 1.5}, ("bad_request", "delivered")),
        ({"delivered": "9"}, ("bad_request", "delivered")),
        ({"read": 4}, ("bad_request", "read")),
        ({"delivered": 4}, ("bad_request", "delivered")),
        ({}, ("bad_request", "delivered")),
    ],
)
def test_a_mark_that_cannot_be_is_refused_and_moves_nothing(fields: dict[str, Any], expected: tuple[str, str]) -> None:
    world, _, bob = talk()
    bob.say(type="mark", id=5, conversation=TALK, **fields)
    pass_time(world)
    (error,) = bob.take("error")
    assert (error["id"], error["code"], error["field"]) == (5, *expected)
    assert (world.store.rows[BOB, TALK].delivered, world.store.rows[BOB, TALK].read) == (0, 0)


def test_a_mark_is_stored_and_then_shown_to_both_sides() -> None:
    world, ann, bob = talk()
    phone = world.join(BOB, 2)
    bob.say(type="mark", conversation=TALK, delivered=3, read=2)
    world.turn()
    merge = world.call("merge")
    assert not ann.take("marks")
    merge.do()
    world.turn()
    assert not ann.take("marks")
    merge.answer()
    world.settle()
    assert marks(ann) == [(BOB, 3, 2)]
    assert marks(phone) == [(BOB, 3, 2)]
    assert world.store.cursors[BOB, device_id(1)] == {TALK: 3}
    assert world.store.cursors[BOB, device_id(2)] == {TALK: 0}


def test_marks_that_could_not_be_stored_are_kept_and_not_shown() -> None:
    world, ann, bob = talk()
    bob.say(type="mark", conversation=TALK, read=2)
    world.fail("merge", Unavailable("away"))
    world.settle()
    assert marks(ann) == []
    bob.say(type="mark", conversation=TALK, read=3)
    pass_time(world)
    assert marks(ann) == [(BOB, 3, 3)]


def test_a_mark_that_goes_back_moves_nothing() -> None:
    world, ann, bob = talk()
    bob.say(type="mark", conversation=TALK, read=3)
    pass_time(world)
    bob.say(type="mark", conversation=TALK, read=1)
    pass_time(world)
    assert world.store.rows[BOB, TALK].read == 3
    assert [read for _, _, read in marks(ann)] == [3, 3]


def test_a_thousand_marks_are_one_write_a_second_and_one_frame() -> None:
    world, ann, bob = talk()
    world.ports.merges.clear()
    for _ in range(1_000):
        bob.say(type="mark", conversation=TALK, read=3)
    world.settle()
    for _ in range(10):
        bob.say(type="mark", conversation=TALK, read=3)
        world.tick(0.05)
        world.settle()
    assert len(world.ports.merges) == 1
    assert marks(ann) == [(BOB, 3, 3)]


def test_a_slow_store_makes_no_two_frames_of_a_conversation_come_within_a_second() -> None:
    world, ann, bob = talk()
    bob.say(type="mark", conversation=TALK, read=1)
    merge = world.call("merge")
    world.tick(0.9)
    bob.say(type="mark", conversation=TALK, read=3)
    merge.answer()
    world.settle()
    world.tick(0.2)
    world.settle()
    assert marks(ann) == [(BOB, 1, 1)]
    world.tick(0.9)
    world.settle()
    assert marks(ann) == [(BOB, 3, 3)]


def test_an_own_send_moves_the_own_read_and_no_cursor() -> None:
    world, ann, bob = talk()
    bob.say(type="send", client_id=client_id(9), to=ANN, body={"text": "an answer"})
    pass_time(world)
    assert (BOB, 4, 4) in marks(ann)
    assert world.store.rows[BOB, TALK].read == 4
    assert world.store.cursors[BOB, device_id(1)] == {}


def test_between_two_of_whom_one_blocked_the_other_no_marks_are_shown() -> None:
    world, ann, bob = talk()
    phone = world.join(BOB, 2)
    world.store.blocks.add((BOB, ANN))
    world.router.block_changed(BOB, ANN)
    bob.say(type="mark", conversation=TALK, read=3)
    pass_time(world)
    assert marks(ann) == []
    assert marks(phone) == [(BOB, 3, 3)]


def test_in_groups_marks_have_no_delivered() -> None:
    world = World(ANN, BOB)
    make_group(world, ANN, BOB)
    ann, bob = world.join(ANN), world.join(BOB)
    bob.say(type="mark", conversation=GROUP, read=1)
    pass_time(world)
    assert (BOB, None, 1) in marks(ann)


def test_in_large_groups_the_own_read_alone_is_shown_to_the_own_devices() -> None:
    crowd = [UserId(f"{number:08d}-0000-7000-8000-00000000aaaa") for number in range(SMALL_GROUP_MEMBERS)]
    world = World(ANN, BOB, *crowd)
    make_group(world, ANN, BOB, *crowd)
    ann, bob, phone = world.join(ANN), world.join(BOB), world.join(BOB, 2)
    bob.say(type="mark", conversation=GROUP, read=1)
    pass_time(world)
    assert not any(user == BOB for user, _, _ in marks(ann))
    assert marks(phone) == [(BOB, None, 1)]


def test_marks_of_one_who_left_are_stored_and_shown_to_nobody_else() -> None:
    world = World(ANN, BOB)
    make_group(world, ANN, BOB)
    ann, bob = world.join(ANN), world.join(BOB)
    change_members(world, MemberBody(ANN, removed=[BOB]))
    pass_time(world)
    ann.take()
    bob.say(type="mark", conversation=GROUP, read=2)
    pass_time(world)
    assert marks(ann) == []
    assert world.store.rows[BOB, GROUP].read == 2


def test_a_mark_from_elsewhere_is_answered_once_it_is_stored() -> None:
    world, ann, _ = talk()
    reply = Answers()
    world.router.marks.mark_for(BOB, device_id(1), TALK, 2, reply)
    world.turn()
    assert not reply.got
    world.settle()
    assert reply.got == [True]
    assert world.store.cursors[BOB, device_id(1)] == {TALK: 2}
    assert marks(ann) == [(BOB, 2, 0)]


def test_a_mark_from_elsewhere_that_cannot_be_stored_says_so() -> None:
    world, _, _ = talk()
    reply = Answers()
    world.router.marks.mark_for(BOB, device_id(1), TALK, 2, reply)
    world.fail("merge", Unavailable("away"))
    assert [error.code for error in reply.got] == ["unavailable"]
