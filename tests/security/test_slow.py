"""Slow and silent peers: each is ended within its time, and nobody else waits for them."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.protocol.client_frames import PING, TEXT, frame
from tests.security.peer import Peer, upgrade
from tests.security.web import connect
from tests.security.world import Target

HEAD_S = 10.0
SPARE_S = 4.0  # a tick, what ends politely, and a busy machine

POST_HEAD = b"POST /user-service/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"

SLOW = {
    "says nothing": (b"", b""),
    "a head, a byte a second": (b"", upgrade()),
    "half a head, then nothing": (upgrade()[:60], b""),
    "a header line without end, a byte a second": (b"GET /chat/ws HTTP/1.1\r\nX: ", b"A" * 1_000),
    "new header lines without end": (b"GET / HTTP/1.1\r\nHost: localhost\r\n", b"a:1\r\n" * 1_000),
    "a body, a byte a second": (POST_HEAD, b"A" * 1_000),
    "half a body, then nothing": (POST_HEAD + b'{"email":', b""),
    "chunks without end": (
        b"POST /user-service/auth/login HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"1\r\nA\r\n" * 1_000,
    ),
    "a second request, a byte a second": (
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nX: " + b"A" * 1_000,
    ),
}


class Dripping:
    """A connection that says a little a second."""

    def __init__(self, target: Target, start: bytes, rest: bytes) -> None:
        self.sock = connect(target.port)
        self.sock.sendall(start)
        self.sock.setblocking(False)
        self.rest = rest
        self.ended_s = 0.0

    def drip(self, now_s: float) -> None:
        """Say the next byte, unless the server has ended it."""
        try:
            while data := self.sock.recv(1 << 16):
                del data
            self.ended_s = now_s
        except BlockingIOError:
            pass
        except OSError:
            self.ended_s = now_s
        if not self.ended_s and self.rest:
            try:
                self.sock.send(self.rest[:1])
            except OSError:
                self.ended_s = now_s
            self.rest = self.rest[1:]


def test_slow_and_silent_peers_are_ended_in_time_and_others_do_not_notice(target: Target) -> None:
    with ExitStack() as stack:
        slow = {kind: Dripping(target, *bytes_) for kind, bytes_ in SLOW.items()}
        slow |= {f"half open {number}": Dripping(target, b"GET", b"") for number in range(200)}
        for each in slow.values():
            stack.callback(each.sock.close)
        other = stack.enter_context(target.register().open())
        started_s = time.monotonic()
        while any(not each.ended_s for each in slow.values()) and time.monotonic() - started_s < HEAD_S + SPARE_S:
            # The pause between two bytes: one that waits, and one whose answers must come meanwhile.
            with pacing(1.0):
                other.ping()
                assert target.rest("GET", "/healthz").status == 200
            for each in slow.values():
                if not each.ended_s:
                    each.drip(time.monotonic())
        late = [kind for kind, each in slow.items() if not each.ended_s]
        assert not late
        other.ping()
    target.lives()


@contextmanager
def pacing(seconds: float) -> Iterator[None]:
    """The block takes this long at least: what is left of it is waited for at a socket where nothing comes."""
    end_s = time.monotonic() + seconds
    yield
    one, other = socket.socketpair()
    with one, other:
        one.settimeout(max(0.001, end_s - time.monotonic()))
        with pytest.raises(TimeoutError):
            one.recv(1)


@pytest.mark.parametrize("start", [b"GET /" + b"A" * 20_000, b"GET / HTTP/1.1\r\nX: " + b"A" * 20_000])
def test_a_head_without_end_is_ended_at_its_limit(target: Target, start: bytes) -> None:
    with connect(target.port) as sock:
        sock.sendall(start)
        assert sock.recv(12) == b"HTTP/1.1 431"


def test_an_open_connection_that_does_not_say_hello_is_ended(hasty: Target) -> None:
    with Peer(hasty.port) as peer:
        assert peer.close_code() == 4501


def test_signs_of_life_do_not_stand_for_a_hello(hasty: Target) -> None:
    with Peer(hasty.port) as silent, Peer(hasty.port) as half:
        silent.send_bytes(frame(PING, b"I am here") * 3)
        half.send_bytes(frame(TEXT, b'{"type":"hello"')[:9])
        assert silent.close_code() == 4501
        assert half.close_code() == 4501


def test_a_flood_of_half_open_connections_costs_little_and_shuts_nobody_out(target: Target) -> None:
    person = target.register()
    before_kib = target.resident_kib()
    with ExitStack() as stack:
        for _ in range(800):
            sock = stack.enter_context(connect(target.port))
            sock.sendall(b"GET /chat/ws HTTP/1.1\r\nHost: localhost\r\nX: " + b"A" * 4_000)
        with person.open() as peer:
            peer.ping()
        assert target.resident_kib() - before_kib < 16 * 1_024
