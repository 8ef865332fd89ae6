"""A naive server for one user on one device, as protocol.md tells it: the client's tests are held against it.

`ModelServer` has the logs; `ModelConnection` answers the frames of one connection. Both are pure and know no faults but those
that a test asks for.
"""

import json
from typing import Any

ME = "018f0000-0000-7000-8000-000000000001"
DEVICE = "018f0000-0000-7000-8000-0000000000d1"
OTHER = "018f0000-0000-7000-8000-000000000002"
DIRECT = f"d:{ME}:{OTHER}"
GROUP = "g:018f0000-0000-7000-8000-0000000000a1"

Frame = dict[str, Any]


class Log:
    """One conversation, and where this device and this user stand in it."""

    def __init__(self, conversation: str, *, first: int = 1, delivered: int | None = None) -> None:
        self.conversation = conversation
        self.entries: list[Frame] = []
        self.hidden: set[int] = set()
        self.first = first
        self.delivered = first - 1 if delivered is None else delivered
        self.read = 0

    @property
    def head(self) -> int:
        return len(self.entries)

    def append(self, sender: str, client_id: str | None, kind: str, body: Any, ref: int | None) -> Frame:
        entry = {
            "type": "message",
            "conversation": self.conversation,
            "seq": self.head + 1,
            "sender": sender,
            "device": DEVICE if sender == ME else None,
            "client_id": client_id,
            "kind": kind,
            "body": body,
            "ref": ref,
            "time_ms": 1_700_000_000_000 + self.head,
        }
        self.entries.append(entry)
        return entry

    def shown(self, seq: int) -> Frame:
        """The entry as it is pushed and replayed."""
        if seq in self.hidden:
            return {"type": "message", "conversation": self.conversation, "seq": seq, "kind": "hidden"}
        return self.entries[seq - 1]

    def record(self) -> Frame:
        unread = [e for e in self.entries[self.read :] if e["sender"] != ME and e["kind"] == "text"]
        return {
            "conversation": self.conversation,
            "first": self.first,
            "head": self.head,
            "delivered": self.delivered,
            "read": self.read,
            "unread": len(unread),
            "title": "t",
            "role": "member",
            "members": 2,
            "muted": False,
        }

    def page(self, frame: Frame) -> Frame:
        limit = frame.get("limit", 100)
        if "after" in frame:
            low = max(frame["after"] + 1, self.first)
            seqs = range(low, min(low + limit, self.head + 1))
            more = bool(seqs) and seqs[-1] < self.head
        else:
            high = min(frame["before"], self.head + 1)
            seqs = range(max(high - limit, self.first), high)
            more = bool(seqs) and seqs[0] > self.first
        return {
            "type": "page",
            "id": frame["id"],
            "conversation": self.conversation,
            "messages": [self._as_of_head(seq) for seq in seqs if seq not in self.hidden],
            "skip": [[seq, seq] for seq in seqs if seq in self.hidden],
            "first": self.first,
            "head": self.head,
            "more": more,
        }

    def _as_of_head(self, seq: int) -> Frame:
        entry = dict(self.entries[seq - 1])
        for later in self.entries:
            if later["ref"] == seq and later["kind"] == "edit":
                entry["edited"] = {"seq": later["seq"], "body": later["body"], "time_ms": later["time_ms"]}
            elif later["ref"] == seq and later["kind"] == "delete":
                entry |= {"deleted": True, "body": {}}
            elif later["ref"] == seq and later["kind"] == "reaction":
                reactions = entry.setdefault("reactions", {})
                emoji = later["body"]["emoji"]
                old = reactions.get(emoji, {"count": 0, "mine": False})
                mine = later["body"]["on"] if later["sender"] == ME else old["mine"]
                count = old["count"] + (1 if later["body"]["on"] else -1)
                reactions[emoji] = {"count": count, "mine": mine}
                if not count:
                    del reactions[emoji]
        if entry.get("deleted"):
            entry.pop("edited", None)
            entry.pop("reactions", None)
        if not entry.get("reactions"):
            entry.pop("reactions", None)
        return entry


