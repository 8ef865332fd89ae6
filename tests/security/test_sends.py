"""Watermarks, pages and sends with values that cannot be: rejected or without effect; nothing moves that should not."""

import json
from itertools import product
from typing import Any

import pytest

from tests.security.peer import Peer
from tests.security.world import Person, Target, direct, messages, new_id

NO_SEQS: list[Any] = [0, -1, 2**63, 2**64, 10**30, 1.5, 1.0, "9", "", None, True, [], {}, [1]]


def _pair(target: Target, texts: int = 5) -> tuple[Person, Person, str]:
    ann, bob = target.people("Ann", "Bob")
    for number in range(texts):
        ann.say(direct(ann, bob), str(number))
    return ann, bob, direct(ann, bob)


def _mark(peer: Peer, conversation: str, **seqs: int) -> None:
    """Mark, and wait until it is stored."""
    peer.send("mark", conversation=conversation, **seqs)
    peer.until("marks")


def test_a_mark_that_cannot_be_is_rejected_and_moves_no_cursor(target: Target) -> None:
    _, bob, conversation = _pair(target)
    with bob.open() as peer:
        _mark(peer, conversation, read=3)
        for field, seq in product(("delivered", "read"), [each for each in NO_SEQS if each is not None]):
            (error,) = peer.ask_text(json.dumps({"type": "mark", "conversation": conversation, field: seq, "id": 1}))
            assert (error["code"], error["field"], error["id"]) == ("bad_request", field, 1), seq
    listed = bob.listed(conversation)
    assert (listed["delivered"], listed["read"]) == (3, 3)


def test_a_mark_above_the_head_is_rejected(target: Target) -> None:
    _, bob, conversation = _pair(target)
    with bob.open() as peer:
        for field, seq in product(("delivered", "read"), (6, 7, 2**53)):
            (error,) = peer.ask_text(json.dumps({"type": "mark", "conversation": conversation, field: seq}))
            assert (error["code"], error["field"]) == ("bad_request", field)
        _mark(peer, conversation, read=5)
    listed = bob.listed(conversation)
    assert (listed["delivered"], listed["read"]) == (5, 5)


def test_a_mark_that_goes_back_or_is_repeated_moves_nothing(target: Target) -> None:
    ann, bob, conversation = _pair(target)
    with bob.open() as peer, ann.open() as anns:
        _mark(peer, conversation, read=4)
        for number in range(1_000):
            peer.send("mark", conversation=conversation, read=1 + number % 4, delivered=1 + number % 4)
        peer.ping()
        _mark(peer, conversation, read=5)
        told = [each["marks"][0] for each in anns.frames_until("marks")[-1:]]
        while told[-1]["read"] != 5:
            told.append(anns.until("marks")["marks"][0])
        reads = [each["read"] for each in told if each["user"] == bob.id]
        assert reads == sorted(reads)
        assert len(reads) < 20  # and not one for each of the thousand
    listed = bob.listed(conversation)
    assert (listed["delivered"], listed["read"]) == (5, 5)


def test_a_mark_of_nothing_is_rejected(target: Target) -> None:
    _, bob, conversation = _pair(target, 1)
    with bob.open() as peer:
        for fields in ({}, {"delivered": None}, {"read": None, "delivered": None}):
            (error,) = peer.ask_text(json.dumps({"type": "mark", "conversation": conversation, **fields}))
            assert error["code"] == "bad_request"


def test_delivered_by_rest_keeps_the_same_bounds(target: Target) -> None:
    _, bob, conversation = _pair(target)
    path = "/relay-service/delivered"
    assert bob.rest("POST", path, {"conversation": conversation, "seq": 3}).status == 204
    for seq in NO_SEQS:
        answer = bob.rest("POST", path, {"conversation": conversation, "seq": seq})
        assert (answer.status, answer.problem["field"]) == (422, "seq"), seq
    for seq in (6, 2**53, 2**63 - 1):
        assert bob.rest("POST", path, {"conversation": conversation, "seq": seq}).status in (400, 422), seq
    assert bob.rest("POST", path, {"conversation": conversation, "seq": 1}).status == 204
    assert bob.listed(conversation)["delivered"] == 3


# ---- pages


