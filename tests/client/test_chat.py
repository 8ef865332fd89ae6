"""`open_chat` on both backends, over real sockets of loopback, against a scripted server."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
import trio

from tests.client.model_server import DIRECT, GROUP, ME, OTHER, ModelServer
from tests.client.servers import LiveServer, NoDelay, live_server
from trimaran_client import Chat, ChatClosed, Message, OutboxInUse, Rejected, SendFailed, Synced, open_chat
from trimaran_client.events import Disconnected

Run = Callable[[Callable[[], Awaitable[None]]], None]


@pytest.fixture(params=["trio", "asyncio"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs an async function on each backend: on Trio by `trio.run`, on asyncio by `anyio.run`."""

    def run(main: Callable[[], Awaitable[None]]) -> None:
        async def guarded() -> None:
            with anyio.fail_after(20):
                await main()

        if request.param == "trio":
            trio.run(guarded)
        else:
            anyio.run(guarded, backend="asyncio")

    return run


def chat_with(live: LiveServer, **options: Any) -> Any:
    return open_chat(live.url, token="t", rng=NoDelay(1), **options)


async def entries(chat: Chat, count: int) -> list[Message]:
    """The next so many entries."""
    found: list[Message] = []
    async for event in chat.events():
        if isinstance(event, Message):
            found.append(event)
            if len(found) == count:
                break
    return found


async def until(chat: Chat, kind: type[Any]) -> Any:
    """The next event of a kind."""
    async for event in chat.events():
        if isinstance(event, kind):
            return event
    raise AssertionError("the chat was closed")


def test_a_send_returns_its_ack_and_others_are_heard(run: Run) -> None:
    async def main() -> None:
        async with live_server() as live, chat_with(live) as chat:
            ack = await chat.send(DIRECT, "hello")
            assert (ack.conversation, ack.seq, ack.duplicate) == (DIRECT, 1, False)
            await live.post(DIRECT, "hello yourself")
            first, second = await entries(chat, 2)
            assert (first.text, first.is_own, second.text, second.sender) == ("hello", True, "hello yourself", OTHER)
            assert (chat.user, chat.is_connected, chat.unsent) == (ME, True, 0)
            assert chat.conversations[DIRECT].unread == 1
            chat.mark(DIRECT, read=2)
            assert chat.conversations[DIRECT].unread == 0

    run(main)


def test_edits_deletions_reactions_and_pages(run: Run) -> None:
    async def main() -> None:
        async with live_server() as live, chat_with(live) as chat:
            await chat.send(OTHER, {"text": "helo", "mentions": [OTHER]})
            (text,) = await entries(chat, 1)
            await chat.edit(text, "hello")
            await chat.react(text, "👍")
            page = await chat.page(DIRECT)
            assert page.messages[0].text == "hello"
            assert page.messages[0].reactions is not None
            assert page.messages[0].reactions["👍"].mine
            await chat.delete(text)
            page = await chat.pull(DIRECT, after=0, limit=1)
            assert (page.messages[0].deleted, page.more) == (True, True)
            with pytest.raises(Rejected, match="not_found"):
                await chat.pull(GROUP, after=0)
            with pytest.raises(ValueError, match="either"):
                await chat.pull(DIRECT)
            sends = live.model.received("send")
            assert [(send.get("kind", "text"), send.get("ref")) for send in sends] == [
                ("text", None),
                ("edit", 1),
                ("reaction", 1),
                ("delete", 1),
            ]
            assert sends[0]["to"] == OTHER

    run(main)


def test_a_lost_connection_is_made_again_and_nothing_is_lost(run: Run) -> None:
    async def main() -> None:
        async with live_server() as live, chat_with(live) as chat, anyio.create_task_group() as tasks:
            await chat.wait_synced()
            live.lose_sends = 1
            acks = []

            async def send() -> None:
                acks.append(await chat.send(DIRECT, "important"))

            tasks.start_soon(send)
            while live.lose_sends:
                await anyio.lowlevel.checkpoint()
            live.model.connection = None
            live.model.post(DIRECT, "meanwhile")
            await live.kick(4001)
            meanwhile, mine = await entries(chat, 2)
            assert (meanwhile.text, mine.text, mine.seq) == ("meanwhile", "important", 2)
            assert live.connections == 2
        assert acks[0].seq == 2
        assert [send["retry"] for send in live.model.received("send")] == [True]

    run(main)