class ModelServer:
    """The logs, and what the test wants to go wrong."""

    def __init__(self, *conversations: str) -> None:
        self.logs = {conversation: Log(conversation) for conversation in conversations or (DIRECT,)}
        self.refuse: list[Frame] = []
        """Errors for the next sends, instead of their acks: code, retry_after_s."""
        self.connection: ModelConnection | None = None
        self.frames: list[Frame] = []
        """Every frame that came."""
        self.limits: Frame = {}
        self.user = ME

    def connect(self) -> "ModelConnection":
        self.connection = ModelConnection(self)
        return self.connection

    def post(
        self, conversation: str, text: str, *, kind: str = "text", ref: int | None = None, body: Any = None
    ) -> int:
        """Somebody else writes. Pushed if there is a connection."""
        entry = self.logs[conversation].append(OTHER, None, kind, body or {"text": text}, ref)
        self.push(conversation, entry["seq"])
        return int(entry["seq"])

    def hide(self, conversation: str) -> None:
        """Somebody who is blocked writes."""
        log = self.logs[conversation]
        log.hidden.add(log.append(OTHER, None, "text", {"text": "unseen"}, None)["seq"])
        self.push(conversation, log.head)

    def push(self, conversation: str, seq: int) -> None:
        if self.connection is not None and self.connection.is_ready:
            self.connection.out.append(self.logs[conversation].shown(seq))

    def received(self, kind: str) -> list[Frame]:
        """The frames of one type that came, over all connections."""
        return [frame for frame in self.frames if frame["type"] == kind]


class ModelConnection:
    """What one connection is answered; `out` holds frames for the client."""

    def __init__(self, server: ModelServer) -> None:
        self.server = server
        self.out: list[Frame] = []
        self.is_ready = False

    def take(self) -> list[str]:
        frames, self.out = self.out, []
        return [json.dumps(frame) for frame in frames]

    def on_text(self, text: str) -> None:
        frame = json.loads(text)
        self.server.frames.append(frame)
        getattr(self, f"on_{frame['type']}")(frame)

    def on_hello(self, frame: Frame) -> None:
        logs = self.server.logs.values()
        self.out.append(
            {
                "type": "welcome",
                "user": self.server.user,
                "device": DEVICE,
                "session": "s",
                "node": "n",
                "heartbeat_s": 25,
                "expires_ms": 2_000_000_000_000,
                "time_ms": 1_700_000_000_000,
                "limits": self.server.limits,
                "features": [],
            }
        )
        if logs:
            self.out.append({"type": "conversations", "conversations": [log.record() for log in logs]})
        left = frame.get("replay", 1000)
        pending = []
        for log in logs:
            low = max(log.delivered, log.first - 1) + 1
            high = min(log.head, low + min(left, frame.get("replay_each", 100)) - 1)
            left -= max(0, high - low + 1)
            self.out.extend(log.shown(seq) for seq in range(low, high + 1))
            if high < log.head:
                pending.append({"conversation": log.conversation, "head": log.head})
        self.out.append({"type": "synced", "since": "s1", "pending": pending})
        self.is_ready = True

    def on_send(self, frame: Frame) -> None:
        answer = {"id": frame["id"], "client_id": frame["client_id"]}
        if self.server.refuse:
            self.out.append({"type": "error", "message": "as the test wants", **answer, **self.server.refuse.pop(0)})
            return
        conversation = frame.get("conversation") or "d:{}:{}".format(*sorted((ME, frame["to"])))
        if conversation not in self.server.logs:
            self.server.logs[conversation] = Log(conversation)
            record = self.server.logs[conversation].record()
            self.out.append({"type": "conversations", "conversations": [record]})
        log = self.server.logs[conversation]
        found = next((entry for entry in log.entries if entry["client_id"] == frame["client_id"]), None)
        entry = found or log.append(ME, frame["client_id"], frame.get("kind", "text"), frame["body"], frame.get("ref"))
        ack = {"conversation": conversation, "seq": entry["seq"], "time_ms": entry["time_ms"]}
        self.out.append({"type": "ack", **answer, **ack, "duplicate": found is not None})

    def on_pull(self, frame: Frame) -> None:
        log = self.server.logs.get(frame["conversation"])
        if log is None:
            self.out.append({"type": "error", "id": frame["id"], "code": "not_found", "message": "no"})
        else:
            self.out.append(log.page(frame))

    def on_mark(self, frame: Frame) -> None:
        log = self.server.logs[frame["conversation"]]
        assert max(frame.get("delivered", 0), frame.get("read", 0)) <= log.head
        log.read = max(log.read, frame.get("read", 0))
        log.delivered = max(log.delivered, frame.get("delivered", 0), frame.get("read", 0))

    def on_ping(self, frame: Frame) -> None:
        self.out.append({"type": "pong", "id": frame["id"], "time_ms": 0})

    def on_renew(self, frame: Frame) -> None:
        self.out.append({"type": "renewed", "id": frame["id"], "expires_ms": 2_000_000_000_000})

    def on_watch(self, frame: Frame) -> None:
        self.out.extend({"type": "presence", "user": user, "state": "offline"} for user in frame["users"])

    def on_typing(self, frame: Frame) -> None:
        pass

    def on_bye(self, frame: Frame) -> None:
        pass
