"""The server's half of RFC 6455, branch by branch; the sections are those of the RFC."""

import tracemalloc
from typing import Any

import pytest

from core.base.errors import ProtocolViolation
from core.base.limits import FRAGMENT_BYTES_MEAN, FRAGMENTS_SPARE
from core.protocol.websocket import Binary, CloseReceived, Event, Ping, Pong, WebSocket
from tests.protocol.client_frames import BINARY, CLOSE, PING, PONG, TEXT, close, frame, more, text

BYTES_MAX = 1_000


def seen(event: Event) -> Any:
    """An event as something that compares: a violation by its code."""
    return event.close_code if isinstance(event, ProtocolViolation) else event


def receive(data: bytes, bytes_max: int = BYTES_MAX, **options: bool) -> list[Any]:
    """The events of a new connection's input; the same when it comes byte by byte."""
    events = [seen(event) for event in WebSocket(bytes_max, **options).receive(data)]
    websocket = WebSocket(bytes_max, **options)
    trickled = [seen(event) for byte in data for event in websocket.receive(bytes((byte,)))]
    assert trickled == events
    return events


# ---- messages


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5, 124, 125, 126, 127, 999, 1_000])
def test_a_text_of_any_length_comes_out_unmasked(size: int) -> None:
    payload = bytes(ord("a") + at % 26 for at in range(size))
    assert receive(text(payload)) == [payload]


def test_a_text_longer_than_16_bits_of_length_comes_out_unmasked() -> None:
    payload = b"0123456789" * 7_000
    assert WebSocket(100_000).receive(text(payload)) == [payload]


def test_several_texts_in_one_input_come_out_in_order() -> None:
    assert receive(text("a") + text("b") + text("c")) == [b"a", b"b", b"c"]


@pytest.mark.parametrize("length_bytes", [2, 8])
def test_a_length_in_a_longer_form_than_needed_is_read(length_bytes: int) -> None:
    assert receive(frame(TEXT, b"hi", length_bytes=length_bytes)) == [b"hi"]


def test_text_of_all_widths_of_utf_8_is_taken() -> None:
    payload = "a\u00e9\u20ac\U0001f600\U0010ffff".encode()
    assert receive(text(payload)) == [payload]


def test_fragments_become_one_message() -> None:
    data = text("one ", fin=False) + more("two ", fin=False) + more("", fin=False) + more("three", fin=True)
    assert receive(data) == [b"one two three"]


def test_a_fragmented_message_may_be_empty() -> None:
    assert receive(text("", fin=False) + more("", fin=True)) == [b""]


def test_a_character_may_be_split_over_fragments() -> None:
    euro = "\u20ac".encode()
    assert receive(text(euro[:1], fin=False) + more(euro[1:], fin=True)) == [euro]


def test_control_frames_may_come_between_fragments() -> None:
    data = text("a", fin=False) + frame(PING, b"p") + frame(PONG) + more("b", fin=True) + text("c")
    assert receive(data) == [Ping(b"p"), Pong(b""), b"ab", b"c"]


def test_an_idle_connection_keeps_nothing() -> None:
    websocket = WebSocket(BYTES_MAX)
    websocket.receive(text("a", fin=False) + frame(PING) + more("b", fin=True) + text("c") + frame(PONG))
    assert websocket._incomplete is None


# ---- section 5: framing


def test_an_unmasked_frame_is_1002() -> None:
    assert receive(text("good") + frame(TEXT, b"bad", mask=None) + text("late")) == [b"good", 1002]


@pytest.mark.parametrize("reserved", [0x10, 0x20, 0x40, 0x70])
def test_reserved_bits_are_1002(reserved: int) -> None:
    assert receive(frame(TEXT, b"x", reserved=reserved)) == [1002]
    assert receive(frame(PING, b"x", reserved=reserved)) == [1002]


@pytest.mark.parametrize("opcode", [0x3, 0x4, 0x5, 0x6, 0x7, 0xB, 0xC, 0xD, 0xE, 0xF])
def test_reserved_opcodes_are_1002(opcode: int) -> None:
    assert receive(frame(opcode)) == [1002]


@pytest.mark.parametrize("opcode", [CLOSE, PING, PONG])
def test_a_fragmented_control_frame_is_1002(opcode: int) -> None:
    assert receive(frame(opcode, fin=False)) == [1002]


@pytest.mark.parametrize("opcode", [CLOSE, PING, PONG])
def test_a_control_frame_above_125_bytes_is_1002(opcode: int) -> None:
    assert receive(frame(opcode, b"x" * 126)) == [1002]
    assert receive(frame(opcode, b"", length_bytes=8, declared=1 << 62)) == [1002]


def test_a_ping_of_125_bytes_is_taken() -> None:
    assert receive(frame(PING, b"x" * 125)) == [Ping(b"x" * 125)]


def test_a_continuation_of_nothing_is_1002() -> None:
    assert receive(more("x", fin=True)) == [1002]
    assert receive(text("whole") + more("x", fin=False)) == [b"whole", 1002]


def test_a_new_message_within_a_fragmented_one_is_1002() -> None:
    assert receive(text("a", fin=False) + text("b")) == [1002]


