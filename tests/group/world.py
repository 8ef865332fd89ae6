"""The services over the embedded stores, with an owner of the simplest kind and people made up: what their tests run in.

The owner does what the router's does, one send after the other: it asks the rules, prepares rows, appends, confirms,
tells the projection. It can be made to die between two of these steps.
"""

import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

import msgspec
import trio

from core.base.clock import ManualClock
from core.base.errors import Rejected, Unavailable, not_found
from core.base.ids import (
    ClientId,
    ConversationId,
    DeviceId,
    IdSource,
    UserId,
    direct_users,
    is_group,
)
from core.base.limits import Limits
from core.base.metrics import Metrics, registry_of
from core.base.records import (
    Append,
    Appended,
    Entry,
    GroupBody,
    GroupState,
    Listed,
    Mark,
    MemberBody,
    RowChange,
    Send,
    Sent,
)
from core.rules import membership
from core.rules.conversations import may_refer, may_write
from core.rules.groups import may_change_group, may_change_members
from sidecars.group.requests import Caller, NewMember, UserGroups
from sidecars.group.routes import routes as group_routes
from sidecars.group.service import GroupService
from sidecars.group_message.routes import routes as group_message_routes
from sidecars.group_message.service import GroupMessageService
from sidecars.last_seen.routes import routes as last_seen_routes
from sidecars.last_seen.service import LastSeenService
from sidecars.message.requests import UserMessages
from sidecars.message.routes import routes as message_routes
from sidecars.message.service import MessageService
from sidecars.ports.http import Edge
from sidecars.ports.users import Account, Privacy
from sidecars.process.http import create_app
from sidecars.relay.requests import UserRelay
from sidecars.relay.routes import routes as relay_routes
from sidecars.relay.service import RelayService
from tests.contracts.backends import BACKENDS, Stores
from tests.contracts.people import ANN, BOB, CID, DAN, uuid

PHONE = DeviceId(uuid(60))
LAPTOP = DeviceId(uuid(61))
NOBODY = UserId(uuid(99))
EPOCH = 1

Step = Literal["prepare", "append", "confirm", "follow"]


class People:
    """The user service's answers, made up."""

    def __init__(self) -> None:
        self.called: dict[UserId, str] = {ANN: "Ann", BOB: "Bob", CID: "Cid", DAN: "Dan"}
        self.blocks: set[tuple[UserId, UserId]] = set()  # who, whom
        self.policies: dict[UserId, Privacy] = {}

    async def names(self, users: Sequence[UserId]) -> Mapping[UserId, str]:
        return {user: self.called[user] for user in users if user in self.called}

    async def users(self, users: Iterable[UserId]) -> list[Account]:
        return [Account(user, "", "", self.called[user], "", 0) for user in dict.fromkeys(users) if user in self.called]

    async def privacy(self, users: Sequence[UserId]) -> Mapping[UserId, Privacy]:
        return {user: self.policies.get(user, Privacy()) for user in users if user in self.called}

    async def blockers(self, user: UserId, others: Sequence[UserId]) -> frozenset[UserId]:
        return frozenset(other for other in others if (other, user) in self.blocks)

    async def blocked(self, user: UserId, others: Sequence[UserId]) -> frozenset[UserId]:
        return frozenset(other for other in others if (user, other) in self.blocks)


