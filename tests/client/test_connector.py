"""Connections over time: silence, back-off, tokens, moves, a slow application; in memory, on a virtual clock."""

import random
from collections.abc import Iterable
from typing import Any

import pytest
import trio
import trio.testing

from tests.client.model_server import DIRECT, ModelServer
from tests.client.servers import MemoryServer, MemoryTransport, NoDelay
from trimaran_client import ApiError, Chat, ChatClosed, Message, OutboxBroken, OutboxInUse, Unreachable, open_chat
from trimaran_client.clock import ClientIds
from trimaran_client.errors import DialFailed
from trimaran_client.limits import ANSWER_S, HEARTBEAT_S, SILENCE_BEFORE_SYNCED_S, WRITE_S
from trimaran_client.outbox import OutboxItem
from trimaran_client.storage import NoStore

URL = "https://chat.test"
SOCKET = "wss://chat.test/chat/ws"


class VirtualClock:
    """Trio's clock, and a calendar that goes with it."""

    def now_s(self) -> float:
        return trio.current_time()

    def time_ms(self) -> int:
        return int(trio.current_time() * 1000)


class CountedTokens:
    """A new token every hundred seconds, or when asked for."""

    def __init__(self) -> None:
        self.count = 0
        self.made_s = float("-inf")
        self.fail: list[Exception] = []

    async def fresh(self, *, force: bool = False) -> str:
        await trio.lowlevel.checkpoint()
        if force or trio.current_time() >= self.made_s + 100:
            if self.fail:
                raise self.fail.pop(0)
            self.count += 1
            self.made_s = trio.current_time()
        return f"token{self.count}"

    def renew_in_s(self) -> float | None:
        return max(0.0, self.made_s + 100 - trio.current_time())


def opened(server: MemoryServer, **options: Any) -> Any:
    defaults: dict[str, Any] = {"token": "t", "rng": NoDelay(1), "clock": VirtualClock(), "dial": server.dial}
    return open_chat(URL, **(defaults | options))


async def test_a_server_that_says_nothing_is_left_after_ten_seconds(clock: trio.testing.MockClock) -> None:
    server = MemoryServer()
    server.is_mute = True
    async with opened(server) as chat:
        await trio.sleep(SILENCE_BEFORE_SYNCED_S - 0.5)
        assert len(server.dialled) == 1
        server.is_mute = False
        await chat.wait_synced()
        assert trio.current_time() == pytest.approx(SILENCE_BEFORE_SYNCED_S, abs=0.1)
        assert server.dialled == [SOCKET, SOCKET]


async def test_a_dead_connection_is_noticed_by_a_ping_without_an_answer(clock: trio.testing.MockClock) -> None:
    server = MemoryServer()
    async with opened(server) as chat:
        await chat.wait_synced()
        await trio.sleep(10 * HEARTBEAT_S)
        assert len(server.dialled) == 1
        assert len(server.model.received("ping")) in (9, 10)
        server.is_mute = True
        with trio.move_on_after(2 * HEARTBEAT_S):
            await chat.send(DIRECT, "into the void")
        server.is_mute = False
        await trio.sleep(HEARTBEAT_S)
        assert len(server.dialled) > 1
        assert server.model.logs[DIRECT].head == 1


async def test_a_peer_that_does_not_read_is_left(clock: trio.testing.MockClock) -> None:
    server = MemoryServer()
    async with opened(server) as chat:
        await chat.wait_synced()
        stuck = server.transport
        stuck.is_stuck = True
        await chat.post(DIRECT, "x")
        await trio.sleep(WRITE_S + 1)
        assert server.transport is not stuck
        await chat.flush()


async def test_attempts_back_off_with_full_jitter(clock: trio.testing.MockClock) -> None:
    server = MemoryServer()
    server.refuse = [DialFailed("refused") for _ in range(12)]
    async with opened(server, rng=random.Random(1)) as chat:
        await chat.wait_synced()
        assert len(server.dialled) == 13
        assert 10 < trio.current_time() < 0.5 + 1 + 2 + 4 + 8 + 16 + 30 * 6


async def test_an_expired_token_is_refreshed_before_the_next_connection(clock: trio.testing.MockClock) -> None:
    server, tokens = MemoryServer(), CountedTokens()
    async with opened(server, token=None, account=tokens) as chat:
        await chat.wait_synced()
        server.transport.kick(4003)
        await trio.testing.wait_all_tasks_blocked()
        await chat.send(DIRECT, "x")
    assert [hello["token"] for hello in server.model.received("hello")] == ["token1", "token2"]


