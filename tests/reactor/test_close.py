"""Every end has a Close frame with the right code, and the session is told once."""

import socket
import struct

import pytest
import trio

from core.base.errors import Close
from core.base.limits import CLOSE_LINGER_S, CONTROL_FRAMES_PER_S, DRAIN_S
from core.protocol.frames import text_frame
from tests.protocol.client_frames import BINARY, TEXT, close, frame, text
from tests.reactor.serving import UPGRADE, serving


@pytest.mark.parametrize(
    ("code", "bad"),
    [
        (1002, frame(TEXT, b"x", mask=None)),
        (1002, frame(0x3)),
        (1003, frame(BINARY, b"x")),
        (1007, text(b"\xff")),
        (1009, frame(TEXT, b"", declared=64 * 1024 + 1)),
        (1009, frame(TEXT, b"", declared=1 << 62)),
    ],
)
async def test_a_violation_is_closed_with_its_code_after_the_good_messages(code: int, bad: bytes) -> None:
    async with serving() as served:
        client = await served.open()
        # The input goes on behind the violation: were it left unread, a reset would destroy the Close frame.
        await client.send(text("good") + bad + b"garbage" * 10_000)
        assert await client.read_frame() == (1, b"good")
        assert await client.read_close() == code
        assert await client.read_all() == b""
        client.sock.close()
        assert served.echo.closed == [code]
        await served.until(lambda: served.reactor.statistics().lingering == 0)


async def test_the_application_closes_after_what_it_queued() -> None:
    async with serving() as served:
        client = await served.open()
        outbox = served.echo.sessions[0]
        outbox.push(text_frame(b"last words"))
        outbox.close(4503, "replaced")
        outbox.close(4502, "later closes do not count")
        outbox.push(text_frame(b"never"))
        served.reactor.wake()
        assert await client.read_frame() == (1, b"last words")
        assert await client.read_frame() == (8, (4503).to_bytes(2) + b"replaced")
        # What comes before the peer's Close is not for the application any more.
        await client.send(text("late") + close(4503))
        assert await client.read_all() == b""
        assert served.echo.texts == []
        assert served.echo.closed == [4503]


async def test_a_peer_that_does_not_answer_a_close_is_cut_off() -> None:
    async with serving() as served:
        client = await served.open()
        served.echo.sessions[0].close(1000)
        served.reactor.wake()
        assert await client.read_close() == 1000
        await served.tick(CLOSE_LINGER_S + 1)
        assert await client.read_all() == b""
        assert served.reactor.statistics().connections == 0
        assert served.echo.closed == [1000]


async def test_a_peer_that_keeps_its_half_open_is_cut_off_after_both_closes() -> None:
    async with serving() as served:
        client = await served.open()
        await client.send(close(1000))
        assert await client.read_close() == 1000
        assert served.reactor.statistics().lingering == 1
        await served.tick(CLOSE_LINGER_S + 1)
        assert served.reactor.statistics().lingering == 0


async def test_a_peer_that_vanishes_is_told_as_1006() -> None:
    async with serving() as served:
        (await served.open()).sock.close()
        await served.until(lambda: served.echo.closed)
        resetting = await served.open()
        resetting.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        resetting.sock.close()
        await served.until(lambda: len(served.echo.closed) == 2)
        assert served.echo.closed == [1006, 1006]
        # Whoever still holds its outbox can do no harm.
        served.echo.sessions[0].push(text_frame(b"x"))
        served.echo.sessions[0].close(1000)
        assert served.echo.sessions[0].size == 0
        assert served.reactor.statistics().connections == 0
        assert served.errors == []


async def test_a_flood_of_pings_is_abuse() -> None:
    async with serving() as served:
        client = await served.open()
        await client.send(frame(9, b"x") * (CONTROL_FRAMES_PER_S + 1))
        for _ in range(CONTROL_FRAMES_PER_S):
            assert await client.read_frame() == (10, b"x")
        assert await client.read_close() == Close.ABUSE
        assert served.echo.closed == [Close.ABUSE]