class Owner:
    """Appends sends, one after the other. `dies_before`: a step before which the next send's owner is gone."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._lock = trio.Lock()
        self.dies_before: Step | None = None

    async def submit(self, send: Send) -> Sent:
        async with self._lock:
            return await self._submit(send)

    async def _submit(self, send: Send) -> Sent:
        world = self._world
        log = world.log_of(send.conversation)
        found = await log.find(send.conversation, send.sender, send.client_id)
        if found is not None:
            return Sent(send.conversation, send.client_id, found.seq, found.time_ms, duplicate=True)
        claimed = await log.claim(send.conversation, EPOCH)
        state = await self._state(send.conversation, claimed.head)
        refused = await self._decide(send, state)
        if refused is not None:
            raise refused
        hidden_from = await self._hidden_from(send)
        world.clock.advance(1)
        entry = Entry(
            send.conversation,
            claimed.head + 1,
            send.sender,
            send.device,
            send.client_id,
            send.kind,
            send.body,
            send.ref,
            world.clock.wall_ms(),
            claimed.texts + (send.kind == "text" and not hidden_from),
            hidden_from,
        )
        await self._commit(entry, state)
        return Sent(send.conversation, send.client_id, entry.seq, entry.time_ms, duplicate=False)

    async def _commit(self, entry: Entry, state: GroupState) -> None:
        world = self._world
        changes = _row_changes(entry, state)
        self._live("prepare")
        if changes:
            await world.relay.prepare(changes)
        self._live("append")
        append = Append(entry.conversation, EPOCH, entry.seq - 1, (entry,))
        assert await world.log_of(entry.conversation).append([append]) == [Appended(entry.conversation, entry.seq)]
        self._live("confirm")
        if changes:
            await world.relay.confirm(changes)
        self._live("follow")
        if entry.kind in ("member", "group"):
            await world.groups.follow([entry])

    def _live(self, step: Step) -> None:
        if self.dies_before == step:
            self.dies_before = None
            raise Unavailable("the owner died")

    async def _state(self, conversation: ConversationId, head: int) -> GroupState:
        if not is_group(conversation):
            return GroupState(conversation, head, "", "", dict.fromkeys(direct_users(conversation), "member"))
        return await self._world.fold(conversation)

    async def _decide(self, send: Send, state: GroupState) -> Rejected | None:
        if not is_group(send.conversation):
            users = direct_users(send.conversation)
            if send.sender in users and len(await self._world.people.users(users)) != len(set(users)):
                return not_found("user")
        if send.kind == "member":
            change = msgspec.json.decode(send.body, type=MemberBody)
            if state.seq == 0:
                return None if change.name else not_found("group")
            return may_change_members(
                state.members,
                send.sender,
                change,
                is_invited=send.via == "invite",
                members_max=self._world.limits.group_members,
            )
        if send.kind == "group":
            return may_change_group(state.members, send.sender, msgspec.json.decode(send.body, type=GroupBody))
        role = state.members.get(send.sender, "")
        refused = may_write(role)
        if refused is None and send.ref:
            target = await self._world.log_of(send.conversation).entry(send.conversation, send.ref)
            refused = may_refer(send.kind, send.sender, role, target, 1)
        return refused

    async def _hidden_from(self, send: Send) -> str:
        if is_group(send.conversation):
            return ""
        others = [user for user in direct_users(send.conversation) if user != send.sender]
        return next(iter(await self._world.people.blockers(send.sender, others)), "")


def _row_changes(entry: Entry, state: GroupState) -> list[RowChange]:
    if not is_group(entry.conversation):
        users = direct_users(entry.conversation) if entry.seq == 1 else ()
        return [RowChange(user, entry.conversation, 1, 1) for user in dict.fromkeys(users)]
    if entry.kind != "member":
        return []
    body = membership.member_body(entry)
    first = 1 if (body.history or state.history) == "shared" else entry.seq
    return [
        *(RowChange(user, entry.conversation, entry.seq, first) for user in body.added),
        *(RowChange(user, entry.conversation, entry.seq, 0) for user in body.removed),
    ]


class Door:
    """The router's door for what is not a send."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.relisted: list[tuple[UserId, ConversationId]] = []

    async def mark(self, user: UserId, device: DeviceId, conversation: ConversationId, delivered: int) -> None:
        await self._world.relay.merge([Mark(user, device, conversation, delivered, 0)])

    async def relist(self, user: UserId, conversation: ConversationId) -> None:
        self.relisted.append((user, conversation))


@dataclass(frozen=True)
class Answer:
    """What REST said."""

    status: int
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class _Claims:
    user: UserId
    device: DeviceId
    is_operator: bool = False