@pytest.mark.parametrize("field", ["after", "before", "limit"])
def test_a_pull_that_cannot_be_is_rejected(target: Target, field: str) -> None:
    _, bob, conversation = _pair(target)
    wrong = [each for each in NO_SEQS if each is not None and (field, each) != ("after", 0)]
    if field == "limit":
        wrong += [201, 10**9]
    with bob.open() as peer:
        for value in wrong:
            fields = {"after": 0, field: value} if field == "limit" else {field: value}
            answer = peer.ask("pull", conversation=conversation, **fields)
            assert (answer.get("code"), answer.get("field")) == ("bad_request", field), value


@pytest.mark.parametrize("field", ["after", "before", "around", "limit"])
def test_a_page_that_cannot_be_is_rejected(target: Target, field: str) -> None:
    _, bob, conversation = _pair(target)
    wrong = [
        "-1",
        "9223372036854775808",
        "1" * 40,
        "1.5",
        "1.0",
        "9 ",
        "٩",
        "0x1",
        "1e3",
        "",
        "null",
        "1,2",
        "' OR 1=1",
    ]
    if field != "after":
        wrong.append("0")
    if field == "limit":
        wrong += ["201", "1000000000"]
    for value in wrong:
        query = "".join(f"%{byte:02X}" for byte in value.encode())
        answer = bob.rest("GET", f"{messages(conversation)}?{field}={query}")
        assert (answer.status, answer.problem["field"]) == (422, field), value
    answer = bob.rest("GET", f"{messages(conversation)}?{field}=1&{field}=2")
    assert (answer.status, answer.problem["field"]) == (422, field)


def test_pages_beyond_the_ends_are_empty_or_whole(target: Target) -> None:
    _, bob, conversation = _pair(target)
    with bob.open() as peer:
        for fields, seqs in (
            ({"after": 5}, []),
            ({"after": 2**53}, []),
            ({"before": 1}, []),
            ({"before": 2**53}, [1, 2, 3, 4, 5]),
            ({"after": 0, "limit": 1}, [1]),
        ):
            page = peer.ask("pull", conversation=conversation, **fields)
            assert [each["seq"] for each in page["messages"]] == seqs, fields
        assert peer.ask("pull", conversation=conversation, after=0, before=5)["code"] == "bad_request"
        assert peer.ask("pull", conversation=conversation)["code"] == "bad_request"
    for query in ("around=9223372036854775807", "after=9223372036854775807", "before=9223372036854775807"):
        assert bob.page(conversation, query)["head"] == 5


def test_a_pull_that_is_repeated_a_thousand_times_is_answered_or_refused_each_time(target: Target) -> None:
    _, bob, conversation = _pair(target)
    with bob.open() as peer:
        for number in range(1_000):
            peer.send("pull", id=number, conversation=conversation, after=0, limit=1)
        answers: dict[int, Any] = {}
        while len(answers) < 1_000:
            answer = peer.read()
            if answer["type"] != "marks":
                assert answers.setdefault(answer["id"], answer.get("code", answer["type"])) in ("page", "rate_limited")
        assert "page" in answers.values()
        peer.ping()


# ---- one client_id


CHANGES: dict[str, dict[str, Any]] = {
    "another text": {"body": {"text": "other"}},
    "another key": {"body": {"text": "0", "x": 1}},
    "another number": {"body": {"text": "0", "n": 1.0}},
    "another kind": {"kind": "reaction", "ref": 1, "body": {"emoji": "x"}},
    "another ref": {"ref": 1},
}


@pytest.mark.parametrize("is_old", [False, True], ids=["new", "old"])
@pytest.mark.parametrize("kind", CHANGES)
def test_a_client_id_with_something_else_is_a_conflict_and_no_second_entry(
    target: Target, kind: str, is_old: bool
) -> None:
    ann, bob, conversation = _pair(target, 1)
    send = {"client_id": new_id(), "conversation": conversation, "body": {"text": "0", "n": 1}}
    head = 2
    with ann.open() as peer:
        assert peer.ask("send", **send)["seq"] == 2
        if is_old:  # so old that it is not among the entries in memory
            for number in range(150):
                peer.send("send", id=number, client_id=new_id(), conversation=conversation, body={"text": "x"})
            head = 2 + sum(peer.answer(number)["type"] == "ack" for number in range(150))
        changed = {**send, **CHANGES[kind], "retry": is_old}
        answer = peer.ask("send", **changed)
        assert (answer["code"], answer["client_id"]) == ("conflict", send["client_id"])
        del changed["conversation"], changed["retry"]
        assert ann.rest("POST", messages(conversation), changed).problem["code"] == "conflict"
        assert peer.ask("send", **send, retry=True)["duplicate"] is True
    assert bob.page(conversation)["head"] == head


