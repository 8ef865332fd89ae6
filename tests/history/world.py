"""A small correct chat, without sockets or clocks of its own, that writes the history its clients would record.

It knows nothing of the checker: who may see what is decided at the append and kept, entry by entry, as a naive server
would do it. Its steps take small numbers, so that Hypothesis can drive it with a list of tuples and shrink it.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.history.records import (
    Acked,
    Applied,
    Blocked,
    Connected,
    Crash,
    Disconnected,
    Ended,
    Entry,
    Event,
    Gap,
    Group,
    Healed,
    Hidden,
    Listed,
    Marked,
    MarksSeen,
    ReadBack,
    Refused,
    Sent,
    Skipped,
    Synced,
)

DIRECT = "d:ann:bob"
CREW = "g:crew"  # a new member sees from its join on
OPEN = "g:open"  # a new member sees everything
CONVERSATIONS = (DIRECT, CREW, OPEN)
USERS = ("ann", "bob", "cyd")
DEVICES = (("ann", "ann-phone"), ("ann", "ann-laptop"), ("bob", "bob-phone"), ("cyd", "cyd-phone"))
FATES = ("acked", "acked", "acked", "ack_lost", "send_lost", "refused", "unavailable", "lands_late")
LOST_IN_A_CRASH_S = 1.5


@dataclass(slots=True)
class Client:
    """One device and what its program keeps."""

    user: str
    device: str
    connection: int | None = None
    connections: int = 0
    cursors: dict[str, int] = field(default_factory=dict)
    unanswered: list[Sent] = field(default_factory=list)


class World:
    """The server and all clients; `events` is the history so far."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.now_s = 100.0
        self.logs: dict[str, list[Entry]] = {conversation: [] for conversation in CONVERSATIONS}
        self.members: dict[str, set[str]] = {DIRECT: {"ann", "bob"}, CREW: set(), OPEN: set()}
        # What each user may be given: seq -> whether it comes as hidden.
        self.views: defaultdict[tuple[str, str], dict[int, bool]] = defaultdict(dict)
        self.blocks: set[tuple[str, str]] = set()
        self.clients = [Client(user, device) for user, device in DEVICES]
        # Watermarks as (when merged, value), rising: a crash takes the newest away.
        self.delivered: defaultdict[tuple[str, str], list[tuple[float, int]]] = defaultdict(lambda: [(0.0, 0)])
        self.cursors: dict[tuple[str, str], list[tuple[float, int]]] = {}
        self.read: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._client_ids = 0
        self.events.append(Group(at_s=self.now_s, conversation=CREW, history="joined"))
        self.events.append(Group(at_s=self.now_s, conversation=OPEN, history="shared"))
        self.change_members(CREW, added=("ann", "bob"))
        self.change_members(OPEN, added=("bob", "ann"))

    def write(self, event: Callable[..., Event], **fields: Any) -> None:
        """Record an event now."""
        self.now_s += 0.01
        self.events.append(event(at_s=self.now_s, **fields))

    def write_for(self, client: Client, event: Callable[..., Event], **fields: Any) -> None:
        """Record an event of a device now."""
        self.write(event, user=client.user, device=client.device, **fields)

    # ---- the server

    def append(self, conversation: str, sender: str | None, client_id: str | None, kind: str, **fields: Any) -> Entry:
        """Append, and decide for good who may see it."""
        log = self.logs[conversation]
        entry = Entry(seq=len(log) + 1, sender=sender, client_id=client_id, kind=kind, **fields)
        audience = self.members[conversation] | set(entry.removed)
        hidden_for = {user for user in audience if (user, sender) in self.blocks and conversation == DIRECT}
        for user in audience:
            self.views[conversation, user][entry.seq] = user in hidden_for
        log.append(entry)
        if kind == "delete" and entry.ref is not None:
            log[entry.ref - 1] = replaced(log[entry.ref - 1], body=None)
        if sender is not None:
            self.read[conversation, sender] = entry.seq
            self._raise(self.delivered[conversation, sender], entry.seq)
        return entry

    def change_members(self, conversation: str, added: Sequence[str] = (), removed: Sequence[str] = ()) -> None:
        """A membership entry, with what it does to what its subjects may see."""
        for user in added:
            self.members[conversation].add(user)
            if conversation == OPEN:
                self.views[conversation, user] |= {entry.seq: False for entry in self.logs[conversation]}
        self.members[conversation] -= set(removed)
        self.append(conversation, None, None, "member", body=f"+{added}-{removed}", added=tuple(added),
                    removed=tuple(removed))  # fmt: skip

    def accept(self, client: Client, sent: Sent) -> int | None:
        """The seq of a send, appended now or earlier; None for one who is not a member."""
        for entry in self.logs[sent.conversation]:
            if (entry.sender, entry.client_id) == (client.user, sent.client_id):
                return entry.seq
        if client.user not in self.members[sent.conversation]:
            return None
        return self.append(sent.conversation, client.user, sent.client_id, sent.kind, body=sent.body, ref=sent.ref).seq

    def _raise(self, watermark: list[tuple[float, int]], value: int) -> None:
        if value > watermark[-1][1]:
            watermark.append((self.now_s, value))

    def first(self, conversation: str, user: str) -> int:
        """The lowest seq that the user may read."""
        return min(self.views[conversation, user], default=1)

    # ---- steps of clients; each does nothing where it makes no sense

    def connect(self, client: Client, *, fresh: bool = False) -> None:
        """hello, and what the server lists."""
        if client.connection is not None:
            return
        client.connections += 1
        client.connection = client.connections
        if fresh:
            client.cursors.clear()
        self.write_for(client, Connected, connection=client.connection, fresh=fresh)
        for conversation in CONVERSATIONS:
            if self.views[conversation, client.user]:
                self.tell_cursor(client, conversation)
        self.write_for(client, Synced, connection=client.connection)

    def tell_cursor(self, client: Client, conversation: str) -> None:
        """A `conversations` item: a device without a cursor takes the server's."""
        view = self.views[conversation, client.user]
        others = [
            self.cursors.get((conversation, c.device), [(0.0, 0)])[-1][1] for c in self.clients if c.user == client.user
        ]
        start = max(self.first(conversation, client.user) - 1, *others)
        cursor = self.cursors.setdefault((conversation, client.device), [(0.0, start)])[-1][1]
        head = len(self.logs[conversation]) if client.user in self.members[conversation] else max(view)
        self.write_for(client, Listed, conversation=conversation, cursor=cursor, head=head)
        client.cursors.setdefault(conversation, cursor)

    def disconnect(self, client: Client) -> None:
        """The connection breaks."""
        if client.connection is not None:
            self.write_for(client, Disconnected, connection=client.connection)
            client.connection = None

    def send(
        self, client: Client, conversation: str, fate: str = "acked", *, kind: str = "text", ref: int | None = None
    ) -> None:
        """A new send, and what becomes of its first transmission."""
        if client.connection is None or client.user not in self.members[conversation]:
            return
        self._client_ids += 1
        client_id = f"c{self._client_ids}"
        body = None if kind == "delete" else f"body of {client_id}"
        self.write_for(client, Sent, connection=client.connection, conversation=conversation, client_id=client_id,
                       kind=kind, ref=ref, body=body)  # fmt: skip
        sent = self.events[-1]
        assert isinstance(sent, Sent)
        if fate in ("acked", "ack_lost", "lands_late"):
            seq = self.accept(client, sent)
            if fate == "acked":
                self.write_for(client, Acked, connection=client.connection, conversation=conversation,
                               client_id=client_id, seq=seq)  # fmt: skip
                return
        if fate == "refused":
            self._refuse(client, sent, "rate_limited")
            return
        client.unanswered.append(sent)
        if fate in ("unavailable", "lands_late"):
            self._refuse(client, sent, "unavailable")
        else:
            self.disconnect(client)

    def retry(self, client: Client) -> None:
        """The oldest unanswered send goes out again."""
        if client.connection is None or not client.unanswered:
            return
        sent = client.unanswered.pop(0)
        self.write(lambda at_s: replaced(sent, at_s=at_s, connection=client.connection, retry=True))
        before = len(self.logs[sent.conversation])
        seq = self.accept(client, sent)
        if seq is None:
            self._refuse(client, sent, "forbidden")
        else:
            self.write_for(client, Acked, connection=client.connection, conversation=sent.conversation,
                           client_id=sent.client_id, seq=seq, duplicate=seq <= before)  # fmt: skip

    def _refuse(self, client: Client, sent: Sent, code: str) -> None:
        self.write_for(client, Refused, connection=client.connection, conversation=sent.conversation,
                       client_id=sent.client_id, code=code)  # fmt: skip

    def apply(self, client: Client, conversation: str, count: int = 1) -> None:
        """The next entries in order; over what it may not see a range of skip."""
        view = self.views[conversation, client.user]
        if client.connection is None or not view:
            return
        if conversation not in client.cursors:
            self.tell_cursor(client, conversation)
        for seq in sorted(seq for seq in view if seq > client.cursors[conversation])[:count]:
            if seq > client.cursors[conversation] + 1:
                self.write_for(client, Gap, conversation=conversation, seq=seq)
                self.write_for(client, Skipped, conversation=conversation,
                               from_seq=client.cursors[conversation] + 1, to_seq=seq - 1)  # fmt: skip
            if view[seq]:
                self.write_for(client, Hidden, conversation=conversation, seq=seq)
            else:
                self.write_for(client, Applied, conversation=conversation, entry=self.logs[conversation][seq - 1])
            client.cursors[conversation] = seq

    def mark(self, client: Client, conversation: str, *, read: bool) -> None:
        """Mark what was applied; every connected device of a member is shown the marks."""
        cursor = client.cursors.get(conversation, 0)
        if client.connection is None or cursor < self.first(conversation, client.user):
            return
        self.write_for(client, Marked, conversation=conversation, delivered=cursor, read=cursor if read else None)
        self._raise(self.delivered[conversation, client.user], cursor)
        self._raise(self.cursors[conversation, client.device], cursor)
        if read:
            self.read[conversation, client.user] = max(self.read[conversation, client.user], cursor)
        self.show_marks(client.user, conversation)

    def show_marks(self, of: str, conversation: str) -> None:
        """A `marks` frame for whoever is there."""
        delivered, read = self.delivered[conversation, of][-1][1], self.read[conversation, of]
        for client in self.clients:
            if client.connection is not None and client.user in self.members[conversation]:
                self.write_for(client, MarksSeen, conversation=conversation, of=of, delivered=max(delivered, read),
                               read=read)  # fmt: skip

    def block(self, user: str, peer: str, *, on: bool) -> None:
        """A block in the direct conversation is made or lifted."""
        if on == ((user, peer) not in self.blocks):
            self.write(Blocked, user=user, peer=peer, conversation=DIRECT, on=on, head=len(self.logs[DIRECT]))
            (self.blocks.add if on else self.blocks.discard)((user, peer))

    def read_page(self, client: Client, conversation: str, *, final: bool = False) -> None:
        """A reader pulls all that it may see."""
        view = self.views[conversation, client.user]
        if not view:
            return
        head = max(view)
        told = [seq for seq, is_hidden in sorted(view.items()) if not is_hidden]
        skip = tuple((seq, seq) for seq in range(1, head + 1) if seq not in told)
        self.write_for(client, ReadBack, conversation=conversation, head=head, final=final, skip=skip,
                       entries=tuple(self.logs[conversation][seq - 1] for seq in told))  # fmt: skip

    def crash(self) -> None:
        """The server dies and comes back: the newest delivered marks are gone."""
        for client in self.clients:
            self.disconnect(client)
        for watermark in [*self.delivered.values(), *self.cursors.values()]:
            while len(watermark) > 1 and watermark[-1][0] > self.now_s - LOST_IN_A_CRASH_S:
                watermark.pop()
        self.write(Crash)

    def rest(self, seconds: float) -> None:
        """Time goes by."""
        self.now_s += seconds

    def end(self, *, store_knows_blocks: bool = True) -> list[Event]:
        """Everything heals, everyone catches up, all logs are read. Returns the whole history."""
        self.write(Healed)
        for client in self.clients:
            self.connect(client)
            while client.unanswered:
                self.retry(client)
        for client in self.clients:
            for conversation in CONVERSATIONS:
                self.apply(client, conversation, count=1_000)
        self.rest(10)
        self.write(Ended)
        for conversation, log in self.logs.items():
            views = {user: self.views[conversation, user] for user in USERS}
            entries = [
                replaced(e, hidden_for=tuple(u for u in USERS if views[u].get(e.seq))) if store_knows_blocks else e
                for e in log
            ]
            half = len(log) // 2
            self.write(ReadBack, user=None, device=None, conversation=conversation, head=len(log), final=True,
                       more=True, entries=tuple(entries[:half]))  # fmt: skip
            self.write(ReadBack, user=None, device=None, conversation=conversation, head=len(log), final=True,
                       after=half, entries=tuple(entries[half:]))  # fmt: skip
            for client in self.clients:
                self.read_page(client, conversation, final=True)
        return self.events