async def test_a_token_is_renewed_on_the_live_connection_in_time(clock: trio.testing.MockClock) -> None:
    server, tokens = MemoryServer(), CountedTokens()
    async with opened(server, token=None, account=tokens) as chat:
        await chat.wait_synced()
        tokens.fail = [Unreachable("away"), ApiError("unavailable", 503)]
        await trio.sleep(250)
    assert [renew["token"] for renew in server.model.received("renew")] == ["token2", "token3"]
    assert len(server.dialled) == 1


async def test_a_token_that_cannot_be_had_now_is_waited_for(clock: trio.testing.MockClock) -> None:
    server, tokens = MemoryServer(), CountedTokens()
    tokens.fail = [Unreachable("away"), ApiError("unavailable", 503, retry_after_s=3.0)]
    async with opened(server, token=None, account=tokens) as chat:
        await chat.wait_synced()
        assert trio.current_time() >= 3.0


async def test_credentials_that_are_refused_end_the_chat(clock: trio.testing.MockClock) -> None:
    server, tokens = MemoryServer(), CountedTokens()
    tokens.fail = [ApiError("unauthenticated", 401, "spent")] * 2
    async with opened(server, token=None, account=tokens) as chat:
        with pytest.raises(ChatClosed) as closed:
            await chat.wait_synced()
    assert closed.value.code == 4500
    assert not server.dialled


async def moves(server: MemoryServer, url: str) -> MemoryTransport:
    transport = server.transport
    transport.connection.out.append({"type": "moved", "url": url, "within_s": 5})
    transport.flush()
    await trio.testing.wait_all_tasks_blocked()
    return transport


async def test_after_a_move_the_client_comes_back_there_and_else_to_the_first_address(
    clock: trio.testing.MockClock,
) -> None:
    server = MemoryServer()
    async with opened(server) as chat:
        await chat.wait_synced()
        there = "wss://chat.test/chat/n2/ws"
        old = await moves(server, there)
        assert server.dialled == [SOCKET, there]
        assert old.closed_by_client == 1000
        server.transport.kick(1001)
        await chat.send(DIRECT, "1")
        assert server.dialled[2:] == [there]
        server.refuse = [DialFailed("gone", status=404)]
        server.transport.kick(None)
        await trio.testing.wait_all_tasks_blocked()
        await chat.send(DIRECT, "2")
        assert server.dialled[3:] == [there, SOCKET]


async def test_a_move_that_fails_leaves_the_old_connection(clock: trio.testing.MockClock) -> None:
    server = MemoryServer()
    async with opened(server) as chat:
        await chat.wait_synced()
        server.refuse = [DialFailed("not there")]
        old = await moves(server, "wss://elsewhere.test/chat/ws")
        assert server.transport is old
        await chat.send(DIRECT, "still here")
        assert old.closed_by_client is None


async def test_the_token_never_moves_to_a_connection_without_encryption(clock: trio.testing.MockClock) -> None:
    server = MemoryServer()
    async with opened(server) as chat:
        await chat.wait_synced()
        await moves(server, "ws://evil.test/chat/ws")
        await moves(server, "file:///etc/passwd")
        assert server.dialled == [SOCKET]


async def test_a_slow_application_leaves_the_socket_unread(clock: trio.testing.MockClock) -> None:
    server = MemoryServer()
    async with opened(server, events_max=5) as chat:
        await chat.wait_synced()
        for number in range(50):
            server.post(DIRECT, str(number))
        await trio.sleep(1)
        assert chat.statistics()["events_waiting"] == 5
        assert len(server.transport.incoming) > 30, "the rest waits in the socket"
        assert [entry.seq for entry in await take(chat, 50)] == list(range(1, 51))


async def test_a_program_that_takes_no_events_is_synced_and_answered_all_the_same(
    clock: trio.testing.MockClock,
) -> None:
    server = MemoryServer()
    for number in range(50):
        server.model.post(DIRECT, str(number))
    async with opened(server, events_max=1) as chat:
        await chat.wait_synced()
        assert len((await chat.page(DIRECT, limit=3)).messages) == 3
        assert (await chat.send(DIRECT, "x")).seq == 51
        assert trio.current_time() < 1
        assert [entry.seq for entry in await take(chat, 51)] == list(range(1, 52))


async def test_after_a_heartbeat_the_socket_is_read_again_and_the_rest_is_pulled(clock: trio.testing.MockClock) -> None:
    server = MemoryServer()
    async with opened(server, events_max=5) as chat:
        await chat.wait_synced()
        for number in range(50):
            server.post(DIRECT, str(number))
        await trio.sleep(10 * HEARTBEAT_S)
        assert not server.transport.incoming
        assert (len(server.dialled), chat.statistics()["events_waiting"]) == (1, 5)
        assert [entry.seq for entry in await take(chat, 50)] == list(range(1, 51))
        assert server.model.received("pull")


