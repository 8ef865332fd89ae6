"""Output: coalesced, sliced, bounded; slow readers, heartbeats, and what comes by the inbox."""

import trio

from core.base.errors import Close
from core.base.limits import KIB, SENDS_PER_TURN
from core.protocol.frames import text_frame
from tests.protocol.client_frames import frame, text
from tests.reactor.serving import Served, serving, settled

SLOW = 4 * KIB  # a receive buffer that fills soon


async def fill(served: Served, queued: int) -> int:
    """Push text frames to the first session until its socket takes no more and `queued` bytes wait; the number of frames."""
    outbox = served.echo.sessions[0]
    message = text_frame(b"x" * 16_000)
    frames = 0
    while outbox.size < queued or not served.reactor.statistics().blocked:
        outbox.push(message)
        frames += 1
        turns = served.reactor.statistics().counts.turns
        await served.until(lambda: served.reactor.statistics().counts.turns > turns)  # noqa: B023
        assert frames < 10_000
    return frames


async def test_a_slow_reader_is_not_read_until_it_has_drained() -> None:
    async with serving(outbox_bytes=64 * KIB) as served:
        client = await served.open(receive_buffer=SLOW)
        outbox = served.echo.sessions[0]
        frames = await fill(served, 64 * KIB + 1)
        assert outbox.is_above_high
        await client.send(text("unread while paused"))
        await settled()
        assert served.echo.texts == []
        assert served.echo.drained == 0
        for _ in range(frames):
            assert await client.read_frame() == (1, b"x" * 16_000)
        assert await client.read_frame() == (1, b"unread while paused")
        assert served.echo.drained == 1
        assert outbox.size == 0
        assert served.reactor.statistics().blocked == 0


async def test_what_waits_for_a_slow_reader_is_whole_and_in_order() -> None:
    async with serving() as served:
        client = await served.open(receive_buffer=SLOW)
        outbox = served.echo.sessions[0]
        messages = [b"%d:" % number + b"y" * (number * 37 % 3_000) for number in range(2_000)]
        for message in messages:
            outbox.push(text_frame(message))
        served.reactor.wake()
        for message in messages:
            assert await client.read_frame() == (1, message)


async def test_a_reader_that_is_stuck_is_closed_with_4004_and_its_queue_dropped() -> None:
    async with serving(outbox_bytes=64 * KIB, outbox_stuck_s=60) as served:
        client = await served.open(receive_buffer=SLOW)
        outbox = served.echo.sessions[0]
        await fill(served, 64 * KIB)
        for _ in range(59):
            await served.tick(1.0)
        assert served.echo.closed == []
        await served.tick(2.0)
        await served.until(lambda: served.echo.closed)
        assert served.echo.closed == [Close.OUTBOX_STUCK]
        assert outbox.size < 17_000  # the rest of the frame that is half sent, and the Close
        # If it wakes up in time, it still learns why.
        opcode, payload = await client.read_frame()
        while opcode == 1:
            assert payload == b"x" * 16_000
            opcode, payload = await client.read_frame()
        assert (opcode, payload[:2]) == (8, Close.OUTBOX_STUCK.to_bytes(2))


async def test_a_stuck_reader_that_stays_stuck_is_cut_off() -> None:
    async with serving(outbox_bytes=64 * KIB) as served:
        await served.open(receive_buffer=SLOW)
        await fill(served, 64 * KIB)
        await served.tick(61.0)
        await served.until(lambda: served.echo.closed)
        await served.tick(3.0)
        assert served.reactor.statistics().connections == 0


async def test_a_slow_reader_that_makes_progress_is_not_stuck() -> None:
    async with serving(outbox_bytes=64 * KIB) as served:
        client = await served.open(receive_buffer=SLOW)
        await fill(served, 600 * KIB)
        for _ in range(4):
            await served.tick(40.0)
            sent = served.reactor.statistics().counts.bytes_out
            while served.reactor.statistics().counts.bytes_out == sent:
                await client.read(8_000)
                await trio.lowlevel.checkpoint()
        assert served.echo.closed == []


