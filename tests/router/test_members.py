"""Members of groups: who is told what and when; who is added is told first, who is removed gets the removal and no more."""

from typing import Any

import pytest

from core.base.errors import Rejected, Unavailable
from core.base.ids import direct_conversation
from core.base.records import MemberBody
from tests.router.world import (
    ANN,
    BOB,
    CAT,
    GROUP,
    Connection,
    World,
    change_members,
    client_id,
    make_group,
    member_send,
)


def say(connection: Connection, number: int) -> None:
    connection.say(type="send", id=number, client_id=client_id(number), conversation=GROUP, body={"text": "hi"})


def told(connection: Connection) -> list[Any]:
    """What came of the group, in order: roles of conversations, seqs of messages."""
    found: list[Any] = []
    for frame in connection.take("conversations", "message"):
        if frame["type"] == "message":
            found.append(frame["seq"])
        else:
            found.extend(each["role"] for each in frame["conversations"])
    return found


def test_who_is_added_is_told_of_the_conversation_and_then_given_its_entries() -> None:
    world = World(ANN, BOB)
    make_group(world, ANN)
    ann, bob = world.join(ANN), world.join(BOB)
    say(ann, 1)
    world.settle()
    change_members(world, MemberBody(ANN, added=[BOB]))
    say(ann, 2)
    world.settle()
    assert told(bob) == ["member", 3, 4]


def test_with_a_shared_history_who_is_added_gets_it_from_the_beginning() -> None:
    world = World(ANN, BOB)
    make_group(world, ANN, history="shared")
    bob = world.join(BOB)
    change_members(world, MemberBody(ANN, added=[BOB]))
    assert told(bob) == ["member", 1, 2]


def test_entries_that_come_before_the_list_is_told_wait_for_it() -> None:
    world = World(ANN, BOB)
    make_group(world, ANN)
    ann, bob = world.join(ANN), world.join(BOB)
    change = MemberBody(ANN, added=[BOB])
    world.router.submit(*member_send(world, change))
    for name in ("prepare", "append"):
        world.call(name).answer()
    say(ann, 1)
    world.append_call().answer()
    world.turn()
    assert told(bob) == []
    world.settle()
    assert told(bob) == ["member", 2, 3]


def test_a_list_that_cannot_be_read_is_told_at_a_later_tick() -> None:
    world = World(ANN, BOB)
    make_group(world, ANN)
    bob = world.join(BOB)
    world.router.submit(*member_send(world, MemberBody(ANN, added=[BOB])))
    for name in ("prepare", "append", "committed"):
        world.call(name).answer()
    world.fail("listed", Unavailable("away"))
    world.settle()
    assert told(bob) == []
    world.tick()
    world.settle()
    assert told(bob) == ["member", 2]


def test_the_removal_is_the_last_entry_that_the_removed_one_gets() -> None:
    world = World(ANN, BOB)
    make_group(world, ANN, BOB)
    ann, bob = world.join(ANN), world.join(BOB)
    change_members(world, MemberBody(ANN, removed=[BOB]))
    say(ann, 1)
    world.settle()
    assert told(bob) == [2, "none"]


def test_a_removed_one_reads_up_to_the_removal_by_page_and_replay() -> None:
    world = World(ANN, BOB)
    make_group(world, ANN, BOB)
    ann = world.join(ANN)
    change_members(world, MemberBody(ANN, removed=[BOB]))
    say(ann, 1)
    world.settle()
    bob = world.hello(BOB)
    world.settle()
    assert told(bob) == ["none", 1, 2]
    bob.say(type="pull", id=1, conversation=GROUP, after=0)
    world.settle()
    (page,) = bob.take("page")
    assert (page["head"], [entry["seq"] for entry in page["messages"]]) == (2, [1, 2])
    bob.say(type="mark", id=2, conversation=GROUP, read=3)
    world.settle()
    assert bob.take("error")[0]["code"] == "bad_request"


def test_a_page_that_raced_with_the_removal_shows_nothing_beyond_it() -> None:
    world = World(ANN, BOB)
    make_group(world, ANN, BOB)
    ann, bob = world.join(ANN), world.join(BOB)
    bob.say(type="pull", id=1, conversation=GROUP, after=0)
    page = world.call("page")
    change_members(world, MemberBody(ANN, removed=[BOB]))
    say(ann, 1)
    world.settle()
    page.answer()
    world.settle()
    (shown,) = bob.take("page")
    assert [entry["seq"] for entry in shown["messages"]] == [1, 2]