class _Verifier:
    """A token is `user device`."""

    def verify(self, token: str, now_ms: int) -> _Claims:
        user, device = token.split("_")
        return _Claims(UserId(user), DeviceId(device))


class World:
    """All of it."""

    def __init__(self, stores: Stores, limits: Limits) -> None:
        self.stores = stores
        self.limits = limits
        self.clock = ManualClock()
        self.ids = IdSource(self.clock, Random(7))
        self.people = People()
        self.message = MessageService(stores.log, stores.reader)
        self.group_message = GroupMessageService(stores.log, stores.reader)
        self.groups = GroupService(stores.groups, self.group_message)
        self.relay = RelayService(
            stores.relay,
            message=self.message,
            group_message=self.group_message,
            groups=self.groups,
            people=self.people,
            limits=limits,
        )
        self.last_seen = LastSeenService(stores.last_seen, people=self.people, contacts=self.relay, limits=limits)
        self.owner = Owner(self)
        self.door = Door(self)
        self.user_groups = UserGroups(
            self.groups,
            stores.groups,
            self.owner,
            people=self.people,
            lists=self.relay,
            clock=self.clock,
            ids=self.ids,
            limits=limits,
        )
        self.user_messages = UserMessages(self.message, self.relay, self.owner, are_groups=False)
        self.user_group_messages = UserMessages(self.group_message, self.relay, self.owner, are_groups=True)
        self.user_relay = UserRelay(self.relay, self.door, message=self.message, group_message=self.group_message)
        self.app = self._make_app()

    def log_of(self, conversation: ConversationId) -> MessageService:
        return self.group_message if is_group(conversation) else self.message

    async def fold(self, conversation: ConversationId) -> GroupState:
        """The group as its log says, by nothing but its log."""
        state = membership.no_group(conversation)
        for entry in await self.group_message.read(conversation, 0, 0, 100_000):
            state = membership.after(state, entry)
        return state

    # ---- in short

    async def say(self, user: UserId, conversation: ConversationId, text: str = "hello") -> int:
        """Send a text; its seq."""
        body = json.dumps({"text": text}).encode()
        send = Send(conversation, user, PHONE, ClientId(self.ids.uuid7()), "text", body)
        return (await self.owner.submit(send)).seq

    async def make_group(
        self, *members: UserId | NewMember, history: Literal["joined", "shared"] = "joined"
    ) -> GroupState:
        """Ann's group."""
        wishes = [each if isinstance(each, NewMember) else NewMember(each) for each in members]
        return await self.user_groups.create(Caller(ANN, PHONE), "Rowing", wishes, history)

    async def listed(self, user: UserId, device: DeviceId = PHONE) -> list[Listed]:
        return await self.relay.listing(user, device)

    async def rest(
        self, user: UserId, method: str, path: str, body: object = None, *, device: DeviceId = PHONE
    ) -> Answer:
        """What REST answers."""
        response = await self.app.test_client().open(
            path,
            method=method,
            headers={"Authorization": f"Bearer {user}_{device}"},
            data=None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode(),
        )
        return Answer(response.status_code, await response.get_data(as_text=False))

    def _make_app(self) -> Any:
        async def is_active(user: UserId, device: DeviceId) -> bool:
            return True

        metrics = Metrics()
        edge = Edge(verifier=_Verifier(), is_active=is_active, clock=self.clock, cursor_key=bytes(32))
        blueprints = [
            message_routes(self.user_messages, self.limits),
            group_message_routes(self.user_group_messages, self.limits),
            group_routes(self.user_groups, self.limits),
            relay_routes(self.user_relay),
            last_seen_routes(self.last_seen),
        ]
        return create_app(
            blueprints,
            edge=edge,
            ids=self.ids,
            metrics=metrics,
            registry=registry_of(metrics),
            is_ready=lambda: None,
            statistics=dict,
        )


@asynccontextmanager
async def open_world(limits: Limits | None = None) -> AsyncIterator[World]:
    """A fresh one, on the embedded stores."""
    async with BACKENDS[0].open() as stores:
        yield World(stores, limits or Limits())
