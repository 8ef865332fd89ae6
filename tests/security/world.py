"""Servers that are attacked, and the people who use them: what most tests of this folder begin with."""

import json
import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.harness.server import Server, running_server
from tests.security.peer import Frame, Peer
from tests.security.web import UNSET, Answer, request

UNLIMITED: Final = {
    "TRIMARAN_LIMIT_REGISTRATIONS_PER_HOUR": "0",
    "TRIMARAN_LIMIT_LOGINS_PER_HOUR": "0",
    "TRIMARAN_LIMIT_SENDS_PER_S": "0",
    "TRIMARAN_LIMIT_FRAMES_PER_S": "0",
    "TRIMARAN_LIMIT_HANDSHAKES_PER_S": "0",
}
PASSWORD: Final = "correct horse 1"  # a canary as well: it is looked for in the log
CANARY: Final = "canary-4d1c77"


class Person:
    """A user with one device that is logged in."""

    def __init__(self, target: "Target", logged_in: dict[str, Any]) -> None:
        self.target = target
        self.id: str = logged_in["user"]["id"]
        self.name: str = logged_in["user"]["name"]
        self.email: str = logged_in["user"]["email"]
        self.device: str = logged_in["device"]
        self.token: str = logged_in["access_token"]
        self.refresh_token: str = logged_in["refresh_token"]

    def rest(self, method: str, path: str, body: object = UNSET, **options: Any) -> Answer:
        """A request with this one's token."""
        return self.target.rest(method, path, body, token=self.token, **options)

    def open(self, **hello: Any) -> Peer:
        """A connection that is `synced`."""
        peer = Peer(self.target.port)
        peer.hello(self.token, **hello)
        return peer

    def log_in_again(self) -> "Person":
        """Another device of the same user."""
        return self.target.log_in(self.email)

    def say(self, conversation: str, text: str = "hello", **fields: Any) -> dict[str, Any]:
        """Send a text by REST; returns the ack."""
        answer = self.rest("POST", messages(conversation), {"client_id": new_id(), "body": {"text": text}, **fields})
        assert answer.status == 201, answer
        said: dict[str, Any] = answer.json
        return said

    def group(self, *members: "Person", **fields: Any) -> dict[str, Any]:
        """Make a group."""
        wish = {"name": "team", "members": [{"user": member.id} for member in members], **fields}
        answer = self.rest("POST", "/group-service/groups", wish)
        assert answer.status == 201, answer
        made: dict[str, Any] = answer.json
        return made

    def page(self, conversation: str, query: str = "after=0&limit=200") -> dict[str, Any]:
        """A page, which must be there."""
        answer = self.rest("GET", f"{messages(conversation)}?{query}")
        assert answer.status == 200, answer
        found: dict[str, Any] = answer.json
        return found

    def listed(self, conversation: str) -> dict[str, Any]:
        """A conversation as this one lists it."""
        listing = self.rest("GET", "/relay-service/conversations?limit=200").json["conversations"]
        found: dict[str, Any] = next(each for each in listing if each["conversation"] == conversation)
        return found


class Target:
    """A server under attack."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.port = server.port
        self.secrets: set[str] = {PASSWORD, CANARY}

    def rest(self, method: str, path: str, body: object = UNSET, **options: Any) -> Answer:
        """A request; its answer is never our fault."""
        answer = request(self.port, method, path, body=body, **options)
        assert answer.status not in (500, 502, 504), (method, path, answer)
        if answer.status >= 400:
            assert answer.problem["code"] != "internal"
        return answer

    def register(self, name: str = "somebody", *, email: str = "", source: str = "127.0.0.1") -> Person:
        """A new user."""
        wish = {"email": email or f"{new_id()}@people.test", "name": name, "password": PASSWORD}
        answer = self.rest("POST", "/user-service/auth/register", wish, source=source)
        assert answer.status == 201, answer
        return self._in(answer)

    def log_in(self, email: str, **fields: Any) -> Person:
        """A device more."""
        answer = self.rest("POST", "/user-service/auth/login", {"email": email, "password": PASSWORD, **fields})
        assert answer.status == 200, answer
        return self._in(answer)

    def people(self, *names: str) -> list[Person]:
        """Several new users."""
        return [self.register(name) for name in names]

    def lives(self) -> None:
        """The process that was started still serves."""
        assert self.server.is_running, self.server.log_text()
        assert self.rest("GET", "/readyz").status == 200

    def resident_kib(self) -> int:
        """The memory of the process."""
        status = Path(f"/proc/{self.server.pid}/status").read_text()
        return int(_RSS.findall(status)[0])

    def cpu_ticks(self) -> int:
        """The time that the process has computed, in hundredths of a second."""
        fields = Path(f"/proc/{self.server.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    def connections(self) -> int:
        """How many WebSockets there are, as the server counts them."""
        return int(float(_CONNECTIONS.findall(self.rest("GET", "/metrics").body.decode())[0]))

    def stored_bytes(self) -> bytes:
        """All that lies in the data directory."""
        return b"".join(path.read_bytes() for path in sorted(self.server.data_dir.rglob("*")) if path.is_file())

    def check(self) -> None:
        """Whatever was done to it: nothing failed that should not, and no secret is in the log."""
        failed = [
            line
            for line in self.rest("GET", "/metrics").body.decode().splitlines()
            if line.startswith(("trimaran_errors_total", "trimaran_invariant_violations_total"))
            and not line.endswith(" 0.0")
        ]
        log = self.server.log_text()
        assert not failed, (failed, log)
        assert '"level":"error"' not in log, log
        shown = [secret for secret in self.secrets if secret in log]
        assert not shown, (shown, log)

    def _in(self, answer: Answer) -> Person:
        person = Person(self, answer.json)
        self.secrets |= {person.token, person.refresh_token}
        return person


_CONNECTIONS: Final = re.compile(r"^trimaran_connections (\S+)$", re.MULTILINE)
_RSS: Final = re.compile(r"^VmRSS:\s+(\d+) kB$", re.MULTILINE)


@contextmanager
def attacked(folder: Path, settings: Mapping[str, str]) -> Iterator[Target]:
    """A server that is attacked for the length of a block, and must be none the worse for it."""
    with running_server(folder, settings) as server:
        target = Target(server)
        yield target
        target.lives()
        target.check()


def new_id() -> str:
    """A UUID, for whatever a client names."""
    return str(uuid.uuid4())


def direct(one: Person, other: Person) -> str:
    """The conversation of two."""
    return f"d:{min(one.id, other.id)}:{max(one.id, other.id)}"


def messages(conversation: str) -> str:
    """The path of a conversation's messages."""
    service = "group-message-service" if conversation.startswith("g:") else "message-service"
    return f"/{service}/conversations/{conversation}/messages"


def text_frame(conversation: str, text: str = "hello", **fields: Any) -> str:
    """The JSON of a send."""
    return json.dumps(
        {"type": "send", "client_id": new_id(), "conversation": conversation, "body": {"text": text}, **fields}
    )


def texts_of(frames: list[Frame]) -> list[str]:
    """The texts of message frames or of a page's messages."""
    return [each["body"]["text"] for each in frames if each.get("kind") == "text" and "text" in each["body"]]
