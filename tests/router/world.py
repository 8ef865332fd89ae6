"""A router in a world of its own: a reactor of a few lines, clients that read as fast as the test says, stores that answer when it says.

Nothing happens by itself. A frame that a client says is handed to the
router at once; `turn` ends the turn and flushes; what the router asked of
the world waits in `calls` until it is done (`Call.do`) and answered (`Call.answer`). `settle` does all of it until nothing is left.
"""

import random
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import msgspec

from core.base.clock import ManualClock
from core.base.errors import Rejected, TrimaranError, Unavailable
from core.base.ids import ClientId, ConversationId, DeviceId, IdSource, UserId
from core.base.limits import Limits
from core.base.metrics import Metrics
from core.base.records import (
    Append,
    Entry,
    Mark,
    MemberBody,
    Outcome,
    PageQuery,
    Presence,
    RowChange,
    Send,
    Unknown,
)
from core.base.tokens import Claims, TokenExpired
from core.protocol.handshake import Accepted
from core.router.outbox import Outbox
from core.router.router import Router
from core.router.sessions import Session
from tests.router.model import Store

UNLIMITED: Final = Limits(sends_per_s=0, frames_per_s=0, handshakes_per_s=0)


def user_id(number: int) -> UserId:
    """The id of a user of the world."""
    return UserId(f"0000000{number}-0000-7000-8000-000000000000")


def device_id(number: int) -> DeviceId:
    """The id of a device of the world."""
    return DeviceId(f"0000000{number}-0000-7000-8000-dddddddddddd")


def client_id(number: int) -> ClientId:
    """The id of a send of the world."""
    return ClientId(f"{number:08d}-0000-7000-8000-cccccccccccc")


ANN, BOB, CAT, DAN = map(user_id, range(1, 5))
GROUP: Final = ConversationId("g:00000009-0000-7000-8000-000000000000")


class Call:
    """Something that the router asked of the world."""

    def __init__(self, name: str, subject: str, effect: Callable[[], Any], then: Callable[[Any], None]) -> None:
        self.name: Final = name
        self.subject: Final = subject  # the conversation, or the user, that it is about
        self._effect = effect
        self._then = then
        self.result: Any = None
        self.is_done = False

    def do(self) -> None:
        """Have it happen; the router does not know yet."""
        if not self.is_done:
            self.is_done = True
            try:
                self.result = self._effect()
            except TrimaranError as error:
                self.result = error

    def answer(self) -> None:
        """Tell the router."""
        self.do()
        self._then(self.result)

    def answer_with(self, result: Any) -> None:
        """Tell the router something else; whatever was not done never will be."""
        self._then(result)

    def __repr__(self) -> str:
        return f"{self.name}({self.subject})"


class Ports:
    """The router's ports: each request becomes a `Call`."""

    def __init__(self, store: Store, calls: list[Call]) -> None:
        self.store: Final = store
        self.calls: Final = calls
        self.batches: Final[list[Sequence[Append]]] = []
        self.merges: Final[list[Sequence[Mark]]] = []
        self.late: Final[list[Append]] = []  # unknown outcomes that may yet land

    def _ask(self, name: str, subject: str, effect: Callable[[], Any], then: Callable[[Any], None]) -> None:
        self.calls.append(Call(name, subject, effect, then))

    # tokens

    def verify(self, token: str, now_ms: int) -> Claims:
        try:
            user, device, expires_ms = token.split("/")
        except ValueError:
            raise Rejected("unauthenticated", "the access token is not valid") from None
        if int(expires_ms) <= now_ms:
            raise TokenExpired
        return Claims(UserId(user), DeviceId(device), int(expires_ms), False)

    # logs: one answer per conversation, so that they may come in any order

    def append(self, batch: Sequence[Append], then: Callable[[list[Outcome]], None]) -> None:
        self.batches.append(batch)
        for item in batch:
            self.calls.append(AppendCall(self, item, then))

    def load(self, conversation: ConversationId, epoch: int, then: Any) -> None:
        self._ask("load", conversation, partial(self.store.load, conversation, epoch), then)

    def find(self, conversation: ConversationId, sender: UserId, client_id: ClientId, then: Any) -> None:
        self._ask("find", conversation, partial(self.store.find, conversation, sender, client_id), then)

    def entry(self, conversation: ConversationId, seq: int, then: Any) -> None:
        self._ask("entry", conversation, partial(self.store.entry, conversation, seq), then)

    def read(self, conversation: ConversationId, after: int, up_to: int, limit: int, then: Any) -> None:
        self._ask("read", conversation, partial(self.store.read, conversation, after, up_to, limit), then)

    def page(self, query: PageQuery, then: Any) -> None:
        self._ask("page", query.conversation, lambda: self.store.log(query.conversation).page(query), then)

    # relay

    def arrive(self, user: UserId, device: DeviceId, then: Any) -> None:
        self._ask("arrive", user, partial(self.store.arrive, user, device), then)

    def listed(self, user: UserId, device: DeviceId, conversations: Sequence[ConversationId], then: Any) -> None:
        self._ask("listed", user, partial(self.store.listed, user, device, conversations), then)

    def prepare(self, changes: Sequence[RowChange], then: Any) -> None:
        self._ask("prepare", changes[0].conversation, partial(self.store.prepare, changes), then)

    def committed(self, entries: Sequence[Entry], changes: Sequence[RowChange], then: Any) -> None:
        self._ask("committed", entries[0].conversation, partial(self.store.committed, changes), then)

    def merge(self, marks: Sequence[Mark], then: Any) -> None:
        self.merges.append(marks)
        self._ask("merge", "", partial(self.store.merge, marks), then)

    # people

    def watched(self, watcher: UserId, users: Sequence[UserId], then: Any) -> None:
        self._ask("watched", watcher, partial(self.store.watched, watcher, users), then)

    def report(self, changes: Sequence[Presence]) -> None:
        self.store.last_seen.update((change.user, change.at_ms) for change in changes)


