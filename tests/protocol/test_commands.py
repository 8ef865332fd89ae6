"""Frames from clients: what is understood, what is refused by its field, what an error can repeat."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.base.errors import Rejected
from core.protocol.commands import Hello, MarkCommand, Pull, SendCommand, decode, named

UUID = "00000001-0000-7000-8000-000000000000"


def refusal(frame: str) -> tuple[str, str | None]:
    with pytest.raises(Rejected) as caught:
        decode(frame.encode())
    assert caught.value.code == "bad_request"
    return caught.value.message, caught.value.field


def test_a_send_keeps_its_body_as_bytes() -> None:
    command = decode(
        b'{"type":"send","client_id":"%s","to":"%s","body":{ "text" : 1.50 }}' % (UUID.encode(), UUID.encode())
    )
    assert isinstance(command, SendCommand)
    assert bytes(command.body) == b'{ "text" : 1.50 }'
    assert (command.kind, command.ref, command.retry) == ("text", 0, False)


def test_what_is_left_out_has_its_default_and_what_is_unknown_is_ignored() -> None:
    hello = decode(b'{"type":"hello","future":{"a":[1]}}')
    assert isinstance(hello, Hello)
    assert (hello.token, hello.since, hello.replay, hello.replay_each) == (None, None, 1_000, 100)
    pull = decode(b'{"type":"pull","conversation":"c","after":0}')
    assert isinstance(pull, Pull)
    assert (pull.after, pull.before, pull.limit) == (0, None, 100)


def test_of_a_key_that_stands_twice_the_last_counts() -> None:
    mark = decode(b'{"type":"mark","conversation":"a","conversation":"b","read":1,"read":2}')
    assert isinstance(mark, MarkCommand)
    assert (mark.conversation, mark.read) == ("b", 2)


@pytest.mark.parametrize(
    ("frame", "field"),
    [
        ("[]", None),
        ("5", None),
        ("{", None),
        ("{}", "type"),
        ('{"type":"nothing"}', "type"),
        ('{"type":null}', "type"),
        ('{"type":"ping","id":1.5}', "id"),
        ('{"type":"ping","id":true}', "id"),
        ('{"type":"ping","id":{}}', "id"),
        ('{"type":"ping","id":"' + "x" * 65 + '"}', "id"),
        ('{"type":"send","body":{}}', "client_id"),
        ('{"type":"send","client_id":"' + UUID.upper().replace("0", "A") + '"}', "client_id"),
        ('{"type":"send","client_id":"' + UUID + '\\n"}', "client_id"),
        ('{"type":"send","client_id":"' + UUID + '","kind":"group"}', "kind"),
        ('{"type":"send","client_id":"' + UUID + '","retry":"yes"}', "retry"),
        ('{"type":"send","client_id":"' + UUID + '","ref":-1}', "ref"),
        ('{"type":"mark","read":1}', "conversation"),
        ('{"type":"mark","conversation":"c","read":1e3}', "read"),
        ('{"type":"pull","conversation":"c","limit":201}', "limit"),
        ('{"type":"typing","conversation":"c"}', "on"),
        ('{"type":"watch"}', "users"),
        ('{"type":"watch","users":"x"}', "users"),
        ('{"type":"hello","replay":9007199254740993}', "replay"),
    ],
)
def test_a_bad_frame_is_refused_by_its_field(frame: str, field: str | None) -> None:
    assert refusal(frame)[1] == field


def test_a_refusal_quotes_no_more_than_a_line() -> None:
    assert len(refusal('{"type":"' + "x" * 60_000 + '"}')[0]) <= 200


def test_an_error_can_repeat_what_is_known_of_a_bad_frame() -> None:
    found = named(b'{"type":"send","id":7,"client_id":"c","ref":"x"}')
    assert (found.id, found.client_id, found.type) == (7, "c", "send")
    assert named(b"nonsense").id is None
    assert named(b'{"client_id":"%s"}' % (b"x" * 65)).client_id is None


@given(st.binary(max_size=80) | st.text(alphabet='{}[]":,\\ud0987typeinghlo ', max_size=80).map(str.encode))
def test_whatever_comes_is_understood_or_refused(frame: bytes) -> None:
    try:
        answer = str(decode(frame))
    except Rejected as error:
        answer = error.code
    assert answer == "bad_request" or "(" in answer
    named(frame)


@pytest.mark.parametrize(
    "frame",
    [
        b"[" * 65_000,
        b'{"type":"ping","x":' + b"[" * 30_000 + b"]" * 30_000 + b"}",
        b'{"type":"ping","x":' + b"1" * 65_000 + b"}",
        b"{" + b",".join(b'"%d":1' % number for number in range(6_000)) + b"}",
    ],
)
def test_frames_made_to_cost_much_cost_little(frame: bytes) -> None:
    for _ in range(20):
        try:
            decode(frame)
        except Rejected:
            named(frame)
