"""The history format: its page names all that the code reads, lines survive a file, bad ones are named."""

import io
import re
from typing import get_args

import msgspec
import pytest

from core.history import records
from core.history.recorder import Recorder, body_digest
from core.history.records import BadHistory, Event, Where, decode, encode, read
from tests.history.world import prelude

PAGE = records.__doc__ or ""
TYPES: tuple[type[msgspec.Struct], ...] = get_args(Event)


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: str(kind.__struct_config__.tag))
def test_the_page_names_every_event_and_every_field(kind: type[msgspec.Struct]) -> None:
    described = re.search(rf"^    {kind.__struct_config__.tag} .*?(?=^    \w|^\w|^\Z)", PAGE + "\n", re.M | re.S)
    assert described, kind
    is_of_client = issubclass(kind, records.DeviceRecord)
    for field in set(kind.__struct_fields__) - ({"at_s", "user", "device"} if is_of_client else {"at_s"}):
        assert re.search(rf"\b{field}\b", described[0]), field


def test_the_page_names_every_field_of_an_entry() -> None:
    described = PAGE[PAGE.index("An **entry** is") :]
    assert all(re.search(rf"\b{field}\b", described) for field in records.Entry.__struct_fields__)


def test_what_is_recorded_is_read_again() -> None:
    events = prelude().end()
    file = io.BytesIO()
    recorder = Recorder(file)
    for event in events:
        recorder.record(event)
    assert file.getvalue().count(b"\n") == len(events)
    file.seek(0)
    lines = list(read(file, "a"))
    assert [line.event for line in lines] == events
    assert [str(line.where) for line in lines[:2]] == ["a:1", "a:2"]


def test_each_event_is_out_before_the_next() -> None:
    class Pipe(io.BytesIO):
        flushed = 0

        def flush(self) -> None:
            self.flushed += 1

    pipe = Pipe()
    Recorder(pipe).record(records.Healed(at_s=1.5))
    assert (pipe.getvalue(), pipe.flushed) == (b'{"type":"healed","at_s":1.5}\n', 1)


def test_a_client_in_another_language_may_write_what_the_page_says() -> None:
    line = b' { "at_s": 3, "conversation": "g:1", "type":"acked", "user":"a","device":"b","client_id":"c", '
    line += b'"seq":1,"connection":null}\r\n'
    assert decode(line, Where("h", 1)) == records.Acked(
        at_s=3.0, user="a", device="b", conversation="g:1", client_id="c", seq=1, connection=None
    )


def test_blank_lines_count_but_say_nothing() -> None:
    lines = list(read(io.BytesIO(b"\n  \n" + encode(records.Healed(at_s=1)) + b"\n"), "h"))
    assert [str(line.where) for line in lines] == ["h:3"]


GOOD = '{"type":"acked","at_s":1,"user":"a","device":"b","connection":1,"conversation":"g:1","client_id":"c","seq":1}'
BAD = {
    "cut": (GOOD[:40], "not an event: JSON is malformed"),
    "no JSON": ("seq 1", "not an event: JSON is malformed"),
    "no object": ("[]", "Expected `object`, got `array`"),
    "no type": ("{}", "Object missing required field `type`"),
    "an unknown type": (
        '{"type":"heard"}',
        "Invalid value 'heard' - at `$.type`; expected one of acked, applied, blocked",
    ),
    "a missing field": (GOOD.replace('"seq":1', '"duplicate":true'), "Object missing required field `seq`"),
    "an unknown field": (GOOD.replace('"seq":1', '"seq":1,"sqe":1'), "Object contains unknown field `sqe`"),
    "a wrong type": (GOOD.replace('"seq":1', '"seq":"1"'), "Expected `int`, got `str` - at `$.seq`"),
    "seq 0": (GOOD.replace('"seq":1', '"seq":0'), "Expected `int` >= 1 - at `$.seq`"),
    "seq 1.5": (GOOD.replace('"seq":1', '"seq":1.5'), "Expected `int`, got `float` - at `$.seq`"),
    "a seq above 2^63": (GOOD.replace('"seq":1', f'"seq":{2**63}'), "Expected `int` <= 9223372036854775807"),
    "a conversation that is none": (GOOD.replace("g:1", "x:1"), "Expected `str` matching regex"),
    "an empty name": (GOOD.replace('"a"', '""'), "Expected `str` of length >= 1 - at `$.user`"),
    "no number": (GOOD.replace('"at_s":1', '"at_s":NaN'), "JSON is malformed"),
    "an endless number": (GOOD.replace('"at_s":1', '"at_s":1e999'), "at_s"),
    "nested too deep": ('{"x":' + "[" * 100_000, "nested too deep"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_line_is_named_with_what_was_expected(name: str) -> None:
    line, expected = BAD[name]
    with pytest.raises(BadHistory) as caught:
        list(read(io.BytesIO(f"\n{line}\n".encode()), "some/file"))
    assert str(caught.value).startswith("some/file:2: ")
    assert expected in str(caught.value)


def test_text_that_is_no_utf8_is_a_bad_line() -> None:
    with pytest.raises(BadHistory, match="h:1: not an event"):
        decode(GOOD.encode().replace(b'"a"', b'"\xff"'), Where("h", 1))


def test_a_file_without_newlines_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "LINE_BYTES_MAX", 100)
    with pytest.raises(BadHistory, match="h:1: longer than 100 bytes; split a read_back by `more`"):
        list(read(io.BytesIO(b" " * 101), "h"))


def test_equal_bodies_have_equal_digests() -> None:
    assert body_digest({"text": "é", "media": []}) == body_digest({"media": [], "text": "\u00e9"})
    assert body_digest({"text": "a"}) != body_digest({"text": "b"})
    assert body_digest({}) is None
