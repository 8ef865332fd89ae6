"""The project's own client against the real server, on Trio and on asyncio: the same story on both."""

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import to_thread

from tests.harness.people import register
from tests.harness.server import Server, running_server
from trimaran_client import Account, Chat, ConversationChanged, Event, Marks, Message, Rejected, open_chat

WAIT_S = 30.0

Story = Callable[[Server, Path], Awaitable[None]]


async def hear(chat: Chat, is_it: Callable[[Event], bool]) -> Event:
    """The next event of which this is true."""
    async for event in chat.events():
        if is_it(event):
            return event
    raise AssertionError("the chat is over")


async def texts_up_to(chat: Chat, last: str) -> list[str]:
    """All texts that come, own ones too, until one says `last`."""
    texts = []
    async for event in chat.events():
        if isinstance(event, Message) and event.kind == "text":
            texts.append(event.text)
            if event.text == last:
                break
    return texts


async def two_people_chat(server: Server, _folder: Path) -> None:
    """By accounts made with the SDK itself: a text, an edit, a reaction, marks, a page."""
    async with Account(server.url) as ann, Account(server.url) as bob:
        await ann.register("ann@example.org", "ann", "correct horse 1")
        bob_id = (await bob.register("bob@example.org", "bob", "correct horse 1")).user.id
        async with open_chat(server.url, account=ann) as at_ann, open_chat(server.url, account=bob) as at_bob:
            await at_ann.wait_synced()
            await at_bob.wait_synced()
            ack = await at_ann.send(bob_id, "hi é")
            message = await hear(at_bob, lambda event: isinstance(event, Message))
            assert isinstance(message, Message)
            assert (message.text, message.seq, message.conversation) == ("hi é", 1, ack.conversation)
            at_bob.mark(ack.conversation, read=1)
            is_tick = partial(_shows, user=bob_id, read=1)
            await hear(at_ann, is_tick)
            await at_bob.react(message, "👍")
            own = await hear(at_ann, lambda event: isinstance(event, Message) and event.kind == "reaction")
            assert isinstance(own, Message)
            assert own.body == {"emoji": "👍", "on": True}
            (text, *_) = (await at_ann.page(ack.conversation)).messages
            assert text.reactions is not None
            assert text.reactions["👍"].count == 1
            with pytest.raises(Rejected):
                await at_bob.edit(message, "not mine to change")


async def a_group_finds_its_members(server: Server, _folder: Path) -> None:
    """Made over REST while they are connected; each is told of it before its first entry."""
    async with Account(server.url) as ann, Account(server.url) as bob:
        await ann.register("ann@example.org", "ann", "correct horse 1")
        bob_id = (await bob.register("bob@example.org", "bob", "correct horse 1")).user.id
        async with open_chat(server.url, account=ann) as at_ann, open_chat(server.url, account=bob) as at_bob:
            await at_bob.wait_synced()
            group = await ann.create_group("team", [bob_id])
            changed = await hear(at_bob, lambda event: isinstance(event, ConversationChanged))
            assert isinstance(changed, ConversationChanged)
            assert (changed.conversation.id, changed.conversation.title) == (group.conversation, "team")
            await at_ann.send(group.conversation, "hello team")
            assert await texts_up_to(at_bob, "hello team") == ["hello team"]
            await ann.remove_member(group.id, bob_id)
            with pytest.raises(Rejected):
                await at_bob.send(group.conversation, "still here?")


async def the_server_dies_and_nothing_is_missed(server: Server, folder: Path) -> None:
    """What is written while the server is down waits on disk, through the end of the program too."""
    ann = await to_thread.run_sync(register, server.url, "ann")
    bob = await to_thread.run_sync(register, server.url, "bob")
    conversation, outbox = ann.direct(bob), folder / "outbox"
    async with open_chat(server.url, token=bob.access_token) as at_bob:
        await at_bob.wait_synced()
        async with open_chat(server.url, token=ann.access_token, outbox=outbox) as at_ann:
            await at_ann.send(conversation, "before")
            await to_thread.run_sync(server.kill)
            await at_ann.post(conversation, "while it was down")
        await to_thread.run_sync(server.start)
        async with open_chat(server.url, token=ann.access_token, outbox=outbox) as at_ann:
            await at_ann.flush()
            await at_ann.send(conversation, "after")
            assert await texts_up_to(at_bob, "after") == ["before", "while it was down", "after"]


def _shows(event: Event, *, user: str, read: int) -> bool:
    return isinstance(event, Marks) and any(mark.user == user and mark.read == read for mark in event.marks)


@pytest.mark.parametrize("story", [two_people_chat, a_group_finds_its_members, the_server_dies_and_nothing_is_missed])
@pytest.mark.parametrize("backend", ["trio", "asyncio"])
def test_the_sdk_tells_this_story(tmp_path: Path, story: Story, backend: str) -> None:
    async def told(server: Server) -> None:
        with anyio.fail_after(WAIT_S):
            await story(server, tmp_path)

    with running_server(tmp_path) as server:
        run: Any = anyio.run
        run(told, server, backend=backend)