def test_a_client_id_that_comes_twice_at_once_makes_one_entry(target: Target) -> None:
    ann, bob, conversation = _pair(target, 0)
    devices = [ann, *(ann.log_in_again() for _ in range(3))]
    send = {"client_id": new_id(), "to": bob.id}
    peers = [device.open() for device in devices]
    try:
        for number, peer in enumerate(peers):
            peer.send("send", id=1, body={"text": str(number % 2)}, **send)
        answers = [peer.answer(1) for peer in peers]
        assert sorted(str(each.get("code", each["type"])) for each in answers) == ["ack"] * 2 + ["conflict"] * 2
    finally:
        for peer in peers:
            peer.sock.close()
    assert bob.page(conversation)["head"] == 1


def test_the_same_said_in_another_spelling_of_json_is_a_duplicate(target: Target) -> None:
    ann, bob, conversation = _pair(target, 0)
    head = f'{{"type":"send","id":1,"client_id":"{new_id()}","to":"{bob.id}","body":'
    with ann.open() as peer:
        first = peer.ask_about(head + '{"text":"é","x":1}}', 1)
        second = peer.ask_about(head + '{ "x" : 1, "text" : "\\u00e9" }}', 1)
        assert (first["seq"], second["seq"], second["duplicate"]) == (1, 1, True)
    assert bob.page(conversation)["head"] == 1


def test_the_client_id_of_another_user_or_conversation_is_independent(target: Target) -> None:
    ann, bob, conversation = _pair(target, 0)
    eve = target.register("Eve")
    client_id = new_id()
    first = ann.say(conversation, "of Ann", client_id=client_id)
    second = bob.say(conversation, "of Bob", client_id=client_id)
    third = ann.say(direct(ann, eve), "to Eve", client_id=client_id)
    assert [each["seq"] for each in (first, second, third)] == [1, 2, 1]
    assert not any(each["duplicate"] for each in (first, second, third))


# ---- who sends


FORGED = {"sender": "", "user": "", "device": "", "seq": 77, "time_ms": 1, "hidden_from": "", "via": "service"}


@pytest.mark.parametrize("field", FORGED)
def test_what_a_send_says_of_itself_counts_for_nothing(target: Target, field: str) -> None:
    ann, bob, conversation = _pair(target, 0)
    said = {field: FORGED[field] or bob.id}
    with ann.open() as peer, bob.open() as bobs:
        ack = peer.ask("send", client_id=new_id(), to=bob.id, body={"text": "by socket", **said}, **said)
        pushed = bobs.until("message")
    ann.say(conversation, "by REST", **said)
    by_socket, by_rest = bob.page(conversation)["messages"]
    for entry in (by_socket, by_rest, pushed):
        assert (entry["sender"], entry["device"]) == (ann.id, ann.device)
        assert entry["time_ms"] > 1_600_000_000_000
    assert (by_socket["seq"], by_rest["seq"], ack["seq"]) == (1, 2, 1)
    assert by_socket["body"] == {"text": "by socket", **said}  # a body is kept as it is


def test_a_send_to_a_user_that_does_not_exist_is_refused_as_one_to_a_stranger_is(target: Target) -> None:
    ann = target.register()
    with ann.open() as peer:
        nobody = new_id()
        answer = peer.ask("send", client_id=new_id(), to=nobody, body={"text": "x"})
        assert answer["code"] == "not_found"
    path = messages(f"d:{min(ann.id, nobody)}:{max(ann.id, nobody)}")
    assert ann.rest("POST", path, {"client_id": new_id(), "body": {"text": "x"}}).problem["code"] == "not_found"