def test_a_violation_shows_with_the_byte_that_shows_it() -> None:
    assert [seen(event) for event in WebSocket(BYTES_MAX).receive(b"\xf1")] == [1002]
    assert [seen(event) for event in WebSocket(BYTES_MAX).receive(b"\x81\x05")] == [1002]
    assert [seen(event) for event in WebSocket(BYTES_MAX).receive(b"\x82")] == [1003]


# ---- binary


def test_a_binary_message_is_1003() -> None:
    assert receive(frame(BINARY, b"x")) == [1003]
    assert receive(frame(BINARY, b"x", fin=False)) == [1003]


def test_a_binary_message_is_taken_where_that_was_asked_for() -> None:
    data = frame(BINARY, b"\xff") + frame(BINARY, b"\xfe", fin=False) + more(b"\xfd", fin=True)
    assert receive(data, is_binary_taken=True) == [Binary(b"\xff"), Binary(b"\xfe\xfd")]


# ---- section 8.1: UTF-8

BAD = {
    "a lone continuation": b"\x80",
    "an overlong slash": b"\xc0\xaf",
    "a surrogate": b"\xed\xa0\x80",
    "above the last plane": b"\xf4\x90\x80\x80",
    "a cut character": b"\xe2\x82",
    "a byte that never occurs": b"\xff",
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_bad_utf_8_is_1007(bad: bytes) -> None:
    assert receive(text("good") + text(b"caf\xc3\xa9 " + bad)) == [b"good", 1007]


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_bad_utf_8_over_fragments_is_1007(bad: bytes) -> None:
    assert receive(text(b"ok " + bad[:1], fin=False) + more(bad[1:], fin=True)) == [1007]


def test_bad_utf_8_fails_before_its_message_is_whole() -> None:
    websocket = WebSocket(BYTES_MAX)
    assert websocket.receive(text(b"ok \xf4", fin=False)) == []
    # The second byte shows it: of a frame of three, the others have not come.
    start = frame(0, b"\x90\x80\x80")[:7]
    assert [seen(event) for event in websocket.receive(start)] == [1007]


# ---- section 10.4: limits


def test_a_message_above_the_limit_is_1009() -> None:
    assert receive(text("good") + text("x" * (BYTES_MAX + 1))) == [b"good", 1009]
    assert receive(text("x" * 126), bytes_max=125) == [1009]
    assert receive(text("x" * 11), bytes_max=10) == [1009]


def test_fragments_above_the_limit_in_sum_are_1009_as_soon_as_one_declares_it() -> None:
    start = text("x" * BYTES_MAX, fin=False)
    assert receive(start + more("", fin=True)) == [b"x" * BYTES_MAX]
    assert receive(start + frame(0, b"", declared=1)) == [1009]


@pytest.mark.parametrize("declared", [1 << 16, 1 << 31, 1 << 32, 1 << 62])
def test_a_huge_declared_length_is_1009_and_allocates_nothing(declared: int) -> None:
    header = frame(TEXT, b"", declared=declared, length_bytes=8)
    websocket = WebSocket(BYTES_MAX)
    tracemalloc.start()
    try:
        events = websocket.receive(header)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [seen(event) for event in events] == [1009]
    assert peak < 10_000


def test_a_length_with_the_highest_bit_set_is_1002() -> None:
    assert receive(frame(TEXT, b"", declared=1 << 63, length_bytes=8)) == [1002]


def test_fragments_without_end_and_without_content_are_1008() -> None:
    allowed = FRAGMENTS_SPARE + BYTES_MAX // FRAGMENT_BYTES_MEAN
    data = text("", fin=False) + more("", fin=False) * allowed
    assert receive(data + more("", fin=True)) == [1008]
    assert receive(data[:-6] + more("", fin=True)) == [b""]


# ---- sections 5.5.1 and 7: closing


def test_a_close_has_a_code_and_a_reason_or_nothing() -> None:
    assert receive(close()) == [CloseReceived(1005, "")]
    assert receive(close(1000)) == [CloseReceived(1000, "")]
    assert receive(close(4999, "schön".encode())) == [CloseReceived(4999, "schön")]


def test_half_a_close_code_is_1002() -> None:
    assert receive(frame(CLOSE, b"\x03")) == [1002]


@pytest.mark.parametrize("code", [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535])
def test_a_close_code_that_must_not_be_sent_is_1002(code: int) -> None:
    assert receive(close(code)) == [1002]


@pytest.mark.parametrize(
    "code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4000, 4999]
)
def test_a_close_code_that_may_be_sent_is_taken(code: int) -> None:
    assert receive(close(code)) == [CloseReceived(code, "")]


def test_a_close_reason_that_is_not_utf_8_is_1007() -> None:
    assert receive(close(1000, b"\xff")) == [1007]


def test_nothing_is_read_after_a_close() -> None:
    websocket = WebSocket(BYTES_MAX)
    assert websocket.receive(close(1000) + text("late")) == [CloseReceived(1000, "")]
    assert websocket.is_ended
    assert websocket.receive(text("later")) == []


def test_nothing_is_read_after_a_violation() -> None:
    websocket = WebSocket(BYTES_MAX)
    websocket.receive(b"\xff")
    assert websocket.is_ended
    assert websocket.receive(text("later") + close(1000)) == []
