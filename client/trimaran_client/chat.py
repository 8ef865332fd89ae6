"""`open_chat` and `Chat`: what a program uses.

`Chat` puts together the decisions (`state.py`), the connection (`connector.py`) and the outbox on disk (`keeper.py`),
and lets callers wait for what becomes of their sends and pulls.
"""

import os
import random
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import anyio
import msgspec
from anyio import lowlevel, to_thread
from anyio.abc import TaskGroup

from trimaran_client import limits
from trimaran_client.account import Account
from trimaran_client.backoff import NORMAL
from trimaran_client.clock import ClientIds, Clock, SystemClock
from trimaran_client.commands import encode_body
from trimaran_client.connector import Connector
from trimaran_client.conversation import Conversation
from trimaran_client.errors import ChatClosed, ChatError, OutboxFull, Rejected
from trimaran_client.events import Event
from trimaran_client.frames import Ack, Message, Page
from trimaran_client.keeper import Keeper
from trimaran_client.outbox import OutboxItem
from trimaran_client.state import ClientState, Options, Phase
from trimaran_client.storage import FileStore, NoStore, OutboxStore
from trimaran_client.tokens import OneToken, Tokens
from trimaran_client.transport import Dial, dial

T = TypeVar("T")


class _Waiter:
    """A call that waits for its outcome."""

    def __init__(self) -> None:
        self._event = anyio.Event()
        self._result: Ack | Page | ChatError | None = None

    def set(self, result: Ack | Page | ChatError) -> None:
        if self._result is None:
            self._result = result
            self._event.set()

    async def wait(self, kind: type[T]) -> T:
        await self._event.wait()
        if isinstance(self._result, ChatError):
            raise self._result
        assert isinstance(self._result, kind)
        return self._result


