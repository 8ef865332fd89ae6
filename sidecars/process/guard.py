"""Serves HTTP on connections that the reactor hands over: Hypercorn's per-connection server, each one under a guard.

Whatever one connection does or raises, it is closed, counted and logged once, and the process lives. Hypercorn 0.18
alone does not hold that: a WebSocket upgrade with a chunked body ends its worker, and a peer that takes nothing holds a
shielded send for ever. So in here are no upgrades (RFC 9110, section 7.8 lets a server ignore them) and no HTTP/2, a
limit on every wait, and a stop that ends. It leans on insides of Hypercorn; pyproject.toml holds that below 0.19.
"""

import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final, NoReturn

import h11
import msgspec
import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.events import Request
from hypercorn.protocol.h11 import STREAM_ID, H11Protocol
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.tcp_server import MAX_RECV, TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import (
    AppWrapper,
    ASGIFramework,
    ASGIReceiveEvent,
    ASGISendEvent,
    ConnectionState,
    LifespanState,
    Scope,
)

from core.base import logs
from core.base.errors import Overloaded
from core.base.limits import (
    HTTP_CONNECTIONS_MAX,
    HTTP_DRAIN_S,
    HTTP_KEEP_ALIVE_S,
    HTTP_LINGER_BYTES,
    HTTP_LINGER_S,
    HTTP_REQUESTS_PER_CONNECTION,
    HTTP_SEND_STUCK_S,
    REQUEST_HEAD_BYTES_MAX,
)
from core.base.metrics import Metrics

Address = tuple[Any, ...]

_log = logs.logger("http")


class HttpDoor:
    """Takes connections over from the reactor and serves `app` on them.

    `hand_over` may be called while `run` runs; `stop` begins the drain, after which `run` returns.
    """

    def __init__(self, app: ASGIFramework, metrics: Metrics, *, connections_max: int = HTTP_CONNECTIONS_MAX) -> None:
        self._app = ASGIWrapper(app)
        self._metrics = metrics
        self._connections_max = connections_max
        self._config = _settings()
        self._context = WorkerContext(None)
        self._streams: set[_Stream] = set()
        self._nursery: trio.Nursery | None = None
        self._stopping = trio.Event()
        self._idle = trio.Event()

    def hand_over(self, sock: socket.socket, head: bytes, peer: Address) -> None:
        """Serve a connection of which `head` has been read. Plain and quick; the socket is ours unless this raises.

        Raises: Overloaded where there are too many connections, or none are taken any more.
        """
        if self._nursery is None or self._stopping.is_set():
            raise Overloaded("the server is stopping")
        if len(self._streams) >= self._connections_max:
            raise Overloaded("too many connections")
        stream = _Stream(trio.socket.from_stdlib_socket(sock), head)
        if not self._streams:
            self._idle = trio.Event()
        self._streams.add(stream)
        self._nursery.start_soon(self._serve, stream, peer)

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until `stop`, and then until the requests in work are answered or their time is over."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            task_status.started()
            try:
                await self._stopping.wait()
                # Ends the connections that wait for a next request, and the others after their answer.
                await self._context.terminated.set()
                with trio.move_on_after(HTTP_DRAIN_S):
                    await self.wait_idle()
            finally:
                self._nursery = None
                # A send of Hypercorn's is shielded from cancellation; closing its socket ends it.
                for stream in self._streams:
                    stream.abort()
            nursery.cancel_scope.cancel()

    def stop(self) -> None:
        """Take no more connections, answer what was asked, and end within the drain time."""
        self._stopping.set()

    async def wait_idle(self) -> None:
        """Wait until there is no connection."""
        while self._streams:
            await self._idle.wait()

    def statistics(self) -> dict[str, int]:
        """How many connections there are."""
        return {"connections": len(self._streams)}

    async def _serve(self, stream: "_Stream", peer: Address) -> None:
        try:
            await _Server(self._app, self._config, self._context, stream, peer).run()
            await stream.linger()
        except BaseExceptionGroup as group:
            errors, others = group.split(Exception)
            if errors is not None:
                self._failed(errors)
            if others is not None:  # cancellation, or Ctrl-C
                raise others from None
        except Exception as error:  # noqa: BLE001  (this is the guard)
            self._failed(error)
        finally:
            stream.abort()
            self._streams.discard(stream)
            if not self._streams:
                self._idle.set()

    def _failed(self, error: BaseException | None) -> None:
        self._metrics.errors["http_connection"] += 1
        _log.warning("connection failed", exc_info=error)


