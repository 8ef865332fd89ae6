"""The socket, behind three calls: trio-websocket on Trio, websockets on asyncio. Foreign exceptions stop here.

Both libraries answer pings themselves, and both check the RFC; deflate and proxies are off.
"""

import math
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

import sniffio

from trimaran_client.errors import DialFailed
from trimaran_client.limits import DIAL_S

SUBPROTOCOL = "trimaran.v1"


class Transport(Protocol):
    """A WebSocket of text frames. One task may send while another receives."""

    async def send(self, text: str) -> None:
        """Hands a text frame over.

        Raises:
            TransportClosed: the connection has ended.
        """
        ...

    async def receive(self) -> str | bytes:
        """The next text frame.

        Raises:
            TransportClosed: the connection has ended.
        """
        ...

    async def close(self, code: int) -> None:
        """Closes with this code, and waits for the peer's Close frame. Never fails; call it under a deadline."""
        ...


Dial = Callable[[str], AbstractAsyncContextManager[Transport]]
"""Opens a connection to a `ws:` or `wss:` address for the time of the block; raises DialFailed."""


@asynccontextmanager
async def dial(url: str) -> AsyncIterator[Transport]:
    """The `Dial` for the running event loop.

    Raises:
        DialFailed: no connection came about in DIAL_S.
    """
    if sniffio.current_async_library() == "trio":
        from trimaran_client.transport_trio import dial_trio as dial_here
    else:
        from trimaran_client.transport_asyncio import dial_asyncio as dial_here
    async with dial_here(url) as transport:
        yield transport


def refused(status: int, retry_after: str | None) -> DialFailed:
    """The server answered the handshake with something else than 101."""
    try:
        retry_after_s = float(retry_after or "nan")
    except ValueError:
        # A date is allowed there too; the back-off is good enough for it.
        retry_after_s = math.nan
    is_delay = math.isfinite(retry_after_s) and retry_after_s >= 0
    return DialFailed("refused", status=status, retry_after_s=retry_after_s if is_delay else None)


def timed_out() -> DialFailed:
    """Nobody answered."""
    return DialFailed(f"no answer in {DIAL_S:g} s")
