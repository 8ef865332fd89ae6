"""Random bytes and random JSON to a server that lives: it stays so, and never says that something is its own fault."""

import json
import socket
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from core.rules.names import OPEN
from tests.protocol.client_frames import TEXT, frame
from tests.security.application import all_routes
from tests.security.peer import Peer
from tests.security.web import connect, read_to_end
from tests.security.world import Target, direct, new_id

BOUNDED = settings(
    max_examples=60,
    deadline=None,
    # Shrinking would repeat what ends a server; the example itself says enough.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=20,
)
FRAME_NAMES = (
    "id",
    "type",
    "token",
    "device",
    "since",
    "replay",
    "replay_each",
    "client_id",
    "conversation",
    "to",
    "kind",
)
MORE_NAMES = ("body", "ref", "retry", "delivered", "read", "after", "before", "limit", "on", "users", "text", "media")
REST_NAMES = ("mentions", "emoji", "name", "members", "history", "role", "uses", "email", "password", "seq")
NAMES = st.sampled_from(FRAME_NAMES + MORE_NAMES + REST_NAMES)
TYPES = st.sampled_from(
    ["hello", "renew", "send", "mark", "pull", "typing", "watch", "ping", "message", "ack", "error", "synced"]
)
GOOD_START = st.sampled_from(
    [
        b"",
        b"GET / HTTP/1.1\r\n",
        b"GET /chat/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
        b"POST /user-service/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20\r\n\r\n",
        b"POST /user-service/auth/login HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
    ]
)


@BOUNDED
@given(start=GOOD_START, rest=st.binary(max_size=300), tail=st.sampled_from([b"", b"\r\n\r\n", b"\r\n0\r\n\r\n"]))
def test_random_bytes_on_a_new_connection_get_no_fault_of_ours(
    target: Target, start: bytes, rest: bytes, tail: bytes
) -> None:
    with connect(target.port) as sock:
        try:
            sock.sendall(start + rest + tail)
            sock.shutdown(socket.SHUT_WR)
            answer = read_to_end(sock)
        except OSError:
            answer = b""
    assert b"HTTP/1.1 500" not in answer
    assert b'"internal"' not in answer
    target.lives()


@BOUNDED
@given(data=st.binary(max_size=300), is_known=st.booleans())
def test_random_bytes_in_a_websocket_end_it_in_order_or_not_at_all(
    target: Target, crowd: "Crowd", data: bytes, is_known: bool
) -> None:
    with crowd.ann.open() if is_known else Peer(target.port) as peer:
        peer.send_bytes(data)
        peer.send_bytes(frame(0x8, b"\x03\xe8"))
        peer.sock.shutdown(socket.SHUT_WR)
        code = _end_of(peer)
    assert code != 1011
    target.lives()


def _end_of(peer: Peer) -> int | None:
    """The code that a connection ends with; None where its last frame was not whole, and our Close became its payload."""
    try:
        return peer.close_code()
    except AssertionError as error:
        if "without a Close frame" not in str(error):
            raise
        return None


@BOUNDED
@given(type_=TYPES, fields=st.dictionaries(NAMES, JSON, max_size=6), data=st.data())
def test_random_frames_are_answered_and_the_connection_lives(
    crowd: "Crowd", type_: str, fields: dict[str, Any], data: st.DataObject
) -> None:
    for name in ("conversation", "client_id", "to"):
        if data.draw(st.booleans()):
            fields[name] = data.draw(st.sampled_from(crowd.ids))
    fields.pop("type", None)
    with crowd.ann.open() as peer:
        peer.send_text(json.dumps({**fields, "type": type_}))
        peer.ping()


@BOUNDED
@given(payload=st.text(max_size=200) | JSON.map(json.dumps))
def test_random_text_is_answered_and_the_connection_lives(crowd: "Crowd", payload: str) -> None:
    with crowd.ann.open() as peer:
        peer.send_bytes(frame(TEXT, payload.encode("utf-8", "replace")))
        peer.ping()


WRITING = [route for route in all_routes() if route.method in ("POST", "PUT", "PATCH", "DELETE")]
QUIET = [route for route in WRITING if route.path not in ("/user-service/auth/logout", "/user-service/users/me")]


@BOUNDED
@given(
    route=st.sampled_from(QUIET),
    raw=st.dictionaries(NAMES, JSON, max_size=6).map(lambda each: json.dumps(each).encode()) | st.binary(max_size=100),
    data=st.data(),
)
def test_random_bodies_get_no_fault_of_ours(crowd: "Crowd", route: Any, raw: bytes, data: st.DataObject) -> None:
    path = route.path
    for name in ("conversation", "group", "user", "device", "code"):
        path = path.replace(f"<{name}>", data.draw(st.sampled_from(crowd.ids)))
    token = None if route.rule == OPEN else crowd.bob.token
    crowd.bob.target.rest(route.method, path, raw=raw, token=token)


@BOUNDED
@given(
    route=st.sampled_from([route for route in all_routes() if route.method == "GET" and "-service/" in route.path]),
    query=st.dictionaries(
        st.sampled_from(["limit", "cursor", "after", "before", "around", "ids", "search", "q"]),
        st.text(alphabet=st.characters(codec="utf-8"), max_size=20) | st.integers().map(str),
        max_size=3,
    ),
    data=st.data(),
)
def test_random_queries_get_no_fault_of_ours(
    crowd: "Crowd", route: Any, query: dict[str, str], data: st.DataObject
) -> None:
    path = route.path
    for name in ("conversation", "group", "user", "device"):
        path = path.replace(f"<{name}>", data.draw(st.sampled_from(crowd.ids)))
    pairs = "&".join(f"{name}={''.join(f'%{byte:02x}' for byte in value.encode())}" for name, value in query.items())
    crowd.bob.rest("GET", f"{path}?{pairs}")


class Crowd:
    """People and things that random input may be about."""

    def __init__(self, target: Target) -> None:
        self.ann, self.bob = target.people("Ann", "Bob")
        made = self.ann.group(self.bob)
        self.ann.say(direct(self.ann, self.bob))
        self.ids = [
            self.ann.id,
            self.bob.id,
            direct(self.ann, self.bob),
            made["conversation"],
            made["id"],
            new_id(),
            f"g:{new_id()}",
        ]


@pytest.fixture(scope="module")
def crowd(target: Target) -> Crowd:
    return Crowd(target)