def replaced(record: Any, **changes: Any) -> Any:
    """A record with some fields changed."""
    return type(record)(**{name: getattr(record, name) for name in record.__struct_fields__} | changes)


def prelude() -> World:
    """A world in which everything that can be broken has happened once."""
    world = World()
    ann, _, bob, cyd = world.clients
    for client in (ann, bob, cyd):
        world.connect(client)
    for number in range(3):
        world.send(ann, DIRECT)
        world.send(bob, DIRECT)
        world.send(ann, CREW)
        world.send(bob, OPEN)
        world.apply(bob, DIRECT, number)
    world.send(ann, DIRECT, "ack_lost")
    world.connect(ann)
    world.retry(ann)
    for client in (ann, bob):
        for conversation in (DIRECT, CREW):
            world.apply(client, conversation, 4)
            world.mark(client, conversation, read=True)
    world.change_members(CREW, added=("cyd",))
    world.send(cyd, CREW)
    world.send(bob, CREW)
    world.apply(cyd, CREW, 10)
    world.mark(cyd, CREW, read=False)
    world.change_members(CREW, removed=("cyd",))
    world.send(ann, CREW)
    world.send(bob, CREW)
    world.block("bob", "ann", on=True)
    world.send(ann, DIRECT)
    world.apply(bob, DIRECT, 100)
    world.mark(bob, DIRECT, read=True)
    world.block("bob", "ann", on=False)
    world.send(ann, DIRECT)
    world.rest(20)
    return world


