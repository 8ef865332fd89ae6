"""What holds for every input: any split gives the same events, and whatever comes ends with a legal code."""

from itertools import pairwise
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from core.base.errors import ProtocolViolation
from core.protocol.frames import close_frame, text_frame
from core.protocol.websocket import CloseReceived, Ping, Pong, WebSocket
from tests.protocol.client_frames import BINARY, CLOSE, PING, PONG, TEXT, close, frame, text
from tests.protocol.test_websocket import seen

BYTES_MAX = 300

payloads = st.one_of(
    st.text(max_size=20).map(str.encode),
    st.integers(0, BYTES_MAX).map(lambda size: b"x" * size),
    st.binary(max_size=10),
)
masks = st.binary(min_size=4, max_size=4)
good_frames = st.builds(frame, st.sampled_from((TEXT, PING, PONG)), st.text(max_size=30).map(str.encode), mask=masks)
odd_frames = st.builds(
    frame,
    st.sampled_from((0, TEXT, TEXT, TEXT, BINARY, CLOSE, PING, PONG, 0x3, 0xB)),
    payloads,
    fin=st.booleans(),
    reserved=st.sampled_from((0, 0, 0, 0, 0x40)),
    mask=st.one_of(masks, masks, st.none()),
)
streams = st.lists(st.one_of(good_frames, good_frames, odd_frames, st.binary(max_size=5)), max_size=12).map(b"".join)


def received(pieces: list[bytes], **options: bool) -> list[Any]:
    websocket = WebSocket(BYTES_MAX, **options)
    return [seen(event) for piece in pieces for event in websocket.receive(piece)]


@given(streams, st.lists(st.integers(0, 4_000), max_size=20), st.booleans())
@example(text("a" * 126) + text("b"), [2, 3, 7], False)
def test_any_split_gives_the_same_events(stream: bytes, cuts: list[int], is_binary_taken: bool) -> None:
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    pieces = [stream[start:stop] for start, stop in pairwise(edges)]
    whole = received([stream], is_binary_taken=is_binary_taken)
    assert received(pieces, is_binary_taken=is_binary_taken) == whole
    assert received([bytes((byte,)) for byte in stream], is_binary_taken=is_binary_taken) == whole


@given(st.lists(st.text(max_size=80).map(str.encode).filter(lambda payload: len(payload) <= BYTES_MAX)), masks)
def test_what_a_client_encodes_is_what_comes_out(messages: list[bytes], mask: bytes) -> None:
    assert received([b"".join(frame(TEXT, message, mask=mask) for message in messages)]) == messages


@given(st.text(min_size=1, max_size=60).map(str.encode), st.lists(st.integers(0, 240), max_size=6), masks)
def test_however_a_message_is_fragmented_it_comes_out_whole(message: bytes, cuts: list[int], mask: bytes) -> None:
    edges = [0, *sorted(min(cut, len(message)) for cut in cuts), len(message)]
    parts = [message[start:stop] for start, stop in pairwise(edges)]
    last = len(parts) - 1
    frames = [frame(TEXT if at == 0 else 0, part, fin=at == last, mask=mask) for at, part in enumerate(parts)]
    assert received([b"".join(frames)]) == [message]


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_garbage_raises_nothing_and_ends_at_most_once_with_a_legal_code(pieces: list[bytes]) -> None:
    websocket = WebSocket(BYTES_MAX)
    events = [event for piece in pieces for event in websocket.receive(piece)]
    for event in events[:-1]:
        assert isinstance(event, bytes | Ping | Pong)
    if websocket.is_ended:
        assert isinstance(events[-1], ProtocolViolation | CloseReceived)
    if events and isinstance(events[-1], ProtocolViolation):
        assert events[-1].close_code in {1002, 1003, 1007, 1008, 1009}


@given(
    st.one_of(
        st.text(max_size=200), st.sampled_from((125, 126, 127, 65_535, 65_536, 70_000)).map(lambda size: "x" * size)
    )
)
def test_a_server_frame_is_a_client_frame_without_its_mask(message: str) -> None:
    assert text_frame(message.encode()) == frame(TEXT, message.encode(), mask=None)


@given(st.integers(3000, 4999), st.text(max_size=200))
def test_a_close_frame_is_read_back_with_as_much_of_its_reason_as_fits(code: int, reason: str) -> None:
    sent = close_frame(code, reason)
    assert len(sent) <= 127
    (event,) = received([close(code, sent[4:])])
    assert isinstance(event, CloseReceived)
    assert event.code == int.from_bytes(sent[2:4]) == code
    assert reason.startswith(event.reason)
    assert len(event.reason.encode()) >= min(len(reason.encode()), 120)
