"""A running reactor on a clock that the test moves, and a client that speaks bytes."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import trio
from trio.testing import wait_all_tasks_blocked

from core.base.clock import ManualClock
from core.base.limits import Limits
from core.reactor.listener import listen
from core.reactor.reactor import Reactor
from core.router.inbox import Inbox
from tests.protocol.client_frames import close, frame
from tests.reactor.echo import Echo, refuse_all

UPGRADE = (
    b"GET /chat/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@dataclass
class Served:
    """A reactor and what surrounds it."""

    reactor: Reactor
    echo: Echo
    clock: ManualClock
    inbox: Inbox
    port: int
    nursery: trio.Nursery
    ended: trio.Event = field(default_factory=trio.Event)
    errors: list[tuple[str, Exception]] = field(default_factory=list)
    clients: list["Client"] = field(default_factory=list)

    async def tick(self, seconds: float) -> None:
        """Let time pass, and the reactor see it."""
        ticks = self.echo.ticks
        self.clock.advance(seconds)
        while self.echo.ticks == ticks:
            self.reactor.wake()
            await trio.lowlevel.checkpoint()

    async def until(self, condition: Any) -> None:
        """Wait for what the reactor will do as soon as it gets to it."""
        while not condition():
            self.reactor.wake()
            await trio.lowlevel.checkpoint()

    async def connect(self, **options: Any) -> "Client":
        """A TCP connection."""
        self.clients.append(client := await Client.connect(self.port, **options))
        return client

    async def open(self, **options: Any) -> "Client":
        """An open WebSocket."""
        client = await self.connect(**options)
        await client.send(UPGRADE)
        head = await client.read_head()
        assert head.startswith(b"HTTP/1.1 101 "), head
        return client


@asynccontextmanager
async def serving(hand_over: Any = refuse_all, **limits: int) -> AsyncIterator[Served]:
    """Run a reactor with an echo, under default limits but for those that are given."""
    echo, clock, inbox = Echo(), ManualClock(), Inbox()
    listener = listen("127.0.0.1", 0)
    errors: list[tuple[str, Exception]] = []
    reactor = Reactor(
        [listener],
        echo,
        hand_over,
        clock=clock,
        limits=Limits(**limits),
        inbox=inbox,
        websocket_paths=frozenset({"/chat/ws"}),
        on_error=lambda where, error: errors.append((where, error)),
    )
    async with trio.open_nursery() as nursery:
        served = Served(reactor, echo, clock, inbox, listener.getsockname()[1], nursery, errors=errors)

        async def run(*, task_status: trio.TaskStatus[None]) -> None:
            await reactor.run(task_status=task_status)
            served.ended.set()

        await nursery.start(run)
        try:
            yield served
        finally:
            nursery.cancel_scope.cancel()
            for client in served.clients:
                client.sock.close()


class Client:
    """A peer that sends and reads exactly what it is told to."""

    def __init__(self, sock: Any) -> None:
        self.sock = sock
        self._unread = b""

    @classmethod
    async def connect(cls, port: int, *, receive_buffer: int | None = None) -> Self:
        sock = trio.socket.socket()
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            await sock.connect(("127.0.0.1", port))
        except OSError:
            sock.close()
            raise
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return cls(sock)

    async def send(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[await self.sock.send(view) :]

    async def read(self, size: int) -> bytes:
        """So many bytes, or all there are before the end."""
        while len(self._unread) < size:
            data = await self.sock.recv(65_536)
            if not data:
                break
            self._unread += data
        data, self._unread = self._unread[:size], self._unread[size:]
        return data

    async def read_head(self) -> bytes:
        while b"\r\n\r\n" not in self._unread:
            data = await self.sock.recv(65_536)
            if not data:
                break
            self._unread += data
        head, end, self._unread = self._unread.partition(b"\r\n\r\n")
        return head + end

    async def read_frame(self) -> tuple[int, bytes]:
        """The opcode and the payload of the next frame; (-1, b"") at the end of the stream."""
        header = await self.read(2)
        if len(header) < 2:
            return -1, b""
        length = header[1]
        if length >= 126:
            length = int.from_bytes(await self.read(2 if length == 126 else 8), "big")
        return header[0] & 0x0F, await self.read(length)

    async def read_all(self) -> bytes:
        """Everything up to the end of the stream, which must be a clean one."""
        return await self.read(1 << 30)

    async def read_close(self) -> int:
        """The code of the next frame, which must be a Close; what follows must be the end of the stream."""
        opcode, payload = await self.read_frame()
        assert opcode == 8, (opcode, payload)
        return int.from_bytes(payload[:2], "big") if payload else 1005

    async def echo(self, payload: bytes) -> bytes:
        await self.send(frame(1, payload))
        opcode, answer = await self.read_frame()
        assert opcode == 1
        return answer

    async def close(self, code: int = 1000) -> int:
        """An orderly end from this side; the code that came back."""
        await self.send(close(code))
        answer = await self.read_close()
        assert await self.read_all() == b""
        self.sock.close()
        return answer


async def settled() -> None:
    """Every task waits: the reactor has nothing to do."""
    await wait_all_tasks_blocked(0.01)
