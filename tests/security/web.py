"""HTTP as an attacker speaks it: a connection for each request, from any loopback address, well-formed or not.

Every wait has a limit (WAIT_S); a server that does not answer in it fails the test.
"""

import http.client
import json
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

WAIT_S: Final = 10.0
PROBLEM: Final = "application/problem+json"
UNSET: Final = object()


@dataclass(frozen=True, slots=True)
class Answer:
    """A response as it came. Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)

    @property
    def problem(self) -> dict[str, Any]:
        """The body of an error, which is a well-formed problem detail (RFC 9457) with a code of ours."""
        assert self.status >= 400, (self.status, self.body)
        assert self.headers["content-type"] == PROBLEM, (self.status, self.headers, self.body)
        said: dict[str, Any] = self.json
        assert said["status"] == self.status
        assert {"type", "title", "status", "code", "detail"} <= said.keys(), said
        if self.status in (429, 503):
            assert int(self.headers["retry-after"]) >= 1
        return said


def request(
    port: int,
    method: str,
    path: str,
    *,
    token: str | None = None,
    body: object = UNSET,
    raw: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    source: str = "127.0.0.1",
) -> Answer:
    """Send a request and read its answer. `body` goes as JSON, `raw` as it is."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S, source_address=(source, 0))
    sent = dict(headers or {})
    if token is not None:
        sent["Authorization"] = f"Bearer {token}"
    content = raw if body is UNSET else json.dumps(body).encode()
    try:
        connection.request(method, path, content, sent)
        return _answer(connection.getresponse())
    finally:
        connection.close()


def exchange(port: int, sent: bytes) -> bytes:
    """Send bytes, and read until the server ends the connection, or resets it, which is an end as well."""
    with connect(port) as sock:
        try:
            sock.sendall(sent)
            return read_to_end(sock)
        except (ConnectionResetError, BrokenPipeError):
            return b""


def at_once(port: int, requests: Iterable[bytes]) -> list[Answer]:
    """Answers to raw requests that all are on their way before the first answer is read."""
    sockets = []
    try:
        for sent in requests:
            sockets.append(connect(port))
            sockets[-1].sendall(sent)
        answers = []
        for sock in sockets:
            response = http.client.HTTPResponse(sock)
            response.begin()
            answers.append(_answer(response))
            response.close()
        return answers
    finally:
        for sock in sockets:
            sock.close()


def raw_post(path: str, body: object, headers: str = "") -> bytes:
    """The bytes of a POST."""
    content = json.dumps(body).encode()
    return (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}"
        f"Content-Length: {len(content)}\r\n\r\n"
    ).encode() + content


def connect(port: int, source: str = "127.0.0.1") -> socket.socket:
    """A TCP connection."""
    return socket.create_connection(("127.0.0.1", port), timeout=WAIT_S, source_address=(source, 0))


def read_to_end(sock: socket.socket) -> bytes:
    """What comes until the peer's EOF."""
    received = bytearray()
    while data := sock.recv(1 << 16):
        received += data
    return bytes(received)


def _answer(response: http.client.HTTPResponse) -> Answer:
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, headers, response.read())
