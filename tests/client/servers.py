"""Two ways to reach a `ModelServer`: in memory, for virtual time, and by real sockets of the library that each backend has."""

import random
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import anyio
import sniffio
import trio
import trio_websocket
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_asyncio
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from tests.client.model_server import ModelConnection, ModelServer
from trimaran_client.errors import DialFailed, TransportClosed
from trimaran_client.transport import Transport


class NoDelay(random.Random):
    """Draws the shortest back-off: none."""

    def uniform(self, a: float, b: float) -> float:
        return a


class MemoryTransport:
    """A connection without a socket."""

    def __init__(self, home: "MemoryServer", connection: ModelConnection) -> None:
        self._home = home
        self.connection = connection
        self.closed: TransportClosed | None = None
        self.closed_by_client: int | None = None
        self.incoming: deque[str] = deque()
        self.is_stuck = False
        """Takes no frame, as a peer whose buffers are full."""
        self._changed = anyio.Event()

    async def send(self, text: str) -> None:
        await anyio.lowlevel.checkpoint()
        if self.is_stuck:
            await anyio.sleep_forever()
        if self.closed is not None:
            raise self.closed
        if not self._home.is_mute:
            self.connection.on_text(text)
            self.flush()

    async def receive(self) -> str:
        await anyio.lowlevel.checkpoint()
        while not self.incoming:
            if self.closed is not None:
                raise self.closed
            self._changed = anyio.Event()
            await self._changed.wait()
        return self.incoming.popleft()

    async def close(self, code: int) -> None:
        await anyio.lowlevel.checkpoint()
        self.closed_by_client = code

    def flush(self) -> None:
        self.incoming.extend(self.connection.take())
        self._changed.set()

    def kick(self, code: int | None) -> None:
        self.closed = TransportClosed(code, "kicked")
        self._changed.set()


class MemoryServer:
    """A `Dial` to a model server; the newest connection is the one that it pushes to."""

    def __init__(self, model: ModelServer | None = None) -> None:
        self.model = model or ModelServer()
        self.dialled: list[str] = []
        self.refuse: list[DialFailed] = []
        self.transports: list[MemoryTransport] = []
        self.is_mute = False
        """Takes frames and answers none, as a dead peer does."""

    @property
    def transport(self) -> MemoryTransport:
        return self.transports[-1]

    @asynccontextmanager
    async def dial(self, url: str) -> AsyncIterator[Transport]:
        await anyio.lowlevel.checkpoint()
        self.dialled.append(url)
        if self.refuse:
            raise self.refuse.pop(0)
        transport = MemoryTransport(self, self.model.connect())
        self.transports.append(transport)
        yield transport

    def post(self, conversation: str, text: str) -> None:
        self.model.post(conversation, text)
        self.transport.flush()


class LiveServer:
    """The same over loopback."""

    def __init__(self, model: ModelServer) -> None:
        self.model = model
        self.url = ""
        self.handshakes: list[int] = []
        """Statuses with which the next handshakes are refused."""
        self.lose_sends = 0
        """So many sends are not answered, and not stored."""
        self.connections = 0
        self.close_codes: list[int | None] = []
        self._send: Callable[[str], Awaitable[None]] | None = None
        self._close: Callable[[int, str], Awaitable[None]] | None = None

    async def converse(
        self,
        receive: Callable[[], Awaitable[str | bytes]],
        send: Callable[[str], Awaitable[None]],
        close: Callable[[int, str], Awaitable[None]],
    ) -> None:
        self.connections += 1
        self._send, self._close = send, close
        connection = self.model.connect()
        while True:
            text = await receive()
            assert isinstance(text, str)
            if self.lose_sends and '"send"' in text:
                self.lose_sends -= 1
                continue
            connection.on_text(text)
            for frame in connection.take():
                await send(frame)

    async def post(self, conversation: str, text: str) -> None:
        self.model.post(conversation, text)
        assert self.model.connection is not None
        assert self._send is not None
        for frame in self.model.connection.take():
            await self._send(frame)

    async def kick(self, code: int) -> None:
        assert self._close is not None
        await self._close(code, "kicked")


@asynccontextmanager
async def live_server(model: ModelServer | None = None) -> AsyncIterator[LiveServer]:
    """A server on loopback, of the running backend."""
    live = LiveServer(model or ModelServer())
    serving = _serving_trio if sniffio.current_async_library() == "trio" else _serving_asyncio
    async with serving(live):
        yield live


@asynccontextmanager
async def _serving_trio(live: LiveServer) -> AsyncIterator[None]:
    async def handle(request: trio_websocket.WebSocketRequest) -> None:
        if live.handshakes:
            await request.reject(live.handshakes.pop(0), extra_headers=[(b"Retry-After", b"0")], body=b"no")
            return
        socket = await request.accept(subprotocol="trimaran.v1")
        try:
            await live.converse(socket.get_message, socket.send_message, socket.aclose)
        except trio_websocket.ConnectionClosed as closed:
            live.close_codes.append(closed.reason.code if closed.reason else None)

    async with trio.open_nursery() as nursery:
        serving = partial(trio_websocket.serve_websocket, handle, "127.0.0.1", 0, None)
        server = await nursery.start(serving)
        live.url = f"http://127.0.0.1:{server.port}"
        yield
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def _serving_asyncio(live: LiveServer) -> AsyncIterator[None]:
    async def handle(socket: ServerConnection) -> None:
        try:
            await live.converse(socket.recv, socket.send, socket.close)
        except ConnectionClosed as closed:
            live.close_codes.append(closed.rcvd.code if closed.rcvd else None)

    def admit(socket: ServerConnection, request: Request) -> Response | None:
        if not live.handshakes:
            return None
        return Response(live.handshakes.pop(0), "No", Headers({"Retry-After": "0", "Content-Length": "2"}), b"no")

    async with serve_asyncio(handle, "127.0.0.1", 0, process_request=admit) as server:
        live.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield
