"""send: what is taken, refused, deduplicated and told to whom; rules 1, 5 and 11 of order."""

from typing import Any

import pytest

from core.base.ids import direct_conversation
from core.base.limits import SENDS_WAITING_PER_CONVERSATION, Limits
from core.base.records import MemberBody
from tests.router.sends import TALK, acks, errors, say
from tests.router.world import (
    ANN,
    BOB,
    CAT,
    DAN,
    GROUP,
    World,
    change_members,
    client_id,
    device_id,
    make_group,
)

# ---- the way of a message


def test_the_sender_gets_an_ack_and_everyone_else_the_message() -> None:
    world = World(ANN, BOB)
    ann, phone, bob = world.join(ANN), world.join(ANN, 2), world.join(BOB)
    say(ann, 1)
    world.settle()
    (ack,) = ann.take("ack", "message")
    assert (ack["conversation"], ack["client_id"], ack["seq"], ack["duplicate"]) == (TALK, client_id(1), 1, False)
    for other in (phone, bob):
        (message,) = other.take("message")
        assert (message["sender"], message["device"], message["body"]) == (ANN, device_id(1), {"text": "hi"})
        assert (message["kind"], message["time_ms"]) == ("text", ack["time_ms"])


def test_a_new_conversation_is_told_before_its_first_message() -> None:
    world = World(ANN, BOB)
    ann, bob = world.join(ANN), world.join(BOB)
    say(ann, 1)
    world.settle()
    kinds = [frame["type"] for frame in bob.take("conversations", "message")]
    assert kinds == ["conversations", "message"]


def test_nothing_is_acked_or_pushed_before_it_is_durable() -> None:
    world = World(ANN, BOB)
    ann, bob = world.join(ANN), world.join(BOB)
    say(ann, 1)
    append = None
    while append is None:
        world.turn()
        if world.calls[0].name == "append":
            append = world.append_call()
        else:
            world.calls.pop(0).answer()
    append.do()
    world.turn()
    assert not ann.take("ack")
    assert not bob.take("message")
    append.answer()
    world.settle()
    assert acks(ann) == [(1, 1, False)]


def test_all_conversations_of_a_turn_leave_in_one_call() -> None:
    world = World(ANN, BOB, CAT)
    ann = world.join(ANN)
    for number, to in enumerate((BOB, CAT, BOB, CAT), start=1):
        say(ann, number, to=to)
    world.settle()
    world.ports.batches.clear()
    for number, to in enumerate((BOB, CAT, BOB, CAT), start=5):
        say(ann, number, to=to)
    world.turn()
    (batch,) = world.ports.batches
    assert [len(item.entries) for item in batch] == [2, 2]


def test_one_append_is_in_flight_per_conversation() -> None:
    world = World(ANN, BOB)
    ann = world.join(ANN)
    say(ann, 1)
    world.settle()
    say(ann, 2)
    append = world.append_call()
    say(ann, 3)
    say(ann, 4)
    world.turn()
    assert not world.calls
    append.answer()
    world.turn()
    assert [entry.client_id for entry in world.append_call().item.entries] == [client_id(3), client_id(4)]


def test_the_sender_is_the_tokens_whatever_the_frame_says() -> None:
    world = World(ANN, BOB)
    ann = world.join(ANN)
    say(ann, 1, sender=BOB, device=device_id(7))
    world.settle()
    (entry,) = world.store.entries(TALK)
    assert (entry.sender, entry.device) == (ANN, device_id(1))


def test_notes_to_oneself_reach_the_other_device() -> None:
    world = World(ANN)
    ann, phone = world.join(ANN), world.join(ANN, 2)
    say(ann, 1, to=ANN)
    world.settle()
    assert acks(ann) == [(1, 1, False)]
    assert len(phone.take("message")) == 1


# ---- what is refused


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"conversation": TALK, "to": BOB}, ("bad_request", "conversation")),
        ({"conversation": "x"}, ("bad_request", "conversation")),
        ({"conversation": direct_conversation(BOB, CAT)}, ("not_found", None)),
        ({"conversation": GROUP}, ("not_found", None)),
        ({"to": DAN}, ("not_found", None)),
        ({"to": "x"}, ("bad_request", "to")),
        ({"kind": "member"}, ("bad_request", "kind")),
        ({"kind": "edit"}, ("bad_request", "ref")),
        ({"ref": -1}, ("bad_request", "ref")),
        ({"ref": 9}, ("not_found", "ref")),
        ({"body": [1]}, ("bad_request", "body")),
        ({"body": {"text": 1}}, ("bad_request", "body.text")),
        ({"body": {"text": "x" * 17_000}}, ("too_large", "body")),
        ({"kind": "reaction", "ref": 1, "body": {"emoji": ""}}, ("bad_request", "body.emoji")),
    ],
)
def test_what_is_wrong_with_a_send_is_said_and_nothing_is_stored(
    fields: dict[str, Any], expected: tuple[str, str | None]
) -> None:
    world = World(ANN, BOB, CAT)
    ann = world.join(ANN)
    say(ann, 1, **fields)
    world.settle()
    (error,) = ann.take("error")
    assert (error["id"], error["client_id"]) == (1, client_id(1))
    assert (error["code"], error.get("field")) == expected
    assert not any(log.log for log in world.store.logs.values())
    assert ann.close_code is None