def test_who_comes_back_is_not_shown_what_was_between_although_a_replay_was_under_way() -> None:
    world = World(ANN, BOB)
    make_group(world, ANN, BOB)
    ann = world.join(ANN)
    bob = world.hello(BOB)
    world.call("arrive").answer()
    read = world.call("read")
    change_members(world, MemberBody(ANN, removed=[BOB]))
    say(ann, 1)
    world.settle()
    change_members(world, MemberBody(ANN, added=[BOB]))
    read.answer()
    world.settle()
    assert 3 not in told(bob)
    assert world.store.rows[BOB, GROUP].first == 4


def test_a_replay_waits_until_who_came_back_is_told_and_shows_nothing_of_between() -> None:
    world = World(ANN, BOB)
    make_group(world, ANN, BOB)
    ann = world.join(ANN)
    bob = world.hello(BOB)
    world.call("arrive").answer()
    read = world.call("read")
    read.do()
    change_members(world, MemberBody(ANN, removed=[BOB]))
    say(ann, 1)
    world.settle()
    world.router.submit(*member_send(world, MemberBody(ANN, added=[BOB])))
    for name in ("prepare", "append"):
        world.call(name).answer()
    read.answer()
    world.turn()
    assert [each for each in told(bob) if each != "member"] == ["none"]
    world.settle()
    assert told(bob) == ["member", 4]


def test_the_own_first_message_into_a_new_conversation_comes_as_its_ack_alone() -> None:
    world = World(ANN, BOB)
    ann = world.join(ANN)
    for number in (1, 2):
        ann.say(type="send", id=number, client_id=client_id(number), to=BOB, body={"text": "hi"})
    world.settle()
    assert [frame["type"] for frame in ann.take("ack", "message", "conversations")] == ["ack", "ack", "conversations"]


def test_a_change_of_members_is_refused_as_a_whole_and_told_why() -> None:
    world = World(ANN, BOB, CAT)
    make_group(world, ANN, BOB)
    for body, code in (
        (MemberBody(BOB, added=[CAT]), "forbidden"),
        (MemberBody(CAT, added=[CAT]), "not_found"),
        (MemberBody(ANN, removed=[ANN]), "conflict"),
        (MemberBody(ANN, added=[BOB, CAT]), "conflict"),
    ):
        answer = change_members(world, body)
        assert isinstance(answer, Rejected)
        assert answer.code == code
    assert len(world.store.entries(GROUP)) == 1


def test_of_two_last_owners_that_leave_at_once_one_stays() -> None:
    world = World(ANN, BOB)
    make_group(world, ANN)
    change_members(world, MemberBody(ANN, added=[BOB], roles={BOB: "owner"}))
    one, other = member_send(world, MemberBody(ANN, removed=[ANN])), member_send(world, MemberBody(BOB, removed=[BOB]))
    world.router.submit(*one)
    world.router.submit(*other)
    world.settle()
    assert one[1].got[0].seq == 3
    assert other[1].got[0].code == "conflict"


def test_a_send_right_behind_its_senders_removal_is_refused() -> None:
    world = World(ANN, BOB)
    make_group(world, ANN, BOB)
    bob = world.join(BOB)
    world.router.submit(*member_send(world, MemberBody(ANN, removed=[BOB])))
    say(bob, 1)
    world.settle()
    assert bob.take("error")[0]["code"] == "not_found"


@pytest.mark.parametrize("landed", [True, False])
def test_an_unknown_change_of_members_is_decided_too(landed: bool) -> None:
    world = World(ANN, BOB)
    make_group(world, ANN)
    ann, bob = world.join(ANN), world.join(BOB)
    world.router.submit(*member_send(world, MemberBody(ANN, added=[BOB])))
    world.call("prepare").answer()
    world.append_call().lose(landed=landed)
    say(ann, 1)
    world.settle()
    assert told(bob) == ["member", 2, 3]


def test_a_group_of_other_people_is_not_found_whatever_is_tried() -> None:
    world = World(ANN, BOB, CAT)
    make_group(world, ANN, BOB)
    cat = world.join(CAT)
    for conversation in (GROUP, direct_conversation(ANN, BOB), "g:00000066-0000-7000-8000-000000000000"):
        cat.say(type="send", client_id=client_id(1), conversation=conversation, body={"text": "x"})
        cat.say(type="mark", id=2, conversation=conversation, read=1)
        cat.say(type="pull", id=3, conversation=conversation, after=0)
        cat.say(type="typing", id=4, conversation=conversation, on=True)
    world.settle()
    assert {(frame["code"], frame["message"]) for frame in cat.take()} == {("not_found", "no such conversation")}
