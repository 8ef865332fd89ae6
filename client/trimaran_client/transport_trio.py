"""The transport on Trio.

The TCP stream is opened and closed here, not by trio-websocket: that leaves it open when the server refuses the handshake.
"""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import cast
from urllib.parse import SplitResult, urlsplit

import trio
import trio_websocket

from trimaran_client.errors import DialFailed, TransportClosed
from trimaran_client.limits import DIAL_S, SERVER_FRAME_BYTES
from trimaran_client.transport import SUBPROTOCOL, Transport, refused, timed_out

_ENDS = (trio_websocket.ConnectionClosed, OSError, trio.BrokenResourceError, trio.ClosedResourceError)

Stream = trio.SocketStream | trio.SSLStream[trio.SocketStream]


class TrioTransport:
    """trio-websocket's connection as a `Transport`."""

    def __init__(self, connection: trio_websocket.WebSocketConnection) -> None:
        self._connection = connection

    async def send(self, text: str) -> None:
        try:
            await self._connection.send_message(text)
        except _ENDS as error:
            raise _closed(error) from error

    async def receive(self) -> str | bytes:
        try:
            return await self._connection.get_message()
        except _ENDS as error:
            raise _closed(error) from error

    async def close(self, code: int) -> None:
        # An end that is not as the RFC wants it is an end all the same.
        with suppress(*_ENDS):
            await self._connection.aclose(code)


def _closed(error: BaseException) -> TransportClosed:
    reason = error.reason if isinstance(error, trio_websocket.ConnectionClosed) else None
    # 1005 and 1006 are never on the wire (RFC 6455, section 7.4.1): they say that no code, or no Close frame, came.
    if reason is None or reason.code in (1005, 1006):
        return TransportClosed(None, str(error))
    return TransportClosed(reason.code, reason.reason or "")


@asynccontextmanager
async def dial_trio(url: str) -> AsyncIterator[Transport]:
    """The `Dial` of Trio."""
    parts = urlsplit(url)
    stream = await _open_stream(parts.hostname or "", parts.port, is_secure=parts.scheme == "wss")
    failure: DialFailed | None = None
    try:
        async with trio.open_nursery() as nursery:
            try:
                connection, reading = await nursery.start(_shake_hands, stream, parts)
            except ExceptionGroup as group:
                failure = _failed(group)
            else:
                try:
                    yield TrioTransport(connection)
                finally:
                    reading.cancel()
    finally:
        # Whoever wanted a Close frame has called `close`.
        await trio.aclose_forcefully(stream)
    if failure is not None:
        raise failure


async def _shake_hands(
    stream: Stream,
    parts: SplitResult,
    task_status: trio.TaskStatus[tuple[trio_websocket.WebSocketConnection, trio.CancelScope]],
) -> None:
    """Opens the WebSocket and reads it until the scope that it gives is cancelled."""
    resource = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    async with trio.open_nursery() as nursery:
        watched = _Watched(stream)
        nursery.start_soon(watched.wait_for_early_end)
        with trio.fail_after(DIAL_S):
            connection = await trio_websocket.wrap_client_stream(
                nursery,
                cast(Stream, watched),
                parts.netloc.rpartition("@")[2],
                resource,
                subprotocols=[SUBPROTOCOL],
                max_message_size=SERVER_FRAME_BYTES,
                receive_buffer_size=None,
            )
        watched.is_open = True
        # The user of the connection may be cancelled, and must still be able to read the answer to its Close frame.
        nursery.cancel_scope.shield = True
        task_status.started((connection, nursery.cancel_scope))
        await trio.sleep_forever()


class _Watched(trio.abc.Stream):
    """A stream that notices its end: trio-websocket would wait for the answer to its handshake all the same."""

    def __init__(self, stream: Stream) -> None:
        self.is_open = False
        self._stream = stream
        self._ended = trio.Event()

    async def wait_for_early_end(self) -> None:
        """Fails if the stream ends before the WebSocket is open."""
        await self._ended.wait()
        if not self.is_open:
            raise DialFailed("the server closed the connection during the handshake")

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        try:
            data = await self._stream.receive_some(max_bytes)
        except trio.BrokenResourceError:
            self._ended.set()
            raise
        if not data:
            self._ended.set()
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self._stream.aclose()


async def _open_stream(host: str, port: int | None, *, is_secure: bool) -> Stream:
    try:
        with trio.fail_after(DIAL_S):
            if not is_secure:
                return await trio.open_tcp_stream(host, port or 80)
            context = ssl.create_default_context()
            stream = await trio.open_ssl_over_tcp_stream(host, port or 443, ssl_context=context, https_compatible=True)
            try:
                await stream.do_handshake()
            except BaseException:
                await trio.aclose_forcefully(stream)
                raise
            return stream
    except trio.TooSlowError as error:
        raise timed_out() from error
    except (OSError, trio.BrokenResourceError, ValueError) as error:
        raise DialFailed(str(error.__cause__ or error)) from error


def _failed(group: ExceptionGroup[Exception]) -> DialFailed:
    for error in group.exceptions:
        if isinstance(error, DialFailed):
            return error
        if isinstance(error, trio_websocket.ConnectionRejected):
            headers = {name.lower(): value for name, value in error.headers or ()}
            return refused(error.status_code, headers.get(b"retry-after", b"").decode("latin-1"))
        if isinstance(error, trio.TooSlowError):
            return timed_out()
    return DialFailed(str(group.exceptions[0]))
