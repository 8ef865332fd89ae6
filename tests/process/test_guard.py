"""The guard: whatever one connection does, the process lives and the next request is answered.

Over real loopback sockets; what takes time is on the virtual clock only where no socket is waited for.
"""

import io
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st
from quart import Blueprint, Response

from core.base.limits import (
    HTTP_BODY_BYTES_MAX,
    HTTP_BODY_S,
    HTTP_DRAIN_S,
    HTTP_KEEP_ALIVE_S,
    HTTP_LINGER_S,
    HTTP_SEND_STUCK_S,
)
from core.rules.names import OPEN
from sidecars.ports.http import body, client_address, reply, route
from tests.process.door import Client, Served, World, serving

CANARY = "canary-7f3a"
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
KILLER = (
    b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
)


class Note(msgspec.Struct):
    text: str


class Pages:
    """Routes that do what a handler may do, and what it should not."""

    def __init__(self) -> None:
        self.blueprint = Blueprint("test", __name__)
        self.gate = trio.Event()
        self.entered = trio.Event()
        self.cancelled = False
        pages = self.blueprint

        @route(pages, "POST", "/echo", rule=OPEN)
        async def echo() -> Response:
            return reply(await body(Note))

        @route(pages, "GET", "/address", rule=OPEN)
        async def address() -> Response:
            return reply({"address": client_address()})

        @route(pages, "GET", "/wait", rule=OPEN)
        async def wait() -> Response:
            self.entered.set()
            try:
                await self.gate.wait()
            except trio.Cancelled:
                self.cancelled = True
                raise
            return reply({"waited": True})

        @route(pages, "GET", "/large", rule=OPEN)
        async def large() -> Response:
            self.entered.set()
            return Response(b"x" * 50_000_000)

        @route(pages, "GET", "/fail", rule=OPEN)
        async def fail() -> Response:
            raise ExceptionGroup(CANARY, [KeyError(CANARY)])

        @route(pages, "GET", "/break-off", rule=OPEN)
        async def break_off() -> Response:
            async def parts() -> AsyncIterator[bytes]:
                yield b"begun"
                raise KeyError(CANARY)

            return Response(parts())


@pytest.fixture
def pages() -> Pages:
    return Pages()


async def lives(served: Served) -> bool:
    return (await served.ask(HEALTH)).status == 200


async def test_an_upgrade_with_a_chunked_body_harms_nothing(pages: Pages) -> None:
    async with serving(World(pages.blueprint)) as served:
        for _ in range(3):
            answer = await served.ask(KILLER)
            assert answer.status == 200  # the upgrade is not taken, the request is
        assert await lives(served)
        assert not served.world.metrics.errors


@pytest.mark.parametrize(
    "upgrade",
    [
        b"Connection: Upgrade\r\nUpgrade: websocket\r\n",
        b"Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n",
        b"Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Version: 99\r\n",
        b"Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n",
        b"Connection: Upgrade\r\nUpgrade: \xff\xfe\r\n",
    ],
)
async def test_no_upgrade_leads_anywhere(upgrade: bytes, pages: Pages) -> None:
    async with serving(World(pages.blueprint)) as served:
        for path in (b"/chat/elsewhere", b"/", b"/healthz"):
            answer = await served.ask(b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\n" + upgrade + b"\r\nhello")
            assert answer.status in (200, 404)
        assert await lives(served)


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", 505),
        (b"GET / HTTP/3.0\r\nHost: x\r\n\r\n", 505),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 200 + b"\r\n\r\n", 400),
        (b"garbage\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        (b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"GET ?query HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET nopath HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nLong: " + b"x" * 20_000, 431),
    ],
)
async def test_what_is_no_request_is_refused_and_closed(request_bytes: bytes, status: int, pages: Pages) -> None:
    async with serving(World(pages.blueprint)) as served:
        client = await served.connect()
        async with client.stream:
            await client.send(request_bytes)
            answer = await client.answer()
            assert answer.status == status
            assert await client.is_closed()
        assert await lives(served)


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"OPTIONS * HTTP/1.1\r\nHost: x", 404),
        (b"GET http://other.test/healthz HTTP/1.1\r\nHost: x", 200),
        (b"GET http: HTTP/1.1\r\nHost: x", 400),
        (b"GET http:// HTTP/1.1\r\nHost: x", 404),
        (b"GET //evil.test/healthz HTTP/1.1\r\nHost: x", 404),
        (b"GET /%00%ff%ed%a0%80 HTTP/1.1\r\nHost: x", 404),
        (b"GET /healthz?%ff=%00&=&;= HTTP/1.1\r\nHost: x", 200),
        (b"GET /healthz HTTP/1.1\r\nHost: [::1", 200),
        (b"GET /healthz HTTP/1.1\r\nHost: a b\xff<>", 200),
        (b"GET /healthz HTTP/1.1\r\nHost: x:99999999", 200),
        (b"GET /healthz HTTP/1.1\r\nHost:", 200),
        (b"GET /healthz HTTP/1.0", 200),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nCookie: \xff=;;=\r\nAccept: \xff\r\nContent-Type: ;;=\xff", 200),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nIf-Modified-Since: never\r\nRange: bytes=9-1,-,x", 200),
        (b"BREW /healthz HTTP/1.1\r\nHost: x", 405),
        (b"CONNECT x:1 HTTP/1.1\r\nHost: x", 400),
        (b"TRACE /healthz HTTP/1.1\r\nHost: x", 405),
    ],
)
async def test_an_odd_request_gets_a_plain_answer(line: bytes, status: int, pages: Pages) -> None:
    async with serving(World(pages.blueprint)) as served:
        answer = await served.ask(line + b"\r\n\r\n", line.split()[0].decode())
        assert answer.status == status, answer
        assert await lives(served)
        assert not served.world.metrics.errors


