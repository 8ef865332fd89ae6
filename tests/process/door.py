"""A door with an application behind it on a real loopback port, and a client that sends raw bytes."""

import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h11
import msgspec
import trio
from quart import Blueprint
from quart_trio import QuartTrio

from core.base.clock import ManualClock
from core.base.errors import Overloaded, Rejected
from core.base.ids import DeviceId, IdSource, UserId
from core.base.metrics import Metrics, registry_of
from sidecars.ports.http import Edge
from sidecars.process import static
from sidecars.process.guard import HttpDoor
from sidecars.process.http import create_app

USER = UserId("01900000-0000-7000-8000-000000000001")
OTHER = UserId("01900000-0000-7000-8000-000000000002")
DEVICE = DeviceId("01900000-0000-7000-8000-0000000000d1")
BEARER = {"Authorization": "Bearer good"}


@dataclass(frozen=True)
class FakeClaims:
    user: UserId
    device: DeviceId
    is_operator: bool = False


@dataclass
class FakeVerifier:
    """Knows three tokens."""

    seen: list[str] = field(default_factory=list)

    def verify(self, token: str, now_ms: int) -> FakeClaims:
        self.seen.append(token)
        known = {
            "good": FakeClaims(USER, DEVICE),
            "other": FakeClaims(OTHER, DEVICE),
            "operator": FakeClaims(USER, DEVICE, is_operator=True),
        }
        if token not in known:
            raise Rejected("unauthenticated", "the access token is not valid")
        return known[token]


class World:
    """What an application is built from, within reach of the test."""

    def __init__(self, *blueprints: Blueprint, files: dict[str, static.File] | None = None) -> None:
        self.clock = ManualClock()
        self.metrics = Metrics()
        self.verifier = FakeVerifier()
        self.logged_out: set[DeviceId] = set()
        self.not_ready: str | None = None
        edge = Edge(verifier=self.verifier, is_active=self._is_active, clock=self.clock, cursor_key=b"k" * 32)
        self.app: QuartTrio = create_app(
            blueprints,
            edge=edge,
            ids=IdSource(self.clock),
            metrics=self.metrics,
            registry=registry_of(self.metrics),
            is_ready=lambda: self.not_ready,
            statistics=lambda: {"sessions": 3},
            files=files,
        )

    async def _is_active(self, _user: UserId, device: DeviceId) -> bool:
        return device not in self.logged_out


def web_files(tmp_path: Path, files: Iterable[tuple[str, str]]) -> dict[str, static.File]:
    """A web client of these files."""
    for name, text in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return static.read_files(tmp_path)


@dataclass(frozen=True)
class Answer:
    """A response, parsed by h11, which takes nothing that is not HTTP."""

    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.content)


class Client:
    """One connection: what goes out is given byte by byte, what comes in must be HTTP."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._http = h11.Connection(h11.CLIENT)

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def answer(self, method: str = "GET") -> Answer:
        """The next response; `method` is that of its request."""
        self._http.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
        self._http.send(h11.EndOfMessage())
        response, content = None, b""
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                self._http.receive_data(await self.stream.receive_some())
            elif isinstance(event, h11.Response):
                response = event
            elif isinstance(event, h11.Data):
                content += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                break
            elif isinstance(event, h11.ConnectionClosed):
                raise EOFError
        assert response is not None
        headers = {name.decode().title(): value.decode() for name, value in response.headers}
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
        return Answer(response.status_code, headers, content)

    async def is_closed(self) -> bool:
        """Waits for the end of the connection; what still comes before it is dropped."""
        try:
            while await self.stream.receive_some():
                pass
        except trio.BrokenResourceError:
            pass
        return True


@dataclass
class Served:
    """A door and the port on which a stand-in for the reactor listens for it."""

    door: HttpDoor
    world: World
    address: tuple[str, int]
    clients: list[trio.SocketStream] = field(default_factory=list)

    async def connect(self) -> Client:
        sock = trio.socket.socket()
        await sock.connect(self.address)
        self.clients.append(trio.SocketStream(sock))
        return Client(self.clients[-1])

    async def ask(self, request: bytes, method: str = "GET") -> Answer:
        """Send raw bytes on a connection of their own; the answer to them."""
        client = await self.connect()
        async with client.stream:
            await client.send(request)
            return await client.answer(method)

    async def get(self, path: str, headers: dict[str, str] | None = None) -> Answer:
        lines = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        return await self.ask(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n".encode())

    async def post(self, path: str, body: bytes, headers: dict[str, str] | None = None, method: str = "POST") -> Answer:
        lines = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n{lines}\r\n"
        return await self.ask(head.encode() + body, method)


@asynccontextmanager
async def serving(world: World, *, connections_max: int = 64) -> AsyncIterator[Served]:
    """As the reactor does it: accept, read a first part, hand over; 503 where the door refuses."""
    door = HttpDoor(world.app, world.metrics, connections_max=connections_max)
    async with trio.open_nursery() as nursery:
        await nursery.start(door.run)
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        with listener.socket:
            nursery.start_soon(_accept, listener, door, nursery)
            served = Served(door, world, listener.socket.getsockname())
            try:
                yield served
            finally:
                nursery.cancel_scope.cancel()
                for client in served.clients:
                    client.socket.close()


async def _accept(listener: trio.SocketListener, door: HttpDoor, nursery: trio.Nursery) -> None:
    while True:
        stream = await listener.accept()
        nursery.start_soon(_hand_over, stream, door)


async def _hand_over(stream: trio.SocketStream, door: HttpDoor) -> None:
    with stream.socket:
        head = await stream.receive_some(65_536)
        peer = stream.socket.getpeername()
        sock = socket.fromfd(stream.socket.fileno(), socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)
    try:
        door.hand_over(sock, head, peer)
    except Overloaded:
        sock.send(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
        sock.close()