Step = tuple[str, int, int, int]
STEPS = ("send", "send", "send", "apply", "apply", "connect", "disconnect", "retry", "mark", "members", "block", "edit",
         "read", "crash", "rest")  # fmt: skip


def take_steps(world: World, steps: Sequence[Step]) -> World:
    """Drive a world: each step is its name and three small numbers."""
    for name, a, b, c in steps:
        client = world.clients[a % len(world.clients)]
        conversation = CONVERSATIONS[b % len(CONVERSATIONS)]
        match name:
            case "send":
                world.send(client, conversation, FATES[c % len(FATES)])
            case "apply":
                world.apply(client, conversation, c)
            case "connect":
                world.connect(client, fresh=c % 2 == 0)
            case "disconnect":
                world.disconnect(client)
            case "retry":
                world.retry(client)
            case "mark":
                world.mark(client, conversation, read=c % 2 == 0)
            case "members" if conversation != DIRECT:
                change = "removed" if client.user in world.members[conversation] else "added"
                world.change_members(conversation, **{change: (client.user,)})
            case "block":
                world.block(*(("ann", "bob") if a % 2 else ("bob", "ann")), on=c % 2 == 0)
            case "edit":
                own = [e.seq for e in world.logs[conversation] if e.sender == client.user and e.kind == "text"]
                if own:
                    world.send(client, conversation, kind="edit" if c % 2 else "delete", ref=own[c % len(own)])
            case "read":
                world.read_page(client, conversation)
            case "crash":
                world.crash()
            case "rest":
                world.rest(c / 4)
            case _:
                pass  # Nobody joins or leaves a direct conversation.
    return world