async def test_pipelined_requests_are_answered_in_their_order(pages: Pages) -> None:
    async with serving(World(pages.blueprint)) as served:
        client = await served.connect()
        async with client.stream:
            post = b'POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 15\r\n\r\n{"text": "%d ."}'
            await client.send(HEALTH + post % 1 + post % 2 + HEALTH)
            answers = [await client.answer() for _ in range(4)]
        assert [answer.content for answer in answers[1:3]] == [b'{"text":"1 ."}', b'{"text":"2 ."}']
        assert {answer.status for answer in answers} == {200}


async def test_a_body_may_come_in_any_parts(pages: Pages) -> None:
    request = (
        b'POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{"text":\r\n4\r\n"a"}\r\n0\r\n\r\n'
    )
    async with serving(World(pages.blueprint)) as served:
        client = await served.connect()
        async with client.stream:
            for position in range(len(request)):
                await client.send(request[position : position + 1])
            assert (await client.answer()).content == b'{"text":"a"}'
            await client.send(HEALTH)
            assert (await client.answer()).status == 200


async def test_a_client_that_is_done_with_sending_still_gets_its_answer(pages: Pages) -> None:
    async with serving(World(pages.blueprint)) as served:
        client = await served.connect()
        async with client.stream:
            await client.send(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
            await client.stream.send_eof()
            await pages.entered.wait()
            pages.gate.set()
            assert (await client.answer()).json == {"waited": True}
            assert await client.is_closed()
        await served.door.wait_idle()


async def test_a_body_that_ends_too_early_is_a_bad_request(pages: Pages) -> None:
    async with serving(World(pages.blueprint)) as served:
        client = await served.connect()
        async with client.stream:
            await client.send(b'POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{"te')
            await client.stream.send_eof()
            assert (await client.answer()).status == 400
        await served.door.wait_idle()
        assert not served.world.metrics.errors


async def test_a_client_that_goes_away_ends_its_handler(pages: Pages) -> None:
    async with serving(World(pages.blueprint)) as served:
        client = await served.connect()
        await client.send(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        await pages.entered.wait()
        await reset(client)
        await served.door.wait_idle()
        assert pages.cancelled
        assert not served.world.metrics.errors


async def test_a_client_that_goes_away_amid_a_response_harms_nothing(pages: Pages) -> None:
    async with serving(World(pages.blueprint)) as served:
        client = await served.connect()
        await client.send(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        await client.stream.receive_some(1_000)
        await reset(client)
        await served.door.wait_idle()
        assert await lives(served)


async def test_a_body_beyond_the_limit_is_refused_before_it_has_come(pages: Pages) -> None:
    async with serving(World(pages.blueprint)) as served:
        client = await served.connect()
        async with client.stream:
            await client.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1_000)
            assert (await client.answer("POST")).status == 413


async def test_an_answer_arrives_though_the_client_still_sends(pages: Pages) -> None:
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    async with serving(World(pages.blueprint)) as served:
        for path in (b"/echo", b"/nowhere"):
            client = await served.connect()
            async with client.stream, trio.open_nursery() as nursery:
                await client.send(b"POST " + path + b" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
                nursery.start_soon(client.send, chunk * 4)
                answer = await client.answer("POST")
                assert answer.status == (413 if path == b"/echo" else 404)
        await served.door.wait_idle()


async def test_a_failing_handler_is_a_500_without_its_words(pages: Pages, log: io.StringIO) -> None:
    async with serving(World(pages.blueprint)) as served:
        answer = await served.get("/fail")
        assert answer.status == 500
        assert answer.json["code"] == "internal"
        assert CANARY.encode() not in answer.content
        assert served.world.metrics.errors == {"http": 1}
        assert answer.json["error_id"] in log.getvalue()
        assert CANARY not in log.getvalue()
        assert await lives(served)


async def test_a_response_that_breaks_off_costs_its_connection_alone(pages: Pages, log: io.StringIO) -> None:
    async with serving(World(pages.blueprint)) as served:
        client = await served.connect()
        async with client.stream:
            await client.send(b"GET /break-off HTTP/1.1\r\nHost: x\r\n\r\n")
            assert await client.is_closed()
        await served.door.wait_idle()
        assert served.world.metrics.errors == {"http_connection": 1}
        assert CANARY not in log.getvalue()
        assert log.getvalue().count("connection failed") == 1
        assert await lives(served)


async def test_beyond_the_bound_connections_are_refused_until_there_is_room(pages: Pages) -> None:
    async with serving(World(pages.blueprint), connections_max=3) as served:
        held = [await served.connect() for _ in range(3)]
        for client in held:
            await client.send(HEALTH)
            assert (await client.answer()).status == 200
        assert served.door.statistics() == {"connections": 3}
        for _ in range(5):
            assert (await served.ask(HEALTH)).status == 503
        for client in held:
            await client.stream.aclose()
        await served.door.wait_idle()
        assert await lives(served)


async def test_the_peers_address_is_the_clients_whatever_it_says(pages: Pages) -> None:
    async with serving(World(pages.blueprint)) as served:
        lies = {
            "X-Forwarded-For": "9.9.9.9",
            "X-Real-Ip": "9.9.9.9",
            "Remote-Addr": "9.9.9.9",
            "Forwarded": "for=9.9.9.9",
        }
        assert (await served.get("/address", lies)).json == {"address": "127.0.0.1"}


async def test_a_stop_ends_idle_connections_and_answers_what_was_asked(pages: Pages) -> None:
    async with serving(World(pages.blueprint)) as served:
        idle, busy = await served.connect(), await served.connect()
        await idle.send(HEALTH)
        assert (await idle.answer()).status == 200
        await busy.send(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        await pages.entered.wait()
        served.door.stop()
        assert await idle.is_closed()
        assert (await served.ask(HEALTH)).status == 503
        pages.gate.set()
        assert (await busy.answer()).json == {"waited": True}
        assert await busy.is_closed()
        await served.door.wait_idle()


# The following run on a virtual clock. By itself it would jump while the kernel still carries bytes from one end to the
# other, so it goes on a second whenever nobody has had anything to do for a moment.


@asynccontextmanager
async def passing(clock: trio.testing.MockClock) -> AsyncIterator[None]:
    clock.autojump_threshold = math.inf

    async def tick() -> None:
        for _ in range(60):
            await trio.testing.wait_all_tasks_blocked(0.005)
            clock.jump(1)
        raise trio.TooSlowError("nothing happened in a minute")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(tick)
        yield
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("beginning", [b"", b"GET /hea", b"GET /healthz HTTP/1.1\r\nHost: x\r\nLong: "])
async def test_a_connection_without_a_next_request_is_closed(
    beginning: bytes, clock: trio.testing.MockClock, pages: Pages
) -> None:
    async with serving(World(pages.blueprint)) as served, passing(clock):
        client = await served.connect()
        await client.send(HEALTH)
        assert (await client.answer()).status == 200
        started_s = trio.current_time()
        await client.send(beginning)
        assert await client.is_closed()
        assert trio.current_time() - started_s <= HTTP_KEEP_ALIVE_S + 2


async def test_a_body_that_trickles_is_given_up(clock: trio.testing.MockClock, pages: Pages) -> None:
    async with serving(World(pages.blueprint)) as served, passing(clock):
        client = await served.connect()
        await client.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n")
        for _ in range(int(HTTP_BODY_S / 2)):
            await client.send(b"{")
            await trio.sleep(2)
        answer = await client.answer("POST")
        assert (answer.status, answer.json["code"]) == (408, "bad_request")
        assert await client.is_closed()


async def test_a_handler_that_takes_too_long_is_cancelled(clock: trio.testing.MockClock, pages: Pages) -> None:
    async with serving(World(pages.blueprint)) as served, passing(clock):
        client = await served.connect()
        await client.send(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = await client.answer()
        assert (answer.status, answer.json["code"]) == (503, "unavailable")
        assert answer.headers["Retry-After"] == "1"
        assert pages.cancelled
        await client.send(HEALTH)
        assert (await client.answer()).status == 200


async def test_a_client_that_takes_nothing_of_its_answer_is_given_up(
    clock: trio.testing.MockClock, pages: Pages
) -> None:
    async with serving(World(pages.blueprint)) as served:
        client = await served.connect()
        await client.send(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        await pages.entered.wait()
        async with passing(clock):
            await served.door.wait_idle()
        assert trio.current_time() >= HTTP_SEND_STUCK_S
        assert not served.world.metrics.errors


async def test_a_stop_ends_in_time_though_a_client_takes_nothing(clock: trio.testing.MockClock, pages: Pages) -> None:
    async with serving(World(pages.blueprint)) as served:
        client = await served.connect()
        await client.send(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        await pages.entered.wait()
        served.door.stop()
        async with passing(clock):
            await served.door.wait_idle()
        assert trio.current_time() <= HTTP_DRAIN_S + HTTP_LINGER_S + 1


@pytest.mark.timeout_s(8)
async def test_cancellation_ends_at_once_though_a_client_takes_nothing(pages: Pages) -> None:
    async with serving(World(pages.blueprint)) as served:
        client = await served.connect()
        await client.send(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        await pages.entered.wait()
        await trio.testing.wait_all_tasks_blocked(0.01)


async def test_every_split_of_the_killer_between_head_and_body_is_harmless(pages: Pages) -> None:
    async with serving(World(pages.blueprint)) as served:
        for position in range(KILLER.index(b"\r\n\r\n"), len(KILLER)):
            client = await served.connect()
            async with client.stream:
                await client.send(KILLER[:position])
                await trio.testing.wait_all_tasks_blocked()
                await client.send(KILLER[position:])
                assert (await client.answer()).status == 200


FRAGMENTS = (
    b"GET ", b"POST ", b"/echo", b"/healthz", b"/large?", b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", b"PRI * HTTP/2.0\r\n",
    b"Host: x\r\n", b"Connection: Upgrade\r\n", b"Upgrade: websocket\r\n", b"Upgrade: h2c\r\n", b"\r\n", b"\n", b"0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Content-Length: 4\r\n", b"Expect: 100-continue\r\n", b"5\r\nhello\r\n", b"{}", b"\0",
)  # fmt: skip


@settings(max_examples=100)
@given(parts=st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.binary(max_size=20)), min_size=1, max_size=12))
async def test_whatever_comes_the_next_request_is_answered(parts: list[bytes]) -> None:
    async with serving(World(Pages().blueprint)) as served:
        for request in (b"".join(parts), b"POST /echo HTTP/1.1\r\nHost: x\r\n" + b"".join(parts)):
            client = await served.connect()
            await client.send(request)
            await client.stream.send_eof()
            assert await client.is_closed()
        assert await lives(served)
        assert not served.world.metrics.errors


async def test_a_body_is_bounded_as_documented(pages: Pages) -> None:
    async with serving(World(pages.blueprint)) as served:
        fits = b'{"text":"' + b"x" * (HTTP_BODY_BYTES_MAX - 11) + b'"}'
        assert (await served.post("/echo", fits)).status == 200
        assert (await served.post("/echo", fits + b" ")).status == 413


async def reset(client: Client) -> None:
    """Go away without a goodbye."""
    client.stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    await client.stream.aclose()