class Chat:
    """A chat that stays connected. Made by `open_chat`; every method may be called from any task of its event loop."""

    def __init__(
        self, url: str, tokens: Tokens, store: OutboxStore, state: ClientState, dial: Dial, clock: Clock, ids: ClientIds
    ) -> None:
        self._state = state
        self._clock = clock
        self._ids = ids
        self._keeper = Keeper(store, self._queue)
        self._connector = Connector(url, tokens, state, dial, clock, self._after_change)
        self._waiters: dict[str | int, _Waiter] = {}
        self._taken: Event | None = None
        self._failure: ChatError | None = None
        self._over = anyio.Event()
        self._synced = anyio.Event()
        # Whoever waits puts a new event in place first.
        self._has_events = anyio.Event()
        self._has_outcome = anyio.Event()

    # --- what one looks at ---

    @property
    def user(self) -> str | None:
        """Who this is; None until the first welcome, unless the outbox knows."""
        return self._state.user

    @property
    def device(self) -> str | None:
        """This device; None until the first welcome."""
        return self._state.welcome.device if self._state.welcome else None

    @property
    def is_connected(self) -> bool:
        """Whether the connection stands and is synced."""
        return self._state.phase is Phase.SYNCED

    @property
    def conversations(self) -> Mapping[str, Conversation]:
        """What is known of each conversation, by id: title, head, cursor, unread, how far the others are."""
        return self._state.conversations

    @property
    def unsent(self) -> int:
        """Messages that wait to be acknowledged."""
        return len(self._keeper) + self._state.unsent

    def statistics(self) -> dict[str, int]:
        """Counts for a look from outside."""
        return self._state.statistics()

    # --- sending ---

    async def send(self, to: str, content: str | dict[str, Any], *, kind: str = "text", ref: int | None = None) -> Ack:
        """Sends a text, or a body, and waits for its acknowledgement, through any number of lost connections.

        `to` is a conversation (`d:...`, `g:...`) or a user. Messages to one conversation arrive in the order of the
        calls. A call that is cancelled after the message was put in the outbox takes nothing back: it is still sent.

        Raises:
            Rejected: the server will not have it.
            OutboxFull, OutboxBroken: it is not sent.
            ChatClosed: the chat is over; on disk, the message waits for the next run.
        """
        item = self._item(to, content, kind, ref)
        waiter = self._waiters[item.client_id] = _Waiter()
        try:
            await self._keeper.keep(item)
            return await waiter.wait(Ack)
        finally:
            self._waiters.pop(item.client_id, None)

    async def post(self, to: str, content: str | dict[str, Any], *, kind: str = "text", ref: int | None = None) -> str:
        """As `send`, but returns the `client_id` as soon as the outbox has it. A refusal comes as `SendFailed`."""
        item = self._item(to, content, kind, ref)
        await self._keeper.keep(item)
        return item.client_id

    async def edit(self, message: Message, text: str) -> Ack:
        """Replaces the text of an own message."""
        return await self.send(message.conversation, text, kind="edit", ref=message.seq)

    async def delete(self, message: Message) -> Ack:
        """Empties a message for good."""
        return await self.send(message.conversation, {}, kind="delete", ref=message.seq)

    async def react(self, message: Message, emoji: str, *, on: bool = True) -> Ack:
        """Reacts to a message, or takes the reaction back."""
        return await self.send(message.conversation, {"emoji": emoji, "on": on}, kind="reaction", ref=message.seq)

    async def flush(self) -> None:
        """Waits until every message was acknowledged or refused."""
        while self.unsent:
            self._raise_if_over()
            self._has_outcome = anyio.Event()
            await self._has_outcome.wait()

    def _item(self, to: str, content: str | dict[str, Any], kind: str, ref: int | None) -> OutboxItem:
        self._raise_if_over()
        if self.unsent >= limits.OUTBOX_ITEMS_MAX:
            raise OutboxFull(f"{limits.OUTBOX_ITEMS_MAX} messages wait to be acknowledged")
        is_conversation = to.startswith(("d:", "g:"))
        body = encode_body({"text": content} if isinstance(content, str) else content, self._state.body_bytes_max)
        return OutboxItem(
            client_id=self._ids.next(),
            conversation=to if is_conversation else None,
            to=None if is_conversation else to,
            kind=kind,
            body=msgspec.Raw(body),
            ref=ref,
        )

    def _queue(self, item: OutboxItem) -> None:
        self._state.send(item)
        self._connector.poke()

    # --- receiving ---

    def events(self) -> "Events":
        """What happens, in order, for one reader: `async for event in chat.events()`.

        An entry counts as handled when the next event is asked for; with `auto_mark` it is then marked delivered. The
        iteration ends when the chat is closed by its user, and raises ChatClosed when it ends otherwise.
        """
        return Events(self)

    async def next_event(self) -> Event:
        """The next event; settles the one before.

        Raises:
            ChatClosed: there will be none.
        """
        if self._taken is not None:
            self._state.settle(self._taken, self._clock.now_s())
            self._taken = None
            self._connector.poke()
        await lowlevel.checkpoint()
        while (event := self._state.take_event()) is None:
            self._raise_if_over()
            self._has_events = anyio.Event()
            await self._has_events.wait()
        self._taken = event
        self._connector.poke()
        return event

    def messages(self) -> "Texts":
        """As `events`, but only the texts that others wrote: what a bot answers to."""
        return Texts(self)

    async def pull(
        self, conversation: str, *, after: int | None = None, before: int | None = None, limit: int | None = None
    ) -> Page:
        """A page of entries by rising seq: those after, or the last ones before, a seq. Moves no cursor.

        Raises:
            Rejected: `not_found`, `bad_request`.
        """
        if (after is None) == (before is None):
            raise ValueError("either after or before")
        self._raise_if_over()
        ticket = self._state.pull(conversation, after=after, before=before, limit=limit)
        waiter = self._waiters[ticket] = _Waiter()
        self._connector.poke()
        try:
            return await waiter.wait(Page)
        finally:
            self._waiters.pop(ticket, None)
            self._state.cancel_pull(ticket)

    async def page(self, conversation: str, *, before: int | None = None, limit: int = limits.PULL_LIMIT) -> Page:
        """The newest page of a conversation, or the one above it: `before` is then the lowest seq already shown."""
        if before is None:
            known = self.conversations.get(conversation)
            before = (known.head if known else 0) + 1
        return await self.pull(conversation, before=before, limit=limit)

    # --- telling ---

    def mark(self, conversation: str, *, delivered: int | None = None, read: int | None = None) -> None:
        """Marks what was delivered and read; told at most once a second, and again after each reconnect.

        Raises:
            Rejected: `not_found`.
        """
        self._state.mark(conversation, delivered=delivered, read=read, now_s=self._clock.now_s())
        self._connector.poke()

    def typing(self, conversation: str, on: bool = True) -> None:
        """Tells the others that this user writes; holds for 6 s. Dropped without a connection."""
        self._state.typing(conversation, on)
        self._connector.poke()

    def watch(self, users: Iterable[str]) -> None:
        """Asks for the presence of these users, now and on every connection to come; replaces the earlier list."""
        self._state.watch(users)
        self._connector.poke()

    # --- waiting ---

    async def wait_synced(self) -> None:
        """Returns once this client has been synced for the first time.

        Raises:
            ChatClosed: it will not be.
        """
        await self._synced.wait()
        self._raise_if_over()

    async def wait_closed(self) -> ChatError:
        """Waits for the end of the chat, and says why."""
        await self._over.wait()
        assert self._failure is not None
        return self._failure

    def _raise_if_over(self) -> None:
        if self._failure is not None:
            raise self._failure

    # --- behind the scenes ---

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The tasks behind the chat, for the time of the block; `open_chat` uses it."""
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._run, tasks)
                try:
                    yield
                finally:
                    self._connector.is_closing = True
                    self._finish(ChatClosed(NORMAL, "closed"))
                    tasks.cancel_scope.cancel()
        finally:
            with anyio.move_on_after(limits.CLOSE_S, shield=True):
                await self._keeper.close()

    async def _run(self, tasks: TaskGroup) -> None:
        tasks.start_soon(self._connector.renew)
        tasks.start_soon(self._keeper.run)
        self._finish(await self._connector.run(tasks))

    def _after_change(self) -> None:
        """Hands out what came of a change of the state."""
        for outcome in self._state.take_outcomes():
            waiter = self._waiters.pop(outcome.key, None)
            if waiter is not None:
                waiter.set(outcome.result)
            if isinstance(outcome.key, str):
                self._keeper.done(outcome.key)
                if waiter is None and isinstance(outcome.result, Rejected):
                    self._state.tell_failed(outcome.key, outcome.result)
            self._has_outcome.set()
        if self._state.user is not None:
            self._keeper.belongs_to(self._state.user)
        if self._state.has_events:
            self._has_events.set()
        if self._state.phase is Phase.SYNCED:
            self._synced.set()
        self._connector.poke()

    def _finish(self, failure: ChatError) -> None:
        """The chat is over: whoever waits is told."""
        self._failure = self._failure or failure
        for waiter in self._waiters.values():
            waiter.set(self._failure)
        for event in (self._over, self._synced, self._has_events, self._has_outcome):
            event.set()


class Events:
    """The events of a chat as an asynchronous iterator; it holds nothing, so it may be left at any time."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat

    def __aiter__(self) -> "Events":
        return self

    async def __anext__(self) -> Event:
        return await _next_event(self._chat)


