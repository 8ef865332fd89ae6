"""What a reactor asks of the application above it: the router, or an echo in a test.

Every call is plain, must not block, and is made from within a turn. An exception out of one closes the connection that it was about with
1011 and is reported; it never ends the reactor.
"""

import socket
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from core.protocol.handshake import Accepted, Refused, Request
from core.router.outbox import Outbox

S = TypeVar("S")


class Application(Protocol[S]):
    """Decides about handshakes and gets the messages; `S` is its own object for an open connection."""

    def on_upgrade(self, request: Request, peer: str) -> Accepted | Refused:
        """Decide about a well-formed opening handshake from address `peer`: origin, admission, Authorization. Cheap."""

    def on_open(self, accepted: Accepted, outbox: Outbox) -> S:
        """The connection is open and the 101 is queued: return the session that the later calls get."""

    def on_text(self, session: S, payload: bytes) -> None:
        """A whole text message: valid UTF-8, at most `frame_bytes`. None comes once the outbox is closing."""

    def on_drained(self, session: S) -> None:
        """The outbox fell below its low mark after it had been above the high one; or `outbox.wants_drain` asks for it."""

    def on_closed(self, session: S, code: int) -> None:
        """The session is over, whatever ended it: the code that was sent or received, or 1006. Exactly once."""

    def on_tick(self, now_s: float) -> None:
        """About once a second, in a turn, before its output is flushed."""

    def end_turn(self) -> None:
        """All input of a turn has been given, nothing is flushed yet: the place to hand a batch in."""


Address = tuple[Any, ...]
"""A peer as the socket module tells it: host, port, and for IPv6 two more."""

HandOver = Callable[[socket.socket, bytes, Address], None]
"""Takes a connection that is not for us: the (non-blocking) socket, the bytes already read, the peer. Raises Overloaded to refuse it."""

OnBinary = Callable[[Any, bytes], None]
OnError = Callable[[str, Exception], None]
"""Is told where an exception of the application came out, and the exception."""