async def test_a_session_closed_while_its_socket_is_blocked_is_told_at_once() -> None:
    async with serving() as served:
        await served.open(receive_buffer=SLOW)
        await fill(served, 100 * KIB)
        served.echo.sessions[0].close(4503)
        await served.until(lambda: served.echo.closed)
        assert served.echo.closed == [4503]


async def test_a_session_that_asks_for_it_is_told_of_every_drain() -> None:
    async with serving() as served:
        client = await served.open()
        assert await client.echo(b"1") == b"1"
        assert served.echo.drained == 0
        served.echo.sessions[0].wants_drain = True
        assert await client.echo(b"2") == b"2"
        assert served.echo.drained == 1


async def test_a_fan_out_goes_on_over_several_turns_in_order() -> None:
    async with serving() as served:
        clients = [await served.open() for _ in range(1_000)]
        turns = served.reactor.statistics().counts.turns
        message = text_frame(b"to all")
        for outbox in served.echo.sessions:
            outbox.push(message)
        assert served.reactor.statistics().dirty == 1_000
        served.reactor.wake()
        for client in clients:
            assert await client.read_frame() == (1, b"to all")
        assert served.reactor.statistics().counts.turns - turns >= 1_000 // SENDS_PER_TURN


# ---- time


async def test_a_silent_peer_is_pinged_and_lives_if_it_answers() -> None:
    async with serving(heartbeat_s=25) as served:
        client = await served.open()
        for _ in range(3):
            await served.tick(26.0)
            assert await client.read_frame() == (9, b"")
            await client.send(frame(10))
            await served.until(lambda: served.reactor.statistics().counts.reads)
            await settled()
            await served.tick(25.0)
            await settled()
            # The next look at it is one heartbeat after its pong.
            await client.send(frame(10))
            await settled()
            await served.tick(1.0)
        assert served.echo.closed == []


async def test_a_peer_silent_for_two_heartbeats_is_closed_with_4005() -> None:
    async with serving(heartbeat_s=25) as served:
        client = await served.open()
        for _ in range(48):
            await served.tick(1.0)
        assert served.echo.closed == []
        for _ in range(4):
            await served.tick(1.0)
        assert await client.read_frame() == (9, b"")
        assert await client.read_close() == Close.HEARTBEAT_MISSED
        assert served.echo.closed == [Close.HEARTBEAT_MISSED]


async def test_a_peer_that_talks_is_not_pinged() -> None:
    async with serving(heartbeat_s=25) as served:
        client = await served.open()
        for _ in range(10):
            await served.tick(20.0)
            assert await client.echo(b"x") == b"x"


# ---- the inbox


async def test_a_call_from_elsewhere_wakes_the_reactor_and_is_flushed_in_its_turn() -> None:
    async with serving() as served:
        client = await served.open()
        await settled()
        served.inbox.put(lambda: served.echo.sessions[0].push(text_frame(b"from elsewhere")))
        assert await client.read_frame() == (1, b"from elsewhere")


async def test_calls_are_made_in_order_and_those_of_calls_later() -> None:
    made: list[int] = []
    async with serving() as served:
        served.inbox.put(lambda: (made.append(1), served.inbox.put(lambda: made.append(3)))[0])  # type: ignore[func-returns-value]
        served.inbox.put(lambda: made.append(2))
        await served.until(lambda: len(made) == 3)
    assert made == [1, 2, 3]


async def test_a_busy_reactor_leaves_time_for_others() -> None:
    async with serving() as served:
        client = await served.open()
        is_over = False

        def again() -> None:
            if not is_over:
                served.inbox.put(again)

        served.inbox.put(again)
        with trio.fail_after(5):
            for _ in range(50):
                assert await client.echo(b"x") == b"x"
        is_over = True
