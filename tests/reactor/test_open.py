"""Opening, echoing and handing over, over real loopback sockets."""

import socket
from typing import Any

import pytest
import trio

from core.protocol.handshake import Accepted, Refused
from core.reactor import listener
from tests.protocol.client_frames import close, frame, more, text
from tests.reactor.serving import UPGRADE, serving


async def test_a_websocket_opens_echoes_and_closes_with_the_peers_code() -> None:
    async with serving() as served:
        client = await served.open()
        assert await client.echo(b"hello") == b"hello"
        assert await client.close(4321) == 4321
        assert served.echo.closed == [4321]
        assert served.echo.accepted == [Accepted("claims")]
        request, peer = served.echo.requests[0]
        assert (request.path, peer) == ("/chat/ws", "127.0.0.1")
        await served.until(lambda: served.reactor.statistics().lingering == 0)
        assert served.reactor.statistics().connections == 0
        assert served.errors == []


async def test_a_close_without_a_code_is_answered_by_one_without() -> None:
    async with serving() as served:
        client = await served.open()
        await client.send(close())
        assert await client.read_close() == 1005
        assert served.echo.closed == [1005]


async def test_fragments_and_split_frames_arrive_as_messages() -> None:
    async with serving() as served:
        client = await served.open()
        stream = text("one ", fin=False) + frame(9, b"ping") + more("two", fin=True) + text("x" * 5_000)
        for start in range(0, len(stream), 700):
            await client.send(stream[start : start + 700])
        assert await client.read_frame() == (10, b"ping")
        assert await client.read_frame() == (1, b"one two")
        assert await client.read_frame() == (1, b"x" * 5_000)


async def test_the_head_may_come_byte_by_byte_and_frames_right_behind_it() -> None:
    async with serving() as served:
        client = await served.connect()
        for byte in UPGRADE[:-1]:
            await client.send(bytes((byte,)))
        await client.send(UPGRADE[-1:] + text("early"))
        assert (await client.read_head()).startswith(b"HTTP/1.1 101 ")
        assert await client.read_frame() == (1, b"early")


async def test_many_messages_of_one_read_are_answered_by_few_sends() -> None:
    async with serving() as served:
        client = await served.open()
        sends = served.reactor.statistics().counts.sends
        await client.send(text("m") * 500)
        for _ in range(500):
            assert await client.read_frame() == (1, b"m")
        assert served.reactor.statistics().counts.sends - sends < 50


async def test_the_application_may_refuse_an_upgrade() -> None:
    async with serving() as served:
        served.echo.decision = Refused(403, "not from there", "forbidden")
        client = await served.connect()
        await client.send(UPGRADE)
        response = await client.read_all()
        assert response.startswith(b"HTTP/1.1 403 Forbidden\r\n")
        assert b"not from there" in response
        assert served.echo.sessions == []


async def test_a_bad_upgrade_never_reaches_the_application() -> None:
    async with serving() as served:
        client = await served.connect()
        await client.send(UPGRADE.replace(b": 13", b": 12"))
        response = await client.read_all()
        assert response.startswith(b"HTTP/1.1 426 ")
        assert b"\r\nSec-WebSocket-Version: 13\r\n" in response
        assert served.echo.requests == []


async def test_nonsense_is_answered_with_400() -> None:
    async with serving() as served:
        client = await served.connect()
        await client.send(b"\x16\x03\x01 hello\r\n\r\n" + b"more" * 10_000)
        assert (await client.read_all()).startswith(b"HTTP/1.1 400 ")


async def test_a_head_without_end_is_answered_with_431_in_bounded_memory() -> None:
    async with serving() as served:
        client = await served.connect()
        await client.send(b"GET /chat/ws HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 100_000)
        assert (await client.read_all()).startswith(b"HTTP/1.1 431 ")


# ---- other connections


class Taker:
    """Takes connections over and keeps them."""

    def __init__(self) -> None:
        self.taken: list[tuple[socket.socket, bytes, Any]] = []

    def __call__(self, sock: socket.socket, head: bytes, address: Any) -> None:
        self.taken.append((sock, head, address))


async def test_another_request_is_handed_over_with_the_bytes_already_read() -> None:
    taker = Taker()
    request = b"POST /user-service/auth/login HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{part of"
    async with serving(taker) as served:
        client = await served.connect()
        await client.send(request)
        await served.until(lambda: taker.taken)
        ((sock, head, address),) = taker.taken
        assert head == request
        assert address[:2] == client.sock.getsockname()[:2]
        # The socket is the taker's alone now: nobody else reads it, or closes it.
        await client.send(b" a body")
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(sock))
        assert await stream.receive_some() == b" a body"
        await stream.send_all(b"HTTP/1.1 200 OK\r\n\r\n")
        assert (await client.read_head()).startswith(b"HTTP/1.1 200 ")
        assert served.reactor.statistics().counts.handed_over == 1
        await stream.aclose()