def test_a_stranger_has_no_conversation_loaded_for_it() -> None:
    world = World(ANN, BOB, CAT)
    make_group(world, ANN, BOB)
    before = world.router.statistics()["conversations_loaded"]
    cat = world.join(CAT)
    say(cat, 1, conversation=GROUP)
    say(cat, 2, conversation="g:00000077-0000-7000-8000-000000000000")
    world.settle()
    assert errors(cat) == [("not_found", None)] * 2
    assert world.router.statistics()["conversations_loaded"] == before


def test_a_reader_may_not_write() -> None:
    world = World(ANN, BOB)
    make_group(world, ANN)
    change_members(world, MemberBody(ANN, added=[BOB], roles={BOB: "reader"}))
    bob = world.join(BOB)
    say(bob, 1, conversation=GROUP)
    world.settle()
    assert errors(bob) == [("forbidden", None)]


def test_sends_are_limited_by_device_and_a_new_connection_fills_no_bucket() -> None:
    world = World(ANN, BOB, limits=Limits(sends_per_s=1, sends_burst=2))
    ann = world.join(ANN)
    for number in range(1, 4):
        say(ann, number)
    world.settle()
    (error,) = ann.take("error")
    assert error["code"] == "rate_limited"
    assert error["retry_after_s"] > 0
    again, phone = world.join(ANN), world.join(ANN, 2)
    say(again, 4)
    say(phone, 5)
    world.settle()
    assert errors(again) == [("rate_limited", None)]
    assert acks(phone) == [(5, 3, False)]


def test_a_conversation_takes_so_many_waiting_sends_and_no_more() -> None:
    world = World(ANN, BOB)
    ann = world.join(ANN)
    for number in range(1, SENDS_WAITING_PER_CONVERSATION + 2):
        say(ann, number)
    world.turn()
    assert errors(ann) == [("rate_limited", None)]
    world.settle()
    assert len(acks(ann)) == SENDS_WAITING_PER_CONVERSATION
    assert world.router.statistics()["sends_waiting"] == 0


# ---- once


def test_a_retry_gets_the_same_ack() -> None:
    world = World(ANN, BOB)
    ann, bob = world.join(ANN), world.join(BOB)
    say(ann, 1)
    world.settle()
    ann.take()
    say(ann, 1, retry=True)
    world.settle()
    assert acks(ann) == [(1, 1, True)]
    assert len(bob.take("message")) == 1


def test_the_same_send_twice_in_one_turn_is_one_entry() -> None:
    world = World(ANN, BOB)
    ann = world.join(ANN)
    say(ann, 1)
    say(ann, 1)
    say(ann, 2)
    world.settle()
    assert acks(ann) == [(1, 1, False), (1, 1, True), (2, 2, False)]


def test_a_retry_of_what_memory_has_forgotten_is_looked_up() -> None:
    world = World(ANN, BOB)
    ann = world.join(ANN)
    say(ann, 1)
    world.settle()
    world.start_router()
    world.store.log(TALK).log.extend(())
    ann = world.join(ANN)
    for number in range(2, 140):
        say(ann, number)
    world.settle()
    ann.take()
    say(ann, 1, retry=True)
    world.settle()
    assert acks(ann) == [(1, 1, True)]


def test_an_old_send_that_does_not_say_that_it_is_a_retry_is_caught_by_the_store() -> None:
    world = World(ANN, BOB)
    ann = world.join(ANN)
    for number in range(1, 140):
        say(ann, number)
    world.settle()
    ann.take()
    say(ann, 1)
    world.settle()
    assert acks(ann) == [(1, 1, True)]
    assert len(world.store.entries(TALK)) == 139


def test_the_same_client_id_for_something_else_is_a_conflict() -> None:
    world = World(ANN, BOB)
    ann = world.join(ANN)
    say(ann, 1, body={"text": "one", "n": 1.0})
    world.settle()
    ann.take()
    say(ann, 1, "two")
    say(ann, 1, body={"n": 1.0, "text": "one"})
    say(ann, 1, body={"text": "one", "n": 1.00})
    say(ann, 1, body={"text": "one", "n": 1.0}, ref=1)
    world.settle()
    assert [frame["type"] for frame in ann.take()] == ["error", "ack", "ack", "error"]
    assert len(world.store.entries(TALK)) == 1


def test_another_users_client_id_is_independent() -> None:
    world = World(ANN, BOB)
    ann, bob = world.join(ANN), world.join(BOB)
    say(ann, 1, "mine")
    say(bob, 1, "his", to=ANN)
    world.settle()
    assert [entry.sender for entry in world.store.entries(TALK)] == [ANN, BOB]


def test_the_retry_of_a_deleted_message_is_a_duplicate_whatever_its_body() -> None:
    world = World(ANN, BOB)
    ann = world.join(ANN)
    say(ann, 1, "secret")
    world.settle()
    say(ann, 2, kind="delete", ref=1, body={})
    world.settle()
    ann.take()
    say(ann, 1, "secret", retry=True)
    world.settle()
    assert acks(ann) == [(1, 1, True)]


def test_who_was_removed_still_gets_the_ack_of_what_it_had_sent() -> None:
    world = World(ANN, BOB)
    make_group(world, ANN, BOB)
    bob = world.join(BOB)
    say(bob, 1, conversation=GROUP)
    world.settle()
    bob.take()
    change_members(world, MemberBody(ANN, removed=[BOB]))
    bob.take()
    say(bob, 1, conversation=GROUP, retry=True)
    say(bob, 2, conversation=GROUP)
    world.settle()
    frames = bob.take("ack", "error")
    assert [frame.get("seq", frame.get("code")) for frame in frames] == [2, "not_found"]