class _Stream:
    """A socket as a Trio stream whose first bytes were read by another.

    `aclose` says goodbye (a FIN) and stops reading and sending; the socket itself is closed by `abort`, after `linger`
    has let the peer read what it was told: closing with unread input sends a reset, which may overtake the answer
    (RFC 9112, section 9.6).
    """

    def __init__(self, sock: trio.socket.SocketType, head: bytes) -> None:
        self.socket: Final = sock
        self.closed: Final = trio.Event()
        self._head = head
        self._reading = trio.CancelScope()

    async def receive_some(self, bytes_max: int) -> bytes:
        """The next bytes; none at the peer's EOF. Raises: trio.BrokenResourceError, trio.ClosedResourceError."""
        if self._head:
            head, self._head = self._head, b""
            return head
        if not self.closed.is_set():
            with trio.CancelScope() as self._reading:
                try:
                    return await self.socket.recv(bytes_max)
                except OSError as error:
                    self.abort()
                    raise trio.BrokenResourceError from error
        raise trio.ClosedResourceError

    async def send_all(self, data: bytes) -> None:
        """Send all of it, unless the peer takes nothing for too long. Raises: as `receive_some`."""
        rest = memoryview(data)
        while rest:
            if self.closed.is_set():
                raise trio.ClosedResourceError
            sent = 0
            with trio.move_on_after(HTTP_SEND_STUCK_S):
                with suppress(OSError):
                    sent = await self.socket.send(rest)
            if not sent:
                self.abort()
                raise trio.BrokenResourceError
            rest = rest[sent:]

    async def send_eof(self) -> None:
        """Nothing: `aclose` does it."""

    async def aclose(self) -> None:
        """Send EOF, and wake whoever reads."""
        if not self.closed.is_set():
            self.closed.set()
            self._reading.cancel()
            with suppress(OSError):  # the peer is gone already
                self.socket.shutdown(socket.SHUT_WR)

    async def linger(self) -> None:
        """Throw away what the peer still sends, for a while, until it has seen our EOF and answers with its own."""
        left = HTTP_LINGER_BYTES
        with trio.move_on_after(HTTP_LINGER_S):
            with suppress(OSError, trio.ClosedResourceError):
                while left > 0 and (data := await self.socket.recv(MAX_RECV)):
                    left -= len(data)

    def abort(self) -> None:
        """Close the socket, whatever waits for it."""
        self.closed.set()
        self._reading.cancel()
        self.socket.close()


class _Server(TCPServer):
    """Hypercorn's server of one connection, for HTTP/1.1 alone, with the peer's address as the reactor saw it."""

    stream: _Stream  # type: ignore[assignment]

    def __init__(self, app: AppWrapper, config: Config, context: WorkerContext, stream: _Stream, peer: Address) -> None:
        super().__init__(app, config, context, LifespanState({}), stream)  # type: ignore[arg-type]
        self._peer = peer

    async def run(self) -> None:
        """Serve until one side has had enough."""
        try:
            async with _Tasks() as tasks:
                self._task_group = tasks
                server = self.stream.socket.getsockname()
                self.protocol = http = _Http1(  # type: ignore[assignment]
                    self.app, self.config, self.context, tasks, ConnectionState({}), False,
                    (str(self._peer[0]), int(self._peer[1])), (str(server[0]), int(server[1])), self.protocol_send,
                )  # fmt: skip
                await self.idle_task.restart(tasks, self._idle_timeout)
                with suppress(_Refused):
                    await self._read(http)
                await self.stream.aclose()
                await http.handle(Closed())
                await self.idle_task.stop()
        finally:
            await self._close()

    async def protocol_send(self, event: Event) -> None:
        """Take what Hypercorn has for the socket, or what it knows of the connection."""
        if not isinstance(event, Updated):
            await super().protocol_send(event)
        elif not self.stream.closed.is_set():  # else nobody is left to stop the clock of an idle connection
            # At the end of a response the application hears of it and cancels itself, and with it this very call, which
            # it makes: unshielded, that clock would not start again, and the connection would stay for ever.
            with trio.CancelScope(shield=True):
                await super().protocol_send(event)

    async def _read(self, http: "_Http1") -> None:
        while True:
            try:
                data = await self.stream.receive_some(MAX_RECV)
            except (trio.ClosedResourceError, trio.BrokenResourceError):
                return
            await http.handle(RawData(data))
            if not data:
                # A peer may be done with sending and still wait for its answer (RFC 9112, section 9.6).
                if http.stream is not None:
                    await self.stream.closed.wait()
                return