class AppendCall(Call):
    """An append of one conversation; its outcome may stay unknown."""

    def __init__(self, ports: Ports, item: Append, then: Callable[[list[Outcome]], None]) -> None:
        super().__init__(
            "append", item.conversation, partial(ports.store.append, item), lambda outcome: then([outcome])
        )
        self.item: Final = item
        self._ports = ports

    def lose(self, *, landed: bool, may_land: bool = False) -> None:
        """Answer that nobody knows: it was written (`landed`), or it was not and never will be, or it `may_land` later."""
        if landed:
            self.do()
        elif may_land and not self.is_done:
            self._ports.late.append(self.item)
        self.answer_with(Unknown(self.item.conversation, "no answer"))


class Connection:
    """A connection as its client sees it, and the reactor's part of it."""

    def __init__(self, world: "World", accepted: Accepted) -> None:
        self._world = world
        self.outbox: Final = Outbox(world.dirty, world.limits.outbox_bytes, self)
        self.session: Final[Session] = world.router.on_open(accepted, self.outbox)
        self.bytes_per_turn: int | None = None  # how fast the client reads; None: at once
        self.frames: Final[list[dict[str, Any]]] = []  # what came, and was not taken yet
        self.sizes: Final[list[int]] = []  # of all frames that came
        self.unread: Final[deque[bytes]] = deque()  # said while the reactor did not read
        self.close_code: int | None = None
        self.on_frame: Callable[[dict[str, Any]], None] = self.frames.append
        self._was_above_high = False

    # ---- the client

    def say(self, **frame: Any) -> None:
        """Send a frame."""
        self.say_raw(msgspec.json.encode(frame))

    def say_raw(self, payload: bytes) -> None:
        """Send bytes as a text frame; a slow consumer's wait until it has read."""
        self.unread.append(payload)
        self.read_input()

    def take(self, *types: str) -> list[dict[str, Any]]:
        """Empty and return what came, of some types only if named; the rest is dropped."""
        taken = [frame for frame in self.frames if not types or frame["type"] in types]
        self.frames.clear()
        return taken

    def drop(self) -> None:
        """Lose the connection without a word."""
        self._end(1006)

    # ---- the reactor

    def read_input(self) -> None:
        while self.unread and self.outbox.size <= self.outbox.high_bytes and self._is_taking:
            self._world.router.on_text(self.session, self.unread.popleft())

    @property
    def _is_taking(self) -> bool:
        return self.close_code is None and self.outbox.closing is None

    def flush(self) -> None:
        outbox = self.outbox
        if self.close_code is not None:
            return
        room = self.bytes_per_turn
        self._was_above_high |= outbox.size > outbox.high_bytes
        while outbox.chunks and (room is None or room > 0):
            chunk = bytes(outbox.chunks.pop(0))
            outbox.size -= len(chunk)
            room = None if room is None else room - len(chunk)
            self.sizes.append(len(_payload(chunk)))
            self.on_frame(msgspec.json.decode(_payload(chunk)))
        if outbox.closing is not None:
            self._end(outbox.closing.code)
            return
        outbox.is_dirty = bool(outbox.chunks)
        if outbox.chunks:
            self._world.dirty.append(outbox)
        if outbox.size <= outbox.low_bytes and (self._was_above_high or outbox.wants_drain):
            self._was_above_high = False
            self._world.router.on_drained(self.session)

    def _end(self, code: int) -> None:
        if self.close_code is None:
            self.close_code = code
            self._world.connections.remove(self)
            self._world.router.on_closed(self.session, code)
            self.outbox.close(code)
            self.outbox.chunks.clear()


def _payload(frame: bytes) -> bytes:
    return frame[{126: 4, 127: 10}.get(frame[1], 2) :]