async def test_pings_at_a_decent_rate_are_answered_for_ever() -> None:
    async with serving() as served:
        client = await served.open()
        for _ in range(4):
            await client.send(frame(9, b"x") * CONTROL_FRAMES_PER_S)
            for _ in range(CONTROL_FRAMES_PER_S):
                assert await client.read_frame() == (10, b"x")
            await served.tick(1.0)


# ---- the application fails


@pytest.mark.parametrize("where", ["on_text", "on_open"])
async def test_a_failing_application_costs_that_connection_only(where: str) -> None:
    async with serving() as served:
        other = await served.open()
        served.echo.fail_in = where
        client = await served.open()
        await client.send(text("x"))
        assert await client.read_close() == 1011
        served.echo.fail_in = None
        assert await other.echo(b"alive") == b"alive"
        assert [str(error) for _, error in served.errors] == [f"planted in {where}"]
        assert served.echo.closed == ([1011] if where == "on_text" else [])
        assert served.reactor.statistics().counts.errors == 1


async def test_a_failing_decision_is_500() -> None:
    async with serving() as served:
        served.echo.fail_in = "on_upgrade"
        client = await served.connect()
        await client.send(UPGRADE)
        assert (await client.read_all()).startswith(b"HTTP/1.1 500 ")


async def test_failing_calls_about_no_connection_are_reported_and_cost_nothing() -> None:
    async with serving() as served:
        client = await served.open()
        for where in ("on_tick", "end_turn"):
            served.echo.fail_in = where
            await served.tick(1.0)
        served.echo.fail_in = None
        served.inbox.put(lambda: 1 // 0)  # type: ignore[arg-type]
        assert await client.echo(b"alive") == b"alive"
        assert {where for where, _ in served.errors} == {"on_tick", "end_turn", "inbox"}


async def test_an_end_is_carried_through_although_on_closed_fails() -> None:
    async with serving() as served:
        client = await served.open()
        served.echo.fail_in = "on_closed"
        assert await client.close(1000) == 1000
        assert served.echo.closed == [1000]
        assert [where for where, _ in served.errors] == ["on_closed"]


# ---- stopping


async def test_stopping_closes_everyone_and_ends_when_they_are_gone() -> None:
    async with serving() as served:
        clients = [await served.open() for _ in range(5)]
        half_open = await served.connect()
        await served.until(lambda: served.reactor.statistics().half_open == 1)
        served.reactor.stop(4001)
        for client in clients:
            assert await client.read_close() == 4001
            await client.send(close(4001))
            assert await client.read_all() == b""
            client.sock.close()
        assert await half_open.read_all() == b""
        await served.ended.wait()
        assert served.echo.closed == [4001] * 5
        with pytest.raises(OSError, match="refused"):
            await served.connect()


async def test_stopping_does_not_wait_for_those_who_do_not_answer() -> None:
    async with serving() as served:
        client = await served.open()
        served.reactor.stop(1001)
        assert await client.read_close() == 1001
        served.clock.advance(DRAIN_S)
        served.reactor.wake()
        await served.ended.wait()
        assert await client.read_all() == b""


async def test_stopping_without_connections_ends_at_once() -> None:
    async with serving() as served:
        served.reactor.stop()
        await served.ended.wait()


async def test_a_cancelled_reactor_says_goodbye_and_tells_every_session() -> None:
    async with serving() as served:
        client = await served.open()
        waiting = await served.connect()
        await served.until(lambda: served.reactor.statistics().half_open == 1)
        with trio.CancelScope(shield=True):
            served.nursery.cancel_scope.cancel()
            assert await client.read_close() == 1001
            assert await client.read_all() == b""
            assert await waiting.read_all() == b""
            assert served.echo.closed == [1001]