def test_a_refused_handshake_is_tried_again(run: Run) -> None:
    async def main() -> None:
        async with live_server() as live:
            live.handshakes = [503, 503]
            async with chat_with(live) as chat:
                await chat.wait_synced()
                assert not live.handshakes

    run(main)


@pytest.mark.parametrize("status", [401, 403])
def test_a_handshake_that_is_refused_for_good_ends_the_chat(run: Run, status: int) -> None:
    async def main() -> None:
        async with live_server() as live:
            live.handshakes = [status] * 9
            async with chat_with(live) as chat:
                with pytest.raises(ChatClosed, match=str(status)):
                    await chat.wait_synced()
            assert len(live.handshakes) == 8

    run(main)


@pytest.mark.parametrize("code", [4500, 4502, 4503, 4504])
def test_a_server_that_sends_the_client_away_ends_the_chat(run: Run, code: int) -> None:
    async def main() -> None:
        async with live_server() as live, chat_with(live) as chat:
            await chat.wait_synced()
            await live.kick(code)
            closed = await chat.wait_closed()
            assert isinstance(closed, ChatClosed)
            assert closed.code == code
            with pytest.raises(ChatClosed):
                await chat.send(DIRECT, "too late")
            with pytest.raises(ChatClosed):
                await entries(chat, 1)
        assert live.connections == 1

    run(main)


def test_a_send_that_waits_when_the_chat_ends_is_told(run: Run) -> None:
    async def main() -> None:
        async with live_server() as live, chat_with(live) as chat:
            await chat.wait_synced()
            live.lose_sends = 1
            async with anyio.create_task_group() as tasks:

                async def send() -> None:
                    with pytest.raises(ChatClosed):
                        await chat.send(DIRECT, "x")

                tasks.start_soon(send)
                while live.lose_sends:
                    await anyio.lowlevel.checkpoint()
                await live.kick(4502)

    run(main)