class _Refused(Exception):
    """The request was answered with an error, and nothing more is read."""


class _Http1(H11Protocol):
    """HTTP/1.1 without ways out of it: no WebSocket, no h2c, no HTTP/2 preface."""

    async def _check_protocol(self, event: h11.Request) -> None:
        if event.http_version not in (b"1.0", b"1.1"):
            await self._refuse(505)
        if not event.target.startswith((b"/", b"http://", b"https://")) and event.target != b"*":
            await self._refuse(400)
        # RFC 9112, section 6.1: two servers may read such a request in two ways, and find another one behind it.
        if {b"content-length", b"transfer-encoding"} <= {name for name, _ in event.headers}:
            await self._refuse(400)

    async def _refuse(self, status: int) -> None:
        await self._send_error_response(status)
        await self.send(Closed())
        raise _Refused

    async def _create_stream(self, request: h11.Request) -> None:
        self.stream = HTTPStream(
            self.app, self.config, self.context, self.task_group, self.ssl, self.client, self.server, self.stream_send,
            STREAM_ID,
        )  # fmt: skip
        await self.stream.handle(
            Request(
                stream_id=STREAM_ID,
                headers=list(request.headers),
                http_version=request.http_version.decode(),
                method=request.method.decode("ascii").upper(),
                raw_path=request.target,
                state=self.connection_state,
            )
        )
        self.keep_alive_requests += 1

    async def _send_error_response(self, status_code: int) -> None:
        """Answer what is no request, as a problem too."""
        said = {
            "type": "about:blank",
            "title": HTTPStatus(status_code).phrase,
            "status": status_code,
            "code": "too_large" if status_code == 431 else "bad_request",
            "detail": "this is not a request of HTTP/1.1 that we take",
        }
        body = msgspec.json.encode(said)
        headers = [
            (b"content-type", b"application/problem+json"),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
            (b"connection", b"close"),
        ]
        headers += self.config.response_headers("h11")
        await self._send_h11_event(h11.Response(headers=headers, status_code=status_code))
        await self._send_h11_event(h11.Data(data=body))
        await self._send_h11_event(h11.EndOfMessage())


class _Tasks(TaskGroup):
    """Hypercorn's task group, in which nobody waits to tell something to an application that has ended."""

    async def spawn_app(
        self,
        app: AppWrapper,
        config: Config,
        scope: Scope,
        send: Callable[[ASGISendEvent | None], Awaitable[None]],
    ) -> Callable[[ASGIReceiveEvent], Awaitable[None]]:
        to_app: trio.MemorySendChannel[ASGIReceiveEvent]
        from_http: trio.MemoryReceiveChannel[ASGIReceiveEvent]
        to_app, from_http = trio.open_memory_channel(config.max_app_queue_size)

        async def serve() -> None:
            try:
                with from_http:
                    await app(scope, from_http.receive, send, _no_threads, _no_threads)
            finally:
                await send(None)  # where no answer has begun, this makes it a 500

        async def tell(event: ASGIReceiveEvent) -> None:
            with suppress(trio.BrokenResourceError):
                await to_app.send(event)

        self.spawn(serve)
        return tell


def _no_threads(*_arguments: object) -> NoReturn:
    """What Hypercorn gives to WSGI applications; ours has no use for it."""
    raise NotImplementedError


def _settings() -> Config:
    config = Config()
    config.accesslog = config.errorlog = None
    config.include_server_header = False
    config.h11_max_incomplete_size = REQUEST_HEAD_BYTES_MAX
    config.keep_alive_timeout = HTTP_KEEP_ALIVE_S
    config.keep_alive_max_requests = HTTP_REQUESTS_PER_CONNECTION
    config.max_app_queue_size = 2  # parts of a body, up to 64 KiB each
    return config
