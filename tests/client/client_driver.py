"""Drives a `ClientState` against a `ModelServer` without sockets: two pipes, a clock, and an application that takes events."""

import json
import random
from collections import deque

import msgspec

from tests.client.model_server import ModelConnection, ModelServer
from trimaran_client import Ack, ClientState, Message, Options, Outcome, Page, Phase
from trimaran_client.clock import ClientIds
from trimaran_client.commands import encode_body
from trimaran_client.events import Event
from trimaran_client.outbox import OutboxItem


class FixedClock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.s = 0.0

    def now_s(self) -> float:
        return self.s

    def time_ms(self) -> int:
        return 1_700_000_000_000 + int(self.s * 1000)


class Driver:
    """A client, a server and what is between them."""

    def __init__(self, server: ModelServer, *, seed: int = 1, options: Options | None = None, **state: object) -> None:
        self.server = server
        self.clock = FixedClock()
        self.ids = ClientIds(self.clock, random.Random(seed))
        self.client = ClientState(random.Random(seed), options, **state)  # type: ignore[arg-type]
        self.connection: ModelConnection | None = None
        self.to_server: deque[str] = deque()
        self.to_client: deque[str] = deque()
        self.events: list[Event] = []
        self.outcomes: list[Outcome] = []

    # --- the connection ---

    def connect(self) -> None:
        self.connection = self.server.connect()
        self.client.on_connected("token", self.clock.s)

    def disconnect(self, code: int | None = None) -> object:
        """What is in the pipes is lost."""
        self.connection = self.server.connection = None
        self.to_server.clear()
        self.to_client.clear()
        return self.client.on_disconnected(code, "", self.clock.s)

    def move(self) -> int:
        """Everything that can move at this moment moves; returns how many frames did."""
        moved = 0
        while True:
            self.emit()
            if not self.to_server and not self.to_client:
                return moved
            while self.to_server:
                self.give_server()
                moved += 1
            while self.to_client:
                self.give_client()
                moved += 1

    def emit(self) -> None:
        self.to_server.extend(self.client.take_frames(self.clock.s))
        self.outcomes.extend(self.client.take_outcomes())

    def give_server(self) -> None:
        assert self.connection is not None
        self.connection.on_text(self.to_server.popleft())
        self.collect()

    def collect(self) -> None:
        """What the server wants to say goes into the pipe."""
        if self.connection is not None:
            self.to_client.extend(self.connection.take())

    def give_client(self) -> None:
        self.client.on_text(self.to_client.popleft(), self.clock.s)
        self.outcomes.extend(self.client.take_outcomes())

    def pass_time(self, seconds: float) -> bool:
        """Time passes in the steps that the client asks for. False if it wants the connection closed."""
        end_s = self.clock.s + seconds
        while True:
            due_s = self.client.next_timer_s(self.clock.s)
            if due_s > end_s:
                self.clock.s = end_s
                return True
            self.clock.s = max(self.clock.s, due_s)
            if not self.client.on_timer(self.clock.s):
                return False
            self.emit()
            if self.connection is not None:
                self.move()

    def synced(self) -> "Driver":
        """Connects, and everything moves."""
        self.connect()
        self.move()
        assert self.client.phase is Phase.SYNCED
        return self

    def other_posts(self, conversation: str, text: str = "hello") -> int:
        seq = self.server.post(conversation, text)
        self.collect()
        return seq

    # --- the application ---

    def item(self, conversation: str | None, text: str = "hi", *, to: str | None = None) -> OutboxItem:
        body = msgspec.Raw(encode_body({"text": text}))
        return OutboxItem(client_id=self.ids.next(), conversation=conversation, to=to, body=body)

    def send(self, conversation: str | None, text: str = "hi", *, to: str | None = None) -> str:
        item = self.item(conversation, text, to=to)
        self.client.send(item)
        return item.client_id

    def take(self, count: int = 1_000_000) -> list[Event]:
        """The application takes and settles events."""
        taken: list[Event] = []
        while len(taken) < count and (event := self.client.take_event()) is not None:
            self.client.settle(event, self.clock.s)
            taken.append(event)
        self.events.extend(taken)
        return taken

    def entries(self, conversation: str) -> list[Message]:
        return [event for event in self.events if isinstance(event, Message) and event.conversation == conversation]

    def seqs(self, conversation: str) -> list[int]:
        return [entry.seq for entry in self.entries(conversation)]

    def acks(self) -> dict[str | int, int]:
        return {outcome.key: outcome.result.seq for outcome in self.outcomes if isinstance(outcome.result, Ack)}

    def pages(self) -> list[Page]:
        return [outcome.result for outcome in self.outcomes if isinstance(outcome.result, Page)]


def frame(kind: str, /, **fields: object) -> str:
    """A frame of the server."""
    return json.dumps({"type": kind, **fields})
