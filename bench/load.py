"""A load generator on bare sockets: as little Python per message as can be, so that the server is what is measured.

One process, one epoll. It masks its frames beforehand where it can and counts messages in what comes back by a byte string that each
delivery has once, without parsing JSON.
"""

import json
import select
import socket
import struct
import time
from collections.abc import Callable, Sequence
from typing import Final

DELIVERY: Final = b'{"type":"message"'
ACK: Final = b'{"type":"ack"'
_MASK: Final = b"\x00\x00\x00\x00"  # a mask of zeros is a mask: the server unmasks all the same, we need not


def frame(payload: bytes) -> bytes:
    """A client's text frame (RFC 6455, section 5.2)."""
    size = len(payload)
    if size < 126:
        return struct.pack("!BB", 0x81, 0x80 | size) + _MASK + payload
    return struct.pack("!BBH", 0x81, 0x80 | 126, size) + _MASK + payload


class Client:
    """One connection that said hello and is synced."""

    def __init__(self, port: int, token: str) -> None:
        self.sock: Final = socket.create_connection(("127.0.0.1", port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.sendall(
            b"GET /chat/ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        hello = {"type": "hello", "token": token, "replay": 0}
        self.sock.sendall(frame(json.dumps(hello).encode()))
        self.wait_for(b'"type":"synced"')
        self.deliveries = 0
        self.acks = 0

    def wait_for(self, text: bytes) -> bytes:
        """Read until `text` was seen; return all that was read."""
        seen = b""
        while text not in seen:
            data = self.sock.recv(1 << 16)
            if not data:
                raise ConnectionError(f"closed while waiting for {text!r}: {seen[-300:]!r}")
            seen += data
        return seen

    def send(self, conversation: str, client_id: str, text: str) -> None:
        """Send a text; the answer is counted by `Loop`."""
        payload = (
            f'{{"type":"send","client_id":"{client_id}","conversation":"{conversation}","body":{{"text":"{text}"}}}}'
        )
        self.sock.send(frame(payload.encode()))


class Loop:
    """Reads all clients until told to stop, and calls back for each burst of acks and deliveries."""

    def __init__(self, clients: Sequence[Client]) -> None:
        self._clients: Final = {client.sock.fileno(): client for client in clients}
        self._epoll: Final = select.epoll()
        for client in clients:
            client.sock.setblocking(False)
            self._epoll.register(client.sock.fileno(), select.EPOLLIN)
        self.deliveries = 0
        self.acks = 0

    def run(self, on_ack: Callable[[Client, int], None], until: Callable[[], bool]) -> None:
        """Read until `until()`; raises ConnectionError if a socket closes."""
        while not until():
            for descriptor, _ in self._epoll.poll(0.2):
                client = self._clients[descriptor]
                try:
                    data = client.sock.recv(1 << 16)
                except BlockingIOError:
                    continue
                if not data:
                    raise ConnectionError("the server closed a connection")
                self.deliveries += data.count(DELIVERY)
                acks = data.count(ACK)
                if acks:
                    self.acks += acks
                    on_ack(client, acks)


def cpu_s(pid: int) -> float:
    """User and system time that a process has used, in seconds."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100.0


def seconds() -> float:
    """A clock for durations."""
    return time.perf_counter()
