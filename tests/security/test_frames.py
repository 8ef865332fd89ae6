"""Broken WebSocket frames, before and after hello: the right close code in a Close frame, in order, and flat memory."""

from collections.abc import Callable

import pytest

from tests.protocol.client_frames import BINARY, CLOSE, PING, PONG, TEXT, close, frame, more, text
from tests.security.peer import Peer
from tests.security.world import Person, Target

LIMIT = 64 * 1_024
KEPT = b'{"type":"ping"}'

BROKEN: dict[str, tuple[int, bytes]] = {
    "64 KiB and a byte": (1009, frame(TEXT, b"a" * (LIMIT + 1))),
    "64 KiB and a byte, declared": (1009, frame(TEXT, declared=LIMIT + 1)),
    "64 KiB and a byte in two fragments": (1009, text(b"a" * LIMIT, fin=False) + more(b"a", fin=True)),
    "2^62 bytes declared": (1009, frame(TEXT, declared=1 << 62)),
    "2^63 - 1 bytes declared": (1009, frame(TEXT, declared=(1 << 63) - 1)),
    "2^63 bytes declared": (1002, frame(TEXT, declared=1 << 63)),
    "2^62 bytes declared of a fragment": (1009, text(b"a", fin=False) + frame(0, declared=1 << 62)),
    "unmasked text": (1002, frame(TEXT, KEPT, mask=None)),
    "unmasked ping": (1002, frame(PING, b"", mask=None)),
    "unmasked Close": (1002, frame(CLOSE, b"\x03\xe8", mask=None)),
    **{f"reserved bit {bit:#x}": (1002, frame(TEXT, KEPT, reserved=bit)) for bit in (0x40, 0x20, 0x10, 0x70)},
    **{f"reserved bit of a ping {bit:#x}": (1002, frame(PING, reserved=bit)) for bit in (0x40, 0x20, 0x10)},
    **{f"opcode {code:#x}": (1002, frame(code, KEPT)) for code in (3, 4, 5, 6, 7, 0xB, 0xC, 0xD, 0xE, 0xF)},
    "bad UTF-8": (1007, text(b'{"type":"\xff"}')),
    "overlong UTF-8": (1007, text(b"\xc0\xaf")),
    "a surrogate in UTF-8": (1007, text(b"\xed\xa0\x80")),
    "beyond Unicode": (1007, text(b"\xf4\x90\x80\x80")),
    "UTF-8 that is cut": (1007, text(b"\xe2\x82")),
    "bad UTF-8 split over fragments": (1007, text(b"\xe2\x82", fin=False) + more(b"\x28", fin=True)),
    "UTF-8 that is cut at the last fragment": (1007, text(b"a\xe2", fin=False) + more(b"\x82", fin=True)),
    "bad UTF-8 in a first fragment": (1007, text(b"\xff", fin=False)),
    "bad UTF-8 in the middle of a long frame": (1007, frame(TEXT, b"\xff" * 10, declared=1_000)),
    "binary": (1003, frame(BINARY, KEPT)),
    "binary, empty": (1003, frame(BINARY)),
    "binary fragment": (1003, frame(BINARY, KEPT, fin=False)),
    "a long ping": (1002, frame(PING, b"a" * 126)),
    "a long pong": (1002, frame(PONG, b"a" * 126)),
    "a long Close": (1002, frame(CLOSE, b"\x03\xe8" + b"a" * 124)),
    "a fragmented ping": (1002, frame(PING, fin=False)),
    "a fragmented Close": (1002, frame(CLOSE, b"\x03\xe8", fin=False)),
    "a continuation of nothing": (1002, more(KEPT, fin=True)),
    "text within a fragmented text": (1002, text(b"{", fin=False) + text(b"}")),
    "fragments without end": (1008, text(b"a", fin=False) + more(b"", fin=False) * 5_000),
    "a Close with half a code": (1002, frame(CLOSE, b"\x03")),
    **{
        f"a Close with code {code}": (1002, close(code)) for code in (0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65535)
    },
    "a Close with a reason that is not UTF-8": (1007, close(1000, b"\xff")),
}


@pytest.mark.parametrize("is_known", [False, True], ids=["before hello", "after hello"])
@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_frame_is_answered_by_a_close_frame_with_its_code(
    target: Target, somebody: Person, kind: str, is_known: bool
) -> None:
    code, sent = BROKEN[kind]
    with somebody.open() if is_known else Peer(target.port) as peer:
        peer.send_bytes(sent)
        assert peer.close_code() == code


def test_a_broken_frame_byte_by_byte_is_answered_the_same(target: Target) -> None:
    for code, sent in list(BROKEN.values())[3:40]:
        with Peer(target.port) as peer:
            try:
                for byte in sent:
                    peer.send_bytes(bytes((byte,)))
            except (BrokenPipeError, ConnectionResetError):
                pass
            assert peer.close_code() == code


def test_what_was_sent_before_a_broken_frame_counts(target: Target) -> None:
    with target.register().open() as peer:
        peer.send_bytes(text(b'{"type":"ping","id":1}') + frame(0x7))
        assert peer.read()["type"] == "pong"
        assert peer.close_code() == 1002


@pytest.mark.parametrize("code", [1000, 1001, 1011, 3000, 4999])
def test_a_close_frame_is_echoed(target: Target, code: int) -> None:
    with target.register().open() as peer:
        peer.send_bytes(close(code, "schön".encode()))
        assert peer.close_code() == code


def test_frames_behind_a_close_frame_do_nothing(target: Target) -> None:
    ann, bob = target.people("Ann", "Bob")
    first = ann.rest("POST", "/group-service/groups", {"name": "two", "members": [{"user": bob.id}]}).json
    with ann.open() as peer:
        late = (
            f'{{"type":"send","client_id":"{ann.id}","conversation":"{first["conversation"]}","body":{{"text":"x"}}}}'
        )
        peer.send_bytes(close(1000) + text(late) + b"\xff" * 1_000)
        assert peer.close_code() == 1000
    assert ann.page(first["conversation"])["head"] == 1


TOO_MUCH: dict[str, Callable[[Peer], None]] = {
    "frames of 64 KiB and a byte": lambda peer: peer.send_bytes(BROKEN["64 KiB and a byte"][1]),
    "frames of 2^62 bytes": lambda peer: peer.send_bytes(BROKEN["2^62 bytes declared"][1]),
    "fragments above 64 KiB": lambda peer: peer.send_bytes(BROKEN["64 KiB and a byte in two fragments"][1]),
}


@pytest.mark.parametrize("kind", TOO_MUCH)
def test_too_much_in_a_frame_leaves_memory_flat(target: Target, kind: str) -> None:
    def attack() -> None:
        for _ in range(60):
            with Peer(target.port) as peer:
                TOO_MUCH[kind](peer)
                assert peer.close_code() == 1009

    attack()
    before_kib = target.resident_kib()
    attack()
    assert target.resident_kib() - before_kib < 6 * 1_024


def test_half_a_frame_of_a_great_declared_length_holds_no_memory_for_the_rest(target: Target) -> None:
    peers = [Peer(target.port) for _ in range(20)]
    before_kib = target.resident_kib()
    more_peers = [Peer(target.port) for _ in range(200)]
    try:
        for peer in more_peers:
            peer.send_bytes(frame(TEXT, b"{", declared=LIMIT))
        peers[0].send("ping")
        assert peers[0].close_code() == 4501
        assert target.resident_kib() - before_kib < 8 * 1_024  # 200 frames of 64 KiB would be 12.5 MiB
    finally:
        for peer in (*peers, *more_peers):
            peer.sock.close()
