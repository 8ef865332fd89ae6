"""Frames of bad JSON: `error bad_request`, quickly; nothing is stored, nobody is told, and the connection lives."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.security.peer import Peer
from tests.security.world import Person, Target, direct, new_id

Make = Callable[[str], str | bytes]
"""A frame for a conversation."""


def _send(conversation: str, body: str, **fields: Any) -> str:
    rest = json.dumps({"type": "send", "client_id": new_id(), "conversation": conversation, **fields})
    return f'{rest[:-1]},"body":{body}}}'


def _raw(conversation: str, body: bytes) -> bytes:
    return _send(conversation, "@").encode().replace(b"@", body)


BAD: dict[str, Make] = {
    "nothing": lambda c: "",
    "white space": lambda c: " \n",
    "no JSON": lambda c: "hello",
    "a number": lambda c: "1",
    "a string": lambda c: '"ping"',
    "null": lambda c: "null",
    "a list": lambda c: '[{"type":"ping"}]',
    "half an object": lambda c: '{"type":"ping"',
    "two objects": lambda c: '{"type":"ping"}{"type":"ping"}',
    "a comment": lambda c: '{"type":"ping"}//',
    "a comma too many": lambda c: '{"type":"ping",}',
    "single quotes": lambda c: "{'type':'ping'}",
    "no type": lambda c: '{"id":1}',
    "an unknown type": lambda c: '{"type":"admin"}',
    "a type of the server's": lambda c: '{"type":"message"}',
    "an empty type": lambda c: '{"type":""}',
    "a type that is a list": lambda c: '{"type":["ping"]}',
    "a type that is null": lambda c: '{"type":null}',
    "a type in capitals": lambda c: '{"type":"PING"}',
    "10,000 lists deep": lambda c: '{"type":"ping","x":' + "[" * 10_000 + "]" * 10_000 + "}",
    "10,000 objects deep": lambda c: '{"type":"ping","x":' + '{"a":' * 10_000 + "1" + "}" * 10_000 + "}",
    "10,000 deep, unended": lambda c: "[" * 10_000,
    "a body 1,000 deep": lambda c: _send(c, '{"x":' * 1_000 + "1" + "}" * 1_000),
    "a body 7,000 lists deep": lambda c: _send(c, '{"x":' + "[" * 7_000 + "]" * 7_000 + "}"),
    "a body 33 deep": lambda c: _send(c, '{"x":' * 33 + "1" + "}" * 33),
    "a body of lists 32 deep below an object": lambda c: _send(c, '{"x":' + "[" * 32 + "]" * 32 + "}"),
    "9,000 keys without values": lambda c: "{" + ",".join(f'"{n}"' for n in range(9_000)) + "}",
    "an id of 60,000 digits": lambda c: '{"type":"ping","id":' + "1" * 60_000 + "}",
    "a ref of 60,000 digits": lambda c: _send(c, "{}").replace('"body"', '"ref":' + "1" * 60_000 + ',"body"'),
    "an exponent beyond floats": lambda c: '{"type":"ping","id":1e999}',
    "NaN": lambda c: '{"type":"ping","id":NaN}',
    "Infinity": lambda c: '{"type":"ping","id":-Infinity}',
    "NaN in a body": lambda c: _send(c, '{"text":"a","x":NaN}'),
    "a hexadecimal number in a body": lambda c: _send(c, '{"text":"a","x":0x10}'),
    "a leading zero in a body": lambda c: _send(c, '{"text":"a","x":01}'),
    "a high surrogate alone": lambda c: _send(c, '{"text":"\\ud800"}'),
    "a low surrogate alone": lambda c: _send(c, '{"text":"\\udc00 a"}'),
    "two high surrogates": lambda c: _send(c, '{"text":"\\ud800\\ud800"}'),
    "a surrogate in an unknown key": lambda c: _send(c, '{"text":"a","x":{"\\udfff":1}}'),
    "a surrogate deep in a body": lambda c: _send(c, '{"x":[[{"y":"\\ud83d"}]]}'),
    "a surrogate as id": lambda c: '{"type":"ping","id":"\\ud800"}',
    "an escaped NUL": lambda c: _send(c, '{"text":"a\\u0000b"}'),
    "an escaped NUL in a key": lambda c: _send(c, '{"text":"a","x\\u0000":1}'),
    "an escaped NUL deep in a body": lambda c: _send(c, '{"x":[{"y":"\\u0000"}]}'),
    "a NUL": lambda c: _raw(c, b'{"text":"a\0b"}'),
    "a line break in a string": lambda c: _raw(c, b'{"text":"a\nb"}'),
    "a wrong escape": lambda c: _send(c, '{"text":"\\x41"}'),
    "a byte order mark": lambda c: "\ufeff" + '{"type":"ping"}',
    "a body of text": lambda c: _send(c, '"text"'),
    "a body that is a list": lambda c: _send(c, '["text"]'),
    "a body that is null": lambda c: _send(c, "null"),
    "a body that is a number": lambda c: _send(c, "1"),
    "no body": lambda c: _send(c, "{}").replace(',"body":{}', ""),
    "a text that is a number": lambda c: _send(c, '{"text":1}'),
    "a text that is null": lambda c: _send(c, '{"text":null}'),
    "media that are text": lambda c: _send(c, '{"media":"abc"}'),
    "media of numbers": lambda c: _send(c, '{"media":[1]}'),
    "mentions that are an object": lambda c: _send(c, '{"mentions":{}}'),
    "a ciphertext that is a list": lambda c: _send(c, '{"ciphertext":[]}'),
    "a reaction without an emoji": lambda c: _send(c, "{}", kind="reaction", ref=1),
    "a reaction with an empty emoji": lambda c: _send(c, '{"emoji":""}', kind="reaction", ref=1),
    "a reaction with a long emoji": lambda c: _send(c, json.dumps({"emoji": "x" * 65}), kind="reaction", ref=1),
    "a reaction that is on by text": lambda c: _send(c, '{"emoji":"x","on":"yes"}', kind="reaction", ref=1),
    "an edit of nothing": lambda c: _send(c, '{"text":"x"}', kind="edit"),
    "a kind of the server's": lambda c: _send(c, '{"added":[]}', kind="member"),
    "a group change": lambda c: _send(c, '{"name":"x"}', kind="group"),
    "a hidden entry": lambda c: _send(c, "{}", kind="hidden"),
    "an empty kind": lambda c: _send(c, "{}", kind=""),
    "to and conversation": lambda c: _send(c, "{}", to=new_id()),
    "neither to nor conversation": lambda c: _send(c, "{}").replace(f'"conversation": "{c}", ', "").replace(c, ""),
    "a conversation that is SQL": lambda c: _send("d:' OR 1=1 --", "{}"),
    "a conversation in the wrong order": lambda c: _send(":".join(("d", *reversed(c.split(":")[1:]))), "{}"),
    "a conversation in capitals": lambda c: _send(c.upper(), "{}"),
    "a conversation with a NUL": lambda c: _send(c + "\0", "{}"),
    "a conversation of digits of other scripts": lambda c: _send("g:" + "١" * 36, "{}"),
    "a client_id in capitals": lambda c: _send(c, "{}", client_id=new_id().upper()),
    "a client_id with a line end": lambda c: _send(c, "{}", client_id=new_id() + "\n"),
}


@pytest.fixture(scope="module")
def pair(target: Target) -> Iterator[tuple[Person, str, Peer, Peer]]:
    """Ann, whose conversation with Bob has one text, and a connection of each."""
    ann, bob = target.people("Ann", "Bob")
    ann.say(direct(ann, bob))
    with ann.open() as anns, bob.open() as bobs:
        yield ann, direct(ann, bob), anns, bobs


Pair = tuple[Person, str, Peer, Peer]


@pytest.mark.parametrize("kind", BAD)
def test_a_frame_of_bad_json_is_an_error_and_nothing_else(pair: Pair, kind: str) -> None:
    ann, conversation, anns, bobs = pair
    head = ann.page(conversation)["head"]
    answers = anns.ask_text(BAD[kind](conversation))
    assert [(each["type"], each["code"]) for each in answers] == [("error", "bad_request")], answers
    assert answers[0]["message"]
    assert len(json.dumps(answers[0])) < 1_000
    assert ann.page(conversation)["head"] == head
    bobs.ping()


def test_a_body_above_its_limit_is_too_large_and_nothing_else(pair: Pair) -> None:
    ann, conversation, anns, _ = pair
    head = ann.page(conversation)["head"]
    (error,) = anns.ask_text(_send(conversation, json.dumps({"text": "x" * 16_384}), id=3))
    assert (error["code"], error["field"], error["id"]) == ("too_large", "body", 3)
    assert ann.page(conversation)["head"] == head


FIELDS: dict[str, dict[str, Any]] = {
    "renew": {"token": "t"},
    "send": {"client_id": new_id(), "conversation": "", "body": {"text": "a"}},
    "mark": {"conversation": "", "read": 1},
    "pull": {"conversation": "", "after": 0},
    "typing": {"conversation": "", "on": True},
    "watch": {"users": []},
}
OPTIONAL: dict[str, dict[str, Any]] = {
    "hello": {"token": "t", "device": "d", "since": "s", "replay": 1, "replay_each": 1},
    "send": {"to": new_id(), "kind": "text", "ref": 1, "retry": True},
    "mark": {"delivered": 1},
    "pull": {"before": 1, "limit": 1},
    "ping": {},
    "bye": {},
}
MAY_BE_LEFT_OUT = {("mark", "read"), ("send", "conversation"), ("pull", "after"), ("send", "body")}

VALUES: list[Any] = [None, True, 1.5, -1, "9", "", [], {}, [None], [1], {"a": 1}]


def _wrong(good: Any) -> list[Any]:
    """Values that cannot stand where `good` can."""
    if isinstance(good, bool):
        return [value for value in VALUES if value is not True]
    if isinstance(good, int):
        return [value for value in VALUES if value is not None]
    if isinstance(good, str):
        return [value for value in VALUES if not isinstance(value, str) and value is not None]
    if isinstance(good, list):
        return [value for value in VALUES if value != []]
    return [value for value in VALUES if not isinstance(value, dict)]


def _cases() -> Iterator[tuple[str, str, Any]]:
    for type_ in {**FIELDS, **OPTIONAL}:
        for name, good in {**FIELDS.get(type_, {}), **OPTIONAL.get(type_, {})}.items():
            for wrong in _wrong(good):
                yield type_, name, wrong
        for wrong in ([], {}, True, 1.5, "x" * 65, 2**63, -(2**63), 10**30):
            yield type_, "id", wrong


@pytest.mark.parametrize("type_", sorted({**FIELDS, **OPTIONAL}))
def test_a_field_of_a_wrong_type_is_told_by_its_name(pair: Pair, type_: str) -> None:
    ann, conversation, anns, _ = pair
    head = ann.page(conversation)["head"]
    for _, name, wrong in (case for case in _cases() if case[0] == type_):
        fields = {**FIELDS.get(type_, {}), name: wrong}
        if fields.get("conversation") == "":
            fields["conversation"] = conversation
        if name == "to":
            del fields["conversation"]
        answers = anns.ask_text(json.dumps({"type": type_, **fields}))
        told = [(each["code"], each["field"].partition("[")[0].partition(".")[0]) for each in answers]
        assert told == [("bad_request", name)], (type_, name, wrong, answers)
    assert ann.page(conversation)["head"] == head


@pytest.mark.parametrize(
    ("type_", "name"),
    [(t, n) for t, fields in FIELDS.items() for n in fields if (t, n) not in MAY_BE_LEFT_OUT],
)
def test_a_missing_field_is_told_by_its_name(pair: Pair, type_: str, name: str) -> None:
    _, conversation, anns, _ = pair
    fields = {key: value for key, value in FIELDS[type_].items() if key != name}
    if fields.get("conversation") == "":
        fields["conversation"] = conversation
    (error,) = anns.ask_text(json.dumps({"type": type_, "id": "mine", **fields}))
    assert (error["code"], error["field"], error["id"]) == ("bad_request", name, "mine")


def test_of_duplicate_keys_the_last_counts(pair: Pair) -> None:
    ann, conversation, anns, bobs = pair
    (error,) = anns.ask_text(_send(conversation, '{"text":"good","text":1}'))
    assert (error["code"], error["field"]) == ("bad_request", "body.text")
    answer = anns.ask_about(_send(conversation, '{"text":"first","text":"last"}', id=5), 5)
    assert answer["type"] == "ack"
    assert bobs.until("message")["body"] == {"text": "last"}
    assert ann.page(conversation)["messages"][-1]["body"] == {"text": "last"}


def test_a_frame_of_two_types_is_never_taken_for_the_first(pair: Pair) -> None:
    _, _, anns, _ = pair
    for first, second in (("bye", "ping"), ("ping", "admin"), ("admin", "ping")):
        (answer,) = anns.ask_text(f'{{"type":"{first}","id":1,"type":"{second}"}}')
        assert answer.get("code", answer["type"]) in ("bad_request", "pong")


def test_of_duplicate_conversations_the_last_counts_in_checks_as_well(target: Target) -> None:
    ann, bob, eve = target.people("Ann", "Bob", "Eve")
    theirs, own = direct(ann, bob), direct(eve, bob)
    ann.say(theirs)
    eve.say(own)
    with eve.open() as peer:
        for one, other, expected in ((own, theirs, "not_found"), (theirs, own, own)):
            pull = f'{{"type":"pull","conversation":"{one}","after":0,"conversation":"{other}","id":1}}'
            send = _send(one, '{"text":"x"}', id=2).replace('"body"', f'"conversation":"{other}","body"')
            for answer in (peer.ask_about(pull, 1), peer.ask_about(send, 2)):
                assert answer.get("code", answer.get("conversation")) == expected
    assert bob.page(theirs)["head"] == 1


def test_the_strangest_frames_take_no_time(pair: Pair, target: Target) -> None:
    _, conversation, anns, _ = pair
    for kind, make in BAD.items():
        payload = make(conversation)
        before = target.cpu_ticks()
        for _ in range(4):
            anns.send_text(payload)
        anns.ping()
        # 50 ms each, with room for what the process does beside.
        assert target.cpu_ticks() - before <= 4 * 5 + 5, kind