async def take(chat: Chat, count: int) -> list[Message]:
    entries: list[Message] = []
    with trio.fail_after(300):
        async for event in chat.events():
            if isinstance(event, Message):
                entries.append(event)
                if len(entries) == count:
                    break
    return entries


async def test_the_last_entry_taken_is_not_marked_until_the_next_is_asked_for(clock: trio.testing.MockClock) -> None:
    server = MemoryServer()
    async with opened(server) as chat:
        await chat.wait_synced()
        for _ in range(3):
            server.post(DIRECT, "x")
        await take(chat, 3)
        await trio.sleep(5)
        assert server.model.logs[DIRECT].delivered == 2
        with trio.move_on_after(5):
            await chat.next_event()
        await trio.sleep(5)
        assert server.model.logs[DIRECT].delivered == 3


class SlowStore(NoStore):
    """A disk whose next write can be held, and fail."""

    is_durable = True

    def __init__(self) -> None:
        self.added: list[str] = []
        self.writes = 0
        self.fail = False
        self.user: str | None = None

    def add(self, items: Iterable[OutboxItem]) -> None:
        if self.fail:
            raise OutboxBroken("the disk is full")
        self.writes += 1
        self.added += [item.client_id for item in items]

    def set_owner(self, user: str) -> None:
        self.user = user

    def remove(self, client_ids: Iterable[str]) -> None:
        for client_id in client_ids:
            self.added.remove(client_id)


async def test_many_messages_at_one_moment_cost_few_writes() -> None:
    server, store = MemoryServer(), SlowStore()
    async with opened(server, outbox=store) as chat:
        await chat.wait_synced()
        async with trio.open_nursery() as nursery:
            for number in range(50):
                nursery.start_soon(chat.post, DIRECT, str(number))
        assert store.writes <= 3
        await chat.flush()
    assert server.model.logs[DIRECT].head == 50
    assert (store.added, store.user) == ([], chat.user)


async def test_a_message_that_cannot_be_kept_is_not_sent() -> None:
    server, store = MemoryServer(), SlowStore()
    async with opened(server, outbox=store) as chat:
        await chat.wait_synced()
        store.fail = True
        with pytest.raises(OutboxBroken, match="full"):
            await chat.send(DIRECT, "x")
        with pytest.raises(OutboxBroken, match="full"):
            await chat.post(DIRECT, "x")
        store.fail = False
        await chat.send(DIRECT, "y")
    assert [entry["body"]["text"] for entry in server.model.logs[DIRECT].entries] == ["y"]


async def test_a_send_that_is_cancelled_before_it_is_kept_is_not_sent_and_later_it_is() -> None:
    server, store = MemoryServer(), SlowStore()
    async with opened(server, outbox=store) as chat:
        await chat.wait_synced()
        with trio.CancelScope() as scope:
            scope.cancel()
            await chat.send(DIRECT, "never")
        assert chat.unsent == 0
        server.is_mute = True
        async with trio.open_nursery() as nursery:
            nursery.start_soon(chat.send, DIRECT, "kept")
            while not store.writes:
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
        assert chat.unsent == 1
        server.is_mute = False
        server.transport.kick(1001)
        await chat.flush()
    assert [entry["body"]["text"] for entry in server.model.logs[DIRECT].entries] == ["kept"]


async def test_the_outbox_of_another_user_ends_the_chat() -> None:
    server, store = MemoryServer(), SlowStore()
    store.owner = lambda: "somebody else"  # type: ignore[method-assign]
    async with opened(server, outbox=store) as chat:
        assert isinstance(await chat.wait_closed(), OutboxInUse)
    assert len(server.dialled) == 1


async def test_an_unanswered_pull_is_asked_again(clock: trio.testing.MockClock) -> None:
    model = ModelServer()
    model.post(DIRECT, "x")
    server = MemoryServer(model)
    async with opened(server) as chat:
        await chat.wait_synced()
        server.is_mute = True
        page: list[Any] = []
        async with trio.open_nursery() as nursery:

            async def pull() -> None:
                page.append(await chat.page(DIRECT))

            nursery.start_soon(pull)
            await trio.sleep(1)
            server.is_mute = False
        assert [message.seq for message in page[0].messages] == [1]
        assert trio.current_time() <= ANSWER_S + HEARTBEAT_S


async def test_the_same_seed_gives_the_same_ids() -> None:
    clock = VirtualClock()
    ids = [ClientIds(clock, random.Random(5)).next() for _ in range(2)]
    assert ids[0] == ids[1]
