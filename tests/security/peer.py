"""A WebSocket over a plain socket, in plain calls: it sends frames as wrong as a test wants them, and takes none for granted.

Every wait has a limit. The end must be orderly: a Close frame, then EOF; anything else fails the test.
"""

import json
import socket
from collections.abc import Mapping
from typing import Any, Final, Self

from tests.protocol.client_frames import CLOSE, PING, PONG, TEXT, frame
from tests.security.web import WAIT_S, connect

UNASKED: Final = frozenset({"behind", "conversations", "marks", "message", "presence", "typing"})
"""What the server says of its own."""

KEY: Final = "dGhlIHNhbXBsZSBub25jZQ=="
Frame = dict[str, Any]


class Refused(Exception):
    """The handshake was answered by this status instead of 101."""

    def __init__(self, status: int, response: bytes) -> None:
        super().__init__(status, response)
        self.status: Final = status
        self.response: Final = response


class Ended(Exception):
    """The server closed, with a Close frame."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code: Final = code
        self.reason: Final = reason


def upgrade(target: str = "/chat/ws", headers: Mapping[str, str] | None = None, host: str = "127.0.0.1") -> bytes:
    """An opening handshake. `headers` are added, or take the place of the usual ones."""
    sent = {
        "Host": host,
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Version": "13",
        **(headers or {}),
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
    return f"GET {target} HTTP/1.1\r\n{lines}\r\n".encode()


class Peer:
    """One connection, open from the start. Use it in a `with`."""

    def __init__(self, port: int, *, headers: Mapping[str, str] | None = None, target: str = "/chat/ws") -> None:
        """Raises: Refused."""
        self.sock = connect(port)
        self._received = bytearray()
        self.send_bytes(upgrade(target, headers, f"127.0.0.1:{port}"))
        head = self._read_head()
        status = int(head.split(b" ", 2)[1])
        if status != 101:
            rest = bytes(self._received) + _rest(self.sock)
            self.sock.close()
            raise Refused(status, head + rest)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    # ---- out

    def send(self, type_: str, **fields: Any) -> None:
        """A frame as the protocol has it."""
        self.send_text(json.dumps({"type": type_, **fields}))

    def send_text(self, payload: str | bytes) -> None:
        """Any text."""
        self.send_bytes(frame(TEXT, payload.encode() if isinstance(payload, str) else payload))

    def send_bytes(self, data: bytes) -> None:
        """Any bytes."""
        self.sock.sendall(data)

    def hello(self, token: str, **fields: Any) -> list[Frame]:
        """Say hello; returns all frames up to `synced`."""
        self.send("hello", token=token, **fields)
        return self.frames_until("synced")

    def ask(self, type_: str, **fields: Any) -> Frame:
        """Send a frame with an id, and return its answer; what else comes meanwhile is dropped."""
        fields.setdefault("id", "question")
        self.send(type_, **fields)
        return self.answer(fields["id"])

    def ask_text(self, payload: str | bytes) -> list[Frame]:
        """Send any text and then a ping; returns the answers to the text that came before the pong.

        What is not known at once (an ack, a page) may come later, and is asked for by `ask`.
        """
        self.send_text(payload)
        self.send("ping", id="behind it")
        frames = [self.read()]
        while frames[-1].get("id") != "behind it":
            frames.append(self.read())
        return [each for each in frames[:-1] if each["type"] not in UNASKED]

    # ---- in

    def read(self) -> Frame:
        """The next frame. Raises: Ended."""
        while True:
            opcode, payload = self._read_frame()
            if opcode == TEXT:
                decoded: Frame = json.loads(payload)
                assert decoded.get("code") != "internal", decoded
                return decoded
            if opcode == PING:
                self.send_bytes(frame(PONG, payload))
            elif opcode == CLOSE:
                self._end(payload)

    def ask_about(self, payload: str, frame_id: object) -> Frame:
        """Send any text, and return the answer to the `id` that it has."""
        self.send_text(payload)
        return self.answer(frame_id)

    def frames_until(self, type_: str) -> list[Frame]:
        """All frames up to one of a type."""
        frames = [self.read()]
        while frames[-1]["type"] != type_:
            frames.append(self.read())
        return frames

    def until(self, type_: str) -> Frame:
        """The next frame of a type."""
        return self.frames_until(type_)[-1]

    def answer(self, frame_id: object) -> Frame:
        """The next frame with an id."""
        while (found := self.read()).get("id") != frame_id:
            pass
        return found

    def ping(self) -> None:
        """The connection lives."""
        assert self.ask("ping", id="are you there")["type"] == "pong"

    def end(self, wait_s: float = WAIT_S) -> Ended:
        """Read to the end, which must come in time and in order; what comes before it is dropped."""
        self.sock.settimeout(wait_s)
        try:
            while True:
                self.read()
        except Ended as ended:
            return ended

    def close_code(self) -> int:
        """The code that the server ends with."""
        return self.end().code

    def _end(self, payload: bytes) -> None:
        code = int.from_bytes(payload[:2], "big") if payload else 1005
        try:
            self.send_bytes(frame(CLOSE, payload[:2]))
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:  # the server needs no answer of ours any more
            pass
        assert not self._received, "bytes behind the Close frame"
        assert self.sock.recv(1) == b"", "bytes behind the Close frame"
        raise Ended(code, payload[2:].decode())

    def _read_head(self) -> bytes:
        while (end := self._received.find(b"\r\n\r\n")) < 0:
            self._receive()
        return self._take(end + 4)

    def _read_frame(self) -> tuple[int, bytes]:
        first, length = self._read(2)
        assert first & 0x80, "a fragment from the server"
        assert not length & 0x80, "a masked frame from the server"
        if length == 126:
            length = int.from_bytes(self._read(2), "big")
        elif length == 127:
            length = int.from_bytes(self._read(8), "big")
        return first & 0x0F, self._read(length)

    def _read(self, size: int) -> bytes:
        while len(self._received) < size:
            self._receive()
        return self._take(size)

    def _take(self, size: int) -> bytes:
        taken = bytes(self._received[:size])
        del self._received[:size]
        return taken

    def _receive(self) -> None:
        data = self.sock.recv(1 << 16)
        assert data, "the connection ended without a Close frame"
        self._received += data


def _rest(sock: socket.socket) -> bytes:
    received = bytearray()
    while data := sock.recv(1 << 16):
        received += data
    return bytes(received)
