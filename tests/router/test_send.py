"""send: what is taken, refused, deduplicated and told to whom; rules 1, 2, 3, 5 and 11 of order."""

from typing import Any

import pytest

from core.base.errors import Rejected, Unavailable
from core.base.ids import direct_conversation
from core.base.limits import SENDS_WAITING_PER_CONVERSATION, Limits
from core.base.records import Conflict, Duplicate, MemberBody, Refused, Send
from tests.router.world import (
    ANN,
    BOB,
    CAT,
    DAN,
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


def say(connection: Connection, number: int, text: str = "hi", **fields: Any) -> None:
    """Send a text to BOB, or whatever `fields` say."""
    target = {} if "conversation" in fields or "to" in fields else {"to": BOB}
    body = {} if "body" in fields else {"body": {"text": text}}
    connection.say(type="send", id=number, client_id=client_id(number), **target, **body, **fields)


def acks(connection: Connection) -> list[tuple[int, int, bool]]:
    return [(frame["id"], frame["seq"], frame["duplicate"]) for frame in connection.take("ack")]


def errors(connection: Connection) -> list[tuple[str, str | None]]:
    return [(frame["code"], frame.get("field")) for frame in connection.take("error")]


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


# ---- outcomes of appends


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


# ---- edits, deletions, reactions, replies


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


def test_unavailable_is_said_with_when_to_come_again() -> None:
    world = World(ANN, BOB)
    ann = world.join(ANN)
    say(ann, 1)
    world.fail("load", Unavailable("away", retry_after_s=2))
    world.settle()
    assert ann.take("error")[0]["retry_after_s"] == 2
