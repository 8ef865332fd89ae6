"""A client made of the `websockets` package and nothing of ours: it says JSON, and waits for JSON.

What comes while it waits for something else is kept, in order, so a test reads as the story it tells. Every wait has a
limit.
"""

import itertools
import json
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, NamedTuple, Self

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.harness.people import Person
from tests.harness.server import Server

WAIT_S = 20.0
FRAMES_KEPT_MAX = 10_000

Frame = dict[str, Any]


class Greeting(NamedTuple):
    """All that came from `hello` to `synced`."""

    welcome: Frame
    conversations: list[Frame]
    messages: list[Frame]
    synced: Frame

    def of(self, conversation: str) -> Frame:
        """One of the conversations listed."""
        return next(listed for listed in self.conversations if listed["conversation"] == conversation)


class Peer:
    """One connection of a person; closed at the end of a `with`, and its name is the person's."""

    def __init__(self, server: Server, person: Person, **options: Any) -> None:
        self.person = person
        self._kept: list[Frame] = []
        self._ids = itertools.count(1)
        self._open = ExitStack()
        connecting = connect(
            server.ws_url,
            subprotocols=[Subprotocol("trimaran.v1")],
            open_timeout=WAIT_S,
            close_timeout=WAIT_S,
            **options,
        )
        self._socket: ClientConnection = self._open.enter_context(connecting)
        assert self._socket.subprotocol == "trimaran.v1"

    @classmethod
    def greeted(cls, server: Server, person: Person, **hello: Any) -> Self:
        """Connected, and synced."""
        peer = cls(server, person)
        peer.hello(**hello)
        return peer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---- saying

    def say(self, type_: str, **fields: Any) -> None:
        """One frame."""
        self._socket.send(json.dumps({"type": type_, **fields}))

    def ask(self, type_: str, **fields: Any) -> Frame:
        """One frame with an id, and its answer: whatever repeats the id."""
        number = next(self._ids)
        self.say(type_, id=number, **fields)
        return self.wait_for(lambda frame: frame.get("id") == number)

    def hello(self, **fields: Any) -> Greeting:
        """Hello, and all that comes until `synced`."""
        assert not self._kept
        self.say("hello", token=self.person.access_token, **fields)
        greeting = Greeting(self.next("welcome"), [], [], self.next("synced"))
        for frame in self.taken("conversations"):
            greeting.conversations.extend(frame["conversations"])
        greeting.messages.extend(self.taken("message"))
        return greeting

    def send(self, conversation: str, text: str = "", **fields: Any) -> Frame:
        """A text, or with a `kind` and perhaps a `body` something else: the ack. A direct one needs no first step."""
        fields.setdefault("body", {"text": text})
        ack = self.ask("send", **{"client_id": new_id(), "conversation": conversation, **fields})
        assert ack["type"] == "ack", ack
        return ack

    def pull(self, conversation: str, **fields: Any) -> Frame:
        """A page."""
        page = self.ask("pull", conversation=conversation, **fields)
        assert page["type"] == "page", page
        return page

    # ---- hearing

    def next(self, type_: str, **fields: Any) -> Frame:
        """The next frame of this type with these fields; what comes before it is kept."""
        return self.wait_for(
            lambda frame: frame["type"] == type_ and all(frame.get(name) == value for name, value in fields.items())
        )

    def next_marks(self, person: Person, **marks: int) -> None:
        """Wait until this person's marks in some conversation are shown as exactly these."""
        mark = {"user": person.id, **marks}
        self.wait_for(lambda frame: frame["type"] == "marks" and mark in frame["marks"])

    def wait_for(self, is_it: Callable[[Frame], bool]) -> Frame:
        """The next frame of which this is true."""
        for place, frame in enumerate(self._kept):
            if is_it(frame):
                return self._kept.pop(place)
        while len(self._kept) < FRAMES_KEPT_MAX:
            frame = json.loads(self._socket.recv(timeout=WAIT_S))
            if is_it(frame):
                return frame
            self._kept.append(frame)
        raise AssertionError(f"{FRAMES_KEPT_MAX} frames came, but not the one that was waited for")

    def taken(self, *types: str) -> list[Frame]:
        """What was kept of these types."""
        taken = [frame for frame in self._kept if frame["type"] in types]
        self._kept = [frame for frame in self._kept if frame["type"] not in types]
        return taken

    def heard(self, *types: str) -> list[Frame]:
        """What of these types has come by now: all that the server said before it answers this ping."""
        assert self.ask("ping")["type"] == "pong"
        return self.taken(*types)

    def closed(self) -> int:
        """Wait for the server's close; its code."""
        try:
            while True:
                self._kept.append(json.loads(self._socket.recv(timeout=WAIT_S)))
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd is not None else 1006

    def close(self) -> None:
        """Close, and wait for the answer."""
        self._open.close()

    def leave(self) -> None:
        """Say `bye`; the server closes."""
        self.say("bye")
        assert self.closed() == 1000


def new_id() -> str:
    """A `client_id`."""
    return str(uuid.uuid4())


def texts(messages: list[Frame]) -> list[str]:
    """What the texts among these entries say."""
    return [message["body"]["text"] for message in messages if message["kind"] == "text"]