def test_the_outbox_survives_a_restart(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        async with live_server() as live:
            live.lose_sends = 1
            async with chat_with(live, outbox=tmp_path / "outbox") as chat:
                names = [await chat.post(DIRECT, text) for text in ("one", "two")]
                names.append(await chat.post(GROUP, "three"))
                with pytest.raises(OutboxInUse):
                    await chat_with(live, outbox=tmp_path / "outbox").__aenter__()
                while live.lose_sends:
                    await anyio.lowlevel.checkpoint()
            before = len(live.model.frames)
            async with chat_with(live, outbox=tmp_path / "outbox") as chat:
                assert chat.unsent >= 2
                await chat.flush()
                assert chat.unsent == 0
            sends = [frame for frame in live.model.frames[before:] if frame["type"] == "send"]
            assert all(send["retry"] for send in sends)
            stored = [entry["client_id"] for log in live.model.logs.values() for entry in log.entries]
            assert stored == names
            async with chat_with(live, outbox=tmp_path / "outbox") as chat:
                assert chat.unsent == 0
                assert chat.user == ME, "the outbox knows whose it is"

    run(main)


def test_many_senders_keep_the_order_of_their_calls_on_disk_and_on_the_wire(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        async with live_server() as live, chat_with(live, outbox=tmp_path / "outbox") as chat:
            await chat.wait_synced()
            async with anyio.create_task_group() as tasks:
                for number in range(40):
                    tasks.start_soon(chat.send, DIRECT, str(number))
            sent = [entry["body"]["text"] for entry in live.model.logs[DIRECT].entries]
            # A task group of Trio starts its tasks in any order: what counts is that ids rise with the entries.
            assert sorted(sent, key=int) == [str(number) for number in range(40)]
            ids = [entry["client_id"] for entry in live.model.logs[DIRECT].entries]
            assert ids == sorted(ids)

    run(main)


def test_a_bot_that_answers_inside_its_loop_does_not_lock_up(run: Run) -> None:
    async def main() -> None:
        model = ModelServer()
        for number in range(60):
            model.post(DIRECT, str(number))
        async with live_server(model) as live, chat_with(live, events_max=2) as chat:
            answered = 0
            async for message in chat.messages():
                await chat.send(message.conversation, f"echo {message.text}", ref=message.seq)
                answered += 1
                if answered == 60:
                    break
        refs = [entry["ref"] for entry in model.logs[DIRECT].entries if entry["sender"] == ME]
        assert refs == list(range(1, 61))

    run(main)


def test_a_refused_post_becomes_an_event(run: Run) -> None:
    async def main() -> None:
        async with live_server() as live, chat_with(live) as chat:
            live.model.refuse = [{"code": "forbidden"}]
            client_id = await chat.post(DIRECT, "x")
            failed = await until(chat, SendFailed)
            assert (failed.client_id, failed.error.code) == (client_id, "forbidden")
            live.model.refuse = [{"code": "conflict"}]
            with pytest.raises(Rejected, match="conflict"):
                await chat.send(DIRECT, "x")

    run(main)


def test_the_client_goes_with_bye_and_1000(run: Run) -> None:
    async def main() -> None:
        async with live_server() as live:
            async with chat_with(live) as chat:
                await chat.wait_synced()
            with anyio.fail_after(5):
                while not live.close_codes:
                    await anyio.lowlevel.checkpoint()
            assert live.close_codes == [1000]
            assert live.model.frames[-1]["type"] == "bye"

    run(main)


def test_the_events_say_when_the_connection_comes_and_goes(run: Run) -> None:
    async def main() -> None:
        async with live_server() as live, chat_with(live) as chat:
            await until(chat, Synced)
            await live.kick(4001)
            lost = await until(chat, Disconnected)
            assert (lost.code, lost.retry_in_s) == (4001, 0.0)
            await until(chat, Synced)

    run(main)


def test_an_error_of_the_program_leaves_the_block_as_it_is(run: Run) -> None:
    async def main() -> None:
        async with live_server() as live:

            async def program() -> None:
                async with chat_with(live) as chat:
                    await chat.wait_synced()
                    raise ZeroDivisionError

            with pytest.raises(ZeroDivisionError):
                await program()

    run(main)


def test_a_cancelled_block_ends_and_says_bye(run: Run) -> None:
    async def main() -> None:
        async with live_server() as live:
            with anyio.CancelScope() as scope:
                async with chat_with(live) as chat:
                    await chat.wait_synced()
                    scope.cancel()
                    await anyio.sleep_forever()
            while not live.model.received("bye"):
                await anyio.lowlevel.checkpoint()

    run(main)


def test_events_end_when_the_chat_was_closed_by_its_user(run: Run) -> None:
    async def main() -> None:
        async with live_server() as live:
            async with chat_with(live) as chat:
                await chat.wait_synced()
            assert [event async for event in chat.events() if isinstance(event, Message)] == []
            with pytest.raises(ChatClosed):
                await chat.send(DIRECT, "x")

    run(main)


def test_moved_connects_there_before_it_leaves_here(run: Run) -> None:
    async def main() -> None:
        async with live_server() as old, live_server(old.model) as new, chat_with(old) as chat:
            await chat.wait_synced()
            assert old.model.connection is not None
            url = new.url.replace("http", "ws") + "/chat/n2/ws"
            old.model.connection.out.append({"type": "moved", "url": url, "within_s": 5})
            await old.post(DIRECT, "still here")
            await entries(chat, 1)
            while not old.close_codes:
                await anyio.lowlevel.checkpoint()
            assert new.connections == 1
            ack = await chat.send(DIRECT, "from there")
            await new.post(DIRECT, "over there")
            assert [entry.text for entry in await entries(chat, 2)] == ["from there", "over there"]
            assert (ack.seq, old.close_codes) == (2, [1000])

    run(main)


@pytest.mark.parametrize(
    "given",
    [{}, {"token": "t", "refresh_token": "r"}, {"email": "a"}, {"token": "t", "password": "p"}],
)
def test_who_one_is_must_be_said_in_one_way(run: Run, given: dict[str, str]) -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match="give one of"):
            async with open_chat("http://127.0.0.1:1", **given):  # type: ignore[arg-type]
                pass

    run(main)
