"""Edits, deletions, reactions and replies: who may do what to which message; and what a block hides."""

from typing import Any

import pytest

from core.base.records import MemberBody
from tests.router.sends import TALK, acks, errors, say
from tests.router.world import (
    ANN,
    BOB,
    GROUP,
    Connection,
    World,
    change_members,
    make_group,
)


def talk(world: World) -> tuple[Connection, Connection]:
    """ANN and BOB, with a text of each."""
    ann, bob = world.join(ANN), world.join(BOB)
    say(ann, 901, "from ann")
    world.settle()
    say(bob, 902, "from bob", to=ANN)
    world.settle()
    ann.take()
    bob.take()
    return ann, bob


@pytest.mark.parametrize(
    ("kind", "ref", "body", "answer"),
    [
        ("edit", 1, {"text": "new"}, 3),
        ("edit", 2, {"text": "new"}, "forbidden"),
        ("delete", 1, {}, 3),
        ("delete", 2, {}, "forbidden"),
        ("reaction", 2, {"emoji": "👍"}, 3),
        ("text", 2, {"text": "a reply"}, 3),
        ("text", 3, {"text": "a reply to what is not there"}, "not_found"),
        ("reaction", 2**53, {"emoji": "👍"}, "not_found"),
    ],
)
def test_who_may_do_what_to_a_message(kind: str, ref: int, body: dict[str, Any], answer: int | str) -> None:
    world = World(ANN, BOB)
    ann, bob = talk(world)
    say(ann, 1, kind=kind, ref=ref, body=body)
    world.settle()
    (frame,) = ann.take("ack", "error")
    assert frame.get("seq", frame.get("code")) == answer
    if answer == 3:
        (message,) = bob.take("message")
        assert (message["kind"], message["ref"]) == (kind, ref)


def test_the_target_is_looked_up_where_memory_has_forgotten_it() -> None:
    world = World(ANN, BOB)
    ann, _ = talk(world)
    for number in range(1, 140):
        say(ann, number)
    world.settle()
    ann.take()
    say(ann, 500, kind="edit", ref=1, body={"text": "new"})
    say(ann, 501, kind="edit", ref=2, body={"text": "new"})
    world.settle()
    assert [frame.get("seq", frame.get("code")) for frame in ann.take("ack", "error")] == ["forbidden", 142]


def test_nothing_refers_to_what_a_deletion_just_before_it_emptied() -> None:
    world = World(ANN, BOB)
    ann, _ = talk(world)
    say(ann, 1, kind="delete", ref=1, body={})
    say(ann, 2, kind="edit", ref=1, body={"text": "back again"})
    world.settle()
    assert [frame.get("seq", frame.get("code")) for frame in ann.take("ack", "error")] == [3, "not_found"]
    assert world.store.entries(TALK)[0].is_emptied


def test_no_copy_of_a_deleted_text_stays_in_memory() -> None:
    world = World(ANN, BOB)
    ann, _ = talk(world)
    say(ann, 1, kind="edit", ref=1, body={"text": "words"})
    world.settle()
    say(ann, 2, kind="delete", ref=1, body={})
    world.settle()
    recent = world.router.owner._conversations[TALK].recent
    assert [recent[seq].body for seq in (1, 3)] == [b"{}", b"{}"]


def test_a_new_member_cannot_refer_to_what_was_before_it() -> None:
    world = World(ANN, BOB)
    make_group(world, ANN)
    ann = world.join(ANN)
    say(ann, 1, conversation=GROUP)
    world.settle()
    change_members(world, MemberBody(ANN, added=[BOB]))
    bob = world.join(BOB)
    say(bob, 2, conversation=GROUP, kind="reaction", ref=2, body={"emoji": "👍"})
    world.settle()
    assert errors(bob) == [("not_found", "ref")]


# ---- blocks


def block(world: World) -> None:
    """BOB blocks ANN."""
    world.store.blocks.add((BOB, ANN))
    world.router.block_changed(BOB, ANN)


def test_what_a_blocked_one_sends_is_acked_as_ever_and_hidden_from_who_blocked() -> None:
    world = World(ANN, BOB)
    ann, bob = talk(world)
    phone = world.join(ANN, 2)
    block(world)
    say(ann, 1, "hello?")
    world.settle()
    assert acks(ann) == [(1, 3, False)]
    assert phone.take("message")[0]["body"] == {"text": "hello?"}
    (hidden,) = bob.take("message")
    assert hidden == {"type": "message", "conversation": TALK, "seq": 3, "kind": "hidden"}


def test_unblocking_reveals_nothing() -> None:
    world = World(ANN, BOB)
    ann, bob = talk(world)
    block(world)
    say(ann, 1, "hello?")
    world.settle()
    world.store.blocks.clear()
    world.router.block_changed(BOB, ANN)
    bob.drop()
    bob = world.hello(BOB)
    world.settle()
    assert [frame["kind"] for frame in bob.take("message")] == ["text", "text", "hidden"]
    bob.say(type="pull", id=1, conversation=TALK, after=0)
    world.settle()
    (page,) = bob.take("page")
    assert page["skip"] == [[3, 3]]
    assert [entry["seq"] for entry in page["messages"]] == [1, 2]


def test_who_blocked_cannot_refer_to_what_it_does_not_see() -> None:
    world = World(ANN, BOB)
    ann, bob = talk(world)
    block(world)
    say(ann, 1, "hello?")
    world.settle()
    bob.take()
    say(bob, 2, conversation=TALK, ref=3, body={"text": "what?"})
    say(bob, 3, conversation=TALK, kind="reaction", ref=3, body={"emoji": "👍"})
    world.settle()
    assert errors(bob) == [("not_found", "ref")] * 2


def test_a_block_holds_for_what_is_appended_next_also_with_an_append_in_flight() -> None:
    world = World(ANN, BOB)
    ann, bob = talk(world)
    say(ann, 1)
    append = world.append_call()
    say(ann, 2)
    block(world)
    append.answer()
    world.settle()
    assert [frame["kind"] for frame in bob.take("message")] == ["text", "hidden"]


def test_a_block_in_a_group_hides_nothing() -> None:
    world = World(ANN, BOB)
    make_group(world, ANN, BOB)
    ann, bob = world.join(ANN), world.join(BOB)
    block(world)
    say(ann, 1, conversation=GROUP)
    world.settle()
    assert bob.take("message")[0]["kind"] == "text"