class Texts:
    """The texts of others, likewise."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat

    def __aiter__(self) -> "Texts":
        return self

    async def __anext__(self) -> Message:
        while True:
            event = await _next_event(self._chat)
            if isinstance(event, Message) and event.kind == "text" and not event.is_own:
                return event


async def _next_event(chat: Chat) -> Event:
    try:
        return await chat.next_event()
    except ChatClosed as closed:
        if closed.code == NORMAL:
            raise StopAsyncIteration from None
        raise


@asynccontextmanager
async def open_chat(
    url: str,
    *,
    token: str | None = None,
    account: Tokens | None = None,
    refresh_token: str | None = None,
    email: str | None = None,
    password: str | None = None,
    outbox: str | os.PathLike[str] | OutboxStore | None = None,
    auto_mark: bool = True,
    replay: int | None = None,
    replay_each: int | None = None,
    events_max: int = limits.EVENTS_MAX,
    dial: Dial = dial,
    clock: Clock | None = None,
    rng: random.Random | None = None,
) -> AsyncIterator[Chat]:
    """A chat that connects, and reconnects, in the background for as long as the block runs.

    `url` is the server (`http://host:8080`) or its WebSocket (`ws://host:8080/chat/ws`). Who one is, in one of four
    ways: an access `token` (which nobody renews), an `account` that is signed in (an `Account`), a `refresh_token`, or `email` and
    `password`. `outbox` is a file in which messages survive the end of the program. `replay` and `replay_each` bound
    what the server sends by itself after each hello; the rest is pulled. `dial`, `clock` and `rng` are for
    simulations.

    Raises:
        ApiError, Unreachable: logging in by e-mail and password failed.
        OutboxInUse: another program has the outbox open.
    """
    clock = clock or SystemClock()
    rng = rng or random.SystemRandom()
    options = Options(auto_mark=auto_mark, replay=replay, replay_each=replay_each, events_max=events_max)
    failure: Exception | None = None
    async with _tokens(url, token, account, refresh_token, email, password, clock) as tokens:
        store, kept, owner = await _open_store(outbox)
        state = ClientState(rng, options, outbox=kept, owner=owner)
        chat = Chat(url, tokens, store, state, dial, clock, ClientIds(clock, rng))
        async with chat.running():
            try:
                yield chat
            except Exception as error:  # noqa: BLE001 - raised again below
                # It leaves bare, not wrapped in the task group's exception group.
                failure = error
    if failure is not None:
        raise failure


@asynccontextmanager
async def _tokens(
    url: str,
    token: str | None,
    account: Tokens | None,
    refresh_token: str | None,
    email: str | None,
    password: str | None,
    clock: Clock,
) -> AsyncIterator[Tokens]:
    given = [token is not None, account is not None, refresh_token is not None, email is not None]
    if sum(given) != 1 or (email is None) != (password is None):
        raise ValueError("give one of: token; account; refresh_token; email and password")
    if token is not None:
        yield OneToken(token)
    elif account is not None:
        yield account
    else:
        async with Account(url, clock=clock) as own:
            if refresh_token is not None:
                own.resume(refresh_token)
            else:
                assert email is not None
                assert password is not None
                await own.login(email, password)
            yield own


async def _open_store(
    outbox: str | os.PathLike[str] | OutboxStore | None,
) -> tuple[OutboxStore, list[OutboxItem], str | None]:
    """The store, the messages in it and the user who wrote them."""

    def opened() -> tuple[OutboxStore, list[OutboxItem], str | None]:
        store = FileStore(outbox) if isinstance(outbox, str | os.PathLike) else outbox or NoStore()
        return store, store.load(), store.owner()

    return opened() if outbox is None else await to_thread.run_sync(opened)