class World:
    """A router, its stores and its connections."""

    def __init__(self, *users: UserId, limits: Limits = UNLIMITED, store: Store | None = None) -> None:
        self.clock: Final = ManualClock()
        self.limits: Final = limits
        self.store: Final = store if store is not None else Store()
        self.store.users.update(users)
        self.calls: Final[list[Call]] = []
        self.ports: Final = Ports(self.store, self.calls)
        self.dirty: Final[list[Outbox]] = []
        self.connections: Final[list[Connection]] = []
        self.metrics: Final = Metrics()
        self._epoch = 0
        self._ids = IdSource(self.clock, random.Random(1))
        self.router: Router
        self.start_router()
        self._sends = 1_000

    def start_router(self) -> None:
        """Start a router at the next epoch; the earlier one is gone, with all that it had not been told."""
        for connection in list(self.connections):
            connection.close_code = 1006
        self.connections.clear()
        self.dirty.clear()
        self.calls.clear()
        self._epoch += 1
        self.router = Router(
            clock=self.clock,
            ids=self._ids,
            limits=self.limits,
            node="n1",
            epoch=self._epoch,
            tokens=self.ports,
            logs=self.ports,
            relay=self.ports,
            people=self.ports,
            metrics=self.metrics,
        )

    # ---- clients

    def open(self, accepted: Accepted | None = None) -> Connection:
        """A connection that has said nothing."""
        connection = Connection(self, accepted or Accepted())
        self.connections.append(connection)
        return connection

    def token(self, user: UserId, device: int = 1, *, for_s: float = 900) -> str:
        """An access token."""
        return f"{user}/{device_id(device)}/{self.clock.wall_ms() + int(for_s * 1_000)}"

    def hello(self, user: UserId, device: int = 1, **fields: Any) -> Connection:
        """A connection that has just said hello."""
        connection = self.open()
        connection.say(type="hello", token=self.token(user, device), **fields)
        return connection

    def join(self, user: UserId, device: int = 1, **fields: Any) -> Connection:
        """A connection whose hello is answered; what it was told is dropped."""
        connection = self.hello(user, device, **fields)
        self.settle()
        connection.frames.clear()
        return connection

    def next_client_id(self) -> ClientId:
        """An id for a new send."""
        self._sends += 1
        return client_id(self._sends)

    # ---- time

    def turn(self) -> None:
        """End a turn: hand in, flush."""
        for connection in list(self.connections):
            connection.read_input()
        self.router.end_turn()
        dirty = list(self.dirty)
        self.dirty.clear()
        for outbox in dirty:
            outbox.owner.flush()

    def tick(self, seconds: float = 1.0) -> None:
        """Let time pass."""
        self.clock.advance(seconds)
        self.router.on_tick(self.clock.monotonic_s())
        self.turn()

    def settle(self) -> None:
        """Do and answer everything, in order, until nothing is left to do. Time stands still."""
        for _ in range(10_000):
            self.turn()
            if self.calls:
                self.calls.pop(0).answer()
            elif all(outbox.owner.bytes_per_turn == 0 for outbox in self.dirty):
                return
        raise AssertionError("the world does not settle")

    def call(self, name: str) -> Call:
        """Take the oldest call of that name out of the queue."""
        self.turn()
        found = next((call for call in self.calls if call.name == name), None)
        assert found is not None, f"no {name} in {self.calls}"
        self.calls.remove(found)
        return found

    def append_call(self) -> AppendCall:
        """The same for an append."""
        call = self.call("append")
        assert isinstance(call, AppendCall)
        return call

    def fail(self, name: str, error: TrimaranError | None = None) -> None:
        """Answer the oldest call of that name with an error; it is not done."""
        self.call(name).answer_with(error or Unavailable("away"))


class Answers:
    """A reply of a send that did not come from a socket."""

    def __init__(self) -> None:
        self.got: list[Any] = []

    def sent(self, sent: Any) -> None:
        self.got.append(sent)

    def refused(self, error: TrimaranError) -> None:
        self.got.append(error)


def make_group(world: World, *members: UserId, history: str = "joined", group: ConversationId = GROUP) -> None:
    """A group of `members`, of whom the first is the owner."""
    body = MemberBody(members[0], members, roles={members[0]: "owner"}, name="a group", history=history)
    change_members(world, body, group)


def member_send(world: World, body: MemberBody, group: ConversationId = GROUP) -> tuple[Send, Answers]:
    """A change of members as the group service hands it in, and who waits for what comes of it."""
    encoded = msgspec.json.encode(body)
    send = Send(group, body.by, "", world.next_client_id(), "member", encoded, is_retry=False, via="service")
    return send, Answers()


def change_members(world: World, body: MemberBody, group: ConversationId = GROUP) -> Any:
    """Have members added or removed; what came of it."""
    send, reply = member_send(world, body, group)
    world.router.submit(send, reply)
    world.settle()
    return reply.got[0]
