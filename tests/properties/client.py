"""A client that does what protocol.md says of clients and no more, and that believes nothing: whatever it is given is held against the log."""

from collections import defaultdict
from typing import Any

import msgspec

from core.base.ids import ConversationId, UserId
from core.rules import membership
from tests.router.world import Connection, World

Frame = dict[str, Any]
FINAL_ERRORS = ("bad_request", "forbidden", "not_found", "too_large")
REPEAT = ("unavailable", "rate_limited", "internal")


class Shown:
    """What anyone was ever acknowledged or shown, over all devices and routers."""

    def __init__(self) -> None:
        self.acked: dict[tuple[str, UserId, str], int] = {}
        self.refused: set[tuple[str, UserId, str]] = set()
        self.epoch = 0


class Device:
    """A program on a device: it keeps its cursors, what it has applied and its unacknowledged sends, whatever becomes of its connection."""

    def __init__(self, world: World, shown: Shown, user: UserId, number: int) -> None:
        self._world = world
        self._shown = shown
        self.user = user
        self.number = number
        self.connection: Connection | None = None
        self.cursor: dict[str, int] = {}
        self.start: dict[str, int] = {}  # where the server had it begin
        self.marked: defaultdict[str, int] = defaultdict(int)
        self.applied: defaultdict[str, list[int]] = defaultdict(list)
        self.waiting: dict[str, Frame] = {}  # unacknowledged sends by client_id
        self.told: set[str] = set()  # conversations that it knows of; the next hello's `since` says so
        self._pulling: set[str] = set()
        self._head: defaultdict[str, int] = defaultdict(int)  # that it was told to pull up to
        self._transmissions = 0
        self._transmitted: dict[str, int] = {}  # client_id -> the number of its first transmission; 0: one was refused
        self._acks: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
        self._marks: dict[tuple[str, UserId], Frame] = {}
        self._since: str | None = None
        self.is_synced = False

    @property
    def is_connected(self) -> bool:
        return self.connection is not None and self.connection.close_code is None

    # ---- what it does

    def connect(self, **fields: Any) -> None:
        connection = self._world.open()
        connection.on_frame = lambda frame: self._on_frame(connection, frame)
        self.connection = connection
        self.is_synced = False
        self._pulling.clear()
        self._transmitted.clear()
        self._acks.clear()
        token = self._world.token(self.user, self.number, for_s=1e6)
        connection.say(type="hello", token=token, since=self._since, **fields)

    def say(self, **frame: Any) -> None:
        if self.connection is not None and self.is_connected:
            self.connection.say(**frame)

    def send(self, target: dict[str, str], **fields: Any) -> None:
        frame: Frame = {"type": "send", "client_id": self._world.next_client_id(), **target, **fields}
        if self.is_connected:
            self.waiting[frame["client_id"]] = frame
            self._transmit(frame)

    def retry(self) -> None:
        """Send again what is not acknowledged, in order."""
        if self.is_connected:
            for frame in list(self.waiting.values()):
                self._transmit({**frame, "retry": True})

    def _transmit(self, frame: Frame) -> None:
        self._transmissions += 1
        self._transmitted.setdefault(frame["client_id"], self._transmissions)
        self.say(**frame)

    def mark(self, conversation: str, *, is_read: bool) -> None:
        seq = self.cursor.get(conversation, 0)
        if seq and conversation in self.told:
            self.marked[conversation] = max(self.marked[conversation], seq)
            self.say(type="mark", conversation=conversation, **{"read" if is_read else "delivered": seq})

    def pull(self, conversation: str, limit: int = 3) -> None:
        if conversation not in self._pulling and self.is_connected:
            self._pulling.add(conversation)
            self.say(
                type="pull",
                id=conversation[:60],
                conversation=conversation,
                after=self.cursor[conversation],
                limit=limit,
            )

    def pull_again(self) -> None:
        """Ask again where an answer did not come."""
        for conversation, head in self._head.items():
            if head > self.cursor.get(conversation, 0) and conversation in self.told:
                self.pull(conversation)

    # ---- what comes

    def _on_frame(self, connection: Connection, frame: Frame) -> None:
        if connection is not self.connection:
            return
        match frame["type"]:
            case "conversations":
                for item in frame["conversations"]:
                    self._on_listed(item)
            case "message":
                assert frame["conversation"] in self.told, "a message before its conversation"
                self._on_entry(frame["conversation"], frame["seq"], frame)
            case "ack":
                self._on_ack(frame)
            case "page":
                self._on_page(frame)
            case "synced" | "behind":
                if frame["type"] == "synced":
                    assert not self.is_synced
                    self.is_synced = True
                    self._since = frame["since"]
                for each in frame["pending" if frame["type"] == "synced" else "conversations"]:
                    self._expect(each["conversation"], each["head"])
            case "marks":
                self._on_marks(frame)
            case "error":
                self._on_error(frame)
            case _:
                pass

    def _on_listed(self, item: Frame) -> None:
        conversation, delivered = item["conversation"], item["delivered"]
        self.told.add(conversation)
        start = self.start.setdefault(conversation, delivered)
        floor = max(start, item["first"] - 1)
        assert delivered <= max(floor, self.marked[conversation]), "only its marks move a device's cursor"
        self.cursor[conversation] = max(self.cursor.get(conversation, 0), floor)
        assert item["head"] <= len(self._log(conversation))

    def _on_entry(self, conversation: str, seq: int, frame: Frame) -> None:
        cursor = self.cursor.setdefault(conversation, 0)
        self._check(conversation, seq, frame)
        if seq == cursor + 1:
            self._apply(conversation, seq)
        elif seq > cursor:
            self._expect(conversation, seq)

    def _apply(self, conversation: str, seq: int) -> None:
        self.cursor[conversation] = seq
        self.applied[conversation].append(seq)

    def _expect(self, conversation: str, head: int) -> None:
        self._head[conversation] = max(self._head[conversation], head)
        if head > self.cursor.setdefault(conversation, 0):
            self.pull(conversation)

    def _on_ack(self, frame: Frame) -> None:
        conversation, seq, client_id = frame["conversation"], frame["seq"], frame["client_id"]
        key = (conversation, self.user, client_id)
        assert self._shown.acked.setdefault(key, seq) == seq, "one send, two seqs"
        stored = self._world.store.find(conversation, self.user, client_id)
        assert stored is not None, "acknowledged, and not in the log"
        assert stored.seq == seq
        self.waiting.pop(client_id, None)
        self._shown.refused.discard(key)  # one transmission was, and another came when it could be taken
        if not frame["duplicate"] and self._transmitted.get(client_id):
            self._acks[conversation].append((self._transmitted[client_id], seq))
            assert self._acks[conversation] == sorted(self._acks[conversation]), (
                "sends of a connection overtook each other"
            )
            assert [s for _, s in self._acks[conversation]] == sorted(s for _, s in self._acks[conversation])
        self._on_entry(
            conversation, seq, {"seq": seq, "kind": stored.kind, "client_id": client_id, "sender": self.user}
        )

    def _on_page(self, frame: Frame) -> None:
        conversation = frame["conversation"]
        self._pulling.discard(conversation)
        self.cursor[conversation] = max(self.cursor[conversation], frame["first"] - 1)
        entries = {message["seq"]: message for message in frame["messages"]}
        hidden = {seq for low, high in frame["skip"] for seq in range(low, high + 1)}
        for seq in sorted([*entries, *hidden]):
            if seq > self.cursor[conversation]:
                assert seq == self.cursor[conversation] + 1, "a page with a hole"
                self._check(conversation, seq, entries.get(seq, {"kind": "hidden"}))
                self._apply(conversation, seq)
        if frame["more"] or self._head[conversation] > self.cursor[conversation]:
            self.pull(conversation)

    def _on_error(self, frame: Frame) -> None:
        client_id = frame.get("client_id")
        if client_id is None:
            self._pulling = {each for each in self._pulling if each[:60] != frame.get("id")}
            return
        self._transmitted[client_id] = 0  # a refused one may be overtaken
        if client_id in self.waiting and frame["code"] not in REPEAT:
            conversation = self.waiting.pop(client_id)["_conversation"]
            if frame["code"] in FINAL_ERRORS:
                self._shown.refused.add((conversation, self.user, client_id))

    def _on_marks(self, frame: Frame) -> None:
        for mark in frame["marks"]:
            key = (frame["conversation"], mark["user"])
            row = self._world.store.rows[mark["user"], frame["conversation"]]
            assert mark["read"] <= row.read, "a read was shown before it was stored"
            old = self._marks.get(key)
            assert old is None or old["read"] <= mark["read"], "a read went back"
            assert mark["read"] <= mark.get("delivered", mark["read"]) <= len(self._log(frame["conversation"]))
            self._marks[key] = mark

    # ---- what it believes

    def _log(self, conversation: str) -> list[Any]:
        return self._world.store.entries(ConversationId(conversation))

    def _check(self, conversation: str, seq: int, frame: Frame) -> None:
        log = self._log(conversation)
        assert 0 < seq <= len(log), "given, and not in the log"
        entry = log[seq - 1]
        allowed, _ = self._world.store.may_read(self.user, ConversationId(conversation))
        assert seq in allowed, "given to one who may not see it"
        assert (frame["kind"] == "hidden") == (entry.hidden_from == self.user)
        if frame["kind"] != "hidden":
            assert (frame["kind"], frame["sender"], frame["client_id"]) == (entry.kind, entry.sender, entry.client_id)
            body = frame.get("body")
            assert body is None or entry.is_emptied or body == msgspec.json.decode(entry.body)

    def assert_complete(self) -> None:
        """Everything that the user sees of each conversation was applied, in order and once."""
        store = self._world.store
        for (user, conversation), row in store.rows.items():
            if user != self.user or not (row.joined or row.removal):
                continue
            applied = self.applied[conversation]
            assert applied == sorted(set(applied))
            _, newest = store.may_read(self.user, conversation)
            must = {seq for seq in newest if seq > self.start.get(conversation, 0)}
            assert must <= set(applied), (conversation, must.difference(applied), self.user, self.number)
        assert not self.waiting


def is_member(world: World, conversation: ConversationId, user: UserId) -> bool:
    """Whether the log says so."""
    state = membership.no_group(conversation)
    for entry in world.store.entries(conversation):
        state = membership.after(state, entry)
    return user in state.members