async def test_an_upgrade_for_another_path_is_handed_over() -> None:
    taker = Taker()
    async with serving(taker) as served:
        client = await served.connect()
        await client.send(UPGRADE.replace(b"/chat/ws", b"/media/ws"))
        await served.until(lambda: taker.taken)
        taker.taken[0][0].close()
        assert await client.read_all() == b""


async def test_a_taker_that_is_full_makes_it_503() -> None:
    async with serving() as served:
        client = await served.connect()
        await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        response = await client.read_all()
        assert response.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nRetry-After: 7\r\n" in response


async def test_a_taker_that_fails_ends_that_connection_only() -> None:
    def fail(sock: socket.socket, head: bytes, address: Any) -> None:
        raise RuntimeError("planted")

    async with serving(fail) as served:
        client = await served.connect()
        await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert await client.read_all() == b""
        assert [where for where, _ in served.errors] == ["hand_over"]
        assert await (await served.open()).echo(b"alive") == b"alive"


# ---- half-open connections


async def test_a_slow_head_is_answered_with_408_and_others_do_not_notice() -> None:
    async with serving() as served:
        slow = await served.connect()
        await slow.send(b"GET /chat/ws HTTP/1.1\r\nHos")
        await served.until(lambda: served.reactor.statistics().half_open == 1)
        await served.tick(9.5)
        await slow.send(b"t")
        other = await served.open()
        await served.tick(1.0)
        assert (await slow.read_all()).startswith(b"HTTP/1.1 408 ")
        assert await other.echo(b"fine") == b"fine"


async def test_a_silent_connection_is_closed_without_a_word() -> None:
    async with serving() as served:
        client = await served.connect()
        await served.until(lambda: served.reactor.statistics().half_open == 1)
        await served.tick(10.5)
        assert await client.read_all() == b""
        assert served.reactor.statistics().half_open == 0


async def test_more_half_open_connections_than_allowed_push_the_oldest_out(monkeypatch: Any) -> None:
    monkeypatch.setattr(listener, "HALF_OPEN_MAX", 3)
    async with serving() as served:
        clients = [await served.connect() for _ in range(4)]
        assert await clients[0].read_all() == b""
        await clients[3].send(UPGRADE)
        assert (await clients[3].read_head()).startswith(b"HTTP/1.1 101 ")
        assert served.reactor.statistics().counts.evicted == 1


async def test_more_connections_than_allowed_are_told_so(monkeypatch: Any) -> None:
    async with serving() as served:
        first = await served.open()
        # One connection and the listener.
        monkeypatch.setattr(listener, "CONNECTIONS_MAX", 2)
        second = await served.connect()
        response = await second.read_all()
        assert response.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nRetry-After: 5\r\n" in response
        assert await first.echo(b"fine") == b"fine"


async def test_out_of_descriptors_accepting_rests_until_the_next_tick(monkeypatch: Any) -> None:
    class Exhausted:
        """A listening socket of a process that has no descriptor left."""

        def __init__(self, sock: socket.socket) -> None:
            self._sock = sock
            self.is_exhausted = True
            self.attempts = 0

        def accept(self) -> Any:
            self.attempts += 1
            if self.is_exhausted:
                raise OSError(24, "Too many open files")
            return self._sock.accept()

        def __getattr__(self, name: str) -> Any:
            return getattr(self._sock, name)

    async with serving() as served:
        (accepting,) = served.reactor._listeners
        exhausted = Exhausted(accepting._sock)
        accepting._sock = exhausted  # type: ignore[assignment]
        client = await served.connect()
        await served.until(lambda: exhausted.attempts)
        turns = served.reactor.statistics().counts.turns
        await served.until(lambda: served.reactor.statistics().counts.turns > turns + 20)
        assert exhausted.attempts == 1
        exhausted.is_exhausted = False
        await served.tick(1.0)
        await client.send(UPGRADE)
        assert (await client.read_head()).startswith(b"HTTP/1.1 101 ")


def test_a_port_in_use_is_named() -> None:
    with listener.listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}"):
            listener.listen("127.0.0.1", port)
