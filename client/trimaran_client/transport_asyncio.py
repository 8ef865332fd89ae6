"""The transport on asyncio."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, InvalidURI, WebSocketException
from websockets.typing import Subprotocol

from trimaran_client.errors import DialFailed, TransportClosed
from trimaran_client.limits import CLOSE_S, DIAL_S, SERVER_FRAME_BYTES
from trimaran_client.transport import SUBPROTOCOL, Transport, refused, timed_out


class AsyncioTransport:
    """websockets' connection as a `Transport`."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def send(self, text: str) -> None:
        try:
            await self._connection.send(text)
        except ConnectionClosed as error:
            raise _closed(error) from error

    async def receive(self) -> str | bytes:
        try:
            return await self._connection.recv()
        except ConnectionClosed as error:
            raise _closed(error) from error

    async def close(self, code: int) -> None:
        await self._connection.close(code)


def _closed(error: ConnectionClosed) -> TransportClosed:
    # `rcvd` is the peer's Close frame; without one the code would be 1006, which is never on the wire.
    if error.rcvd is None or error.rcvd.code == 1005:
        return TransportClosed(None, str(error))
    return TransportClosed(error.rcvd.code, error.rcvd.reason)


@asynccontextmanager
async def dial_asyncio(url: str) -> AsyncIterator[Transport]:
    """The `Dial` of asyncio."""
    try:
        with anyio.fail_after(DIAL_S):
            connection = await connect(
                url,
                subprotocols=[Subprotocol(SUBPROTOCOL)],
                compression=None,
                max_size=SERVER_FRAME_BYTES,
                max_queue=4,
                open_timeout=None,
                ping_interval=None,
                close_timeout=CLOSE_S,
                proxy=None,
            )
    except TimeoutError as error:
        raise timed_out() from error
    except InvalidStatus as error:
        raise refused(error.response.status_code, error.response.headers.get("Retry-After")) from error
    except (WebSocketException, InvalidURI, OSError) as error:
        raise DialFailed(str(error)) from error
    try:
        yield AsyncioTransport(connection)
    finally:
        with anyio.move_on_after(CLOSE_S, shield=True):
            await connection.close()
