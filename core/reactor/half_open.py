"""A connection whose request head is not complete: read it, bounded in bytes and time, and decide where the connection goes.

A WebSocket for one of our paths becomes a `Connection`, if the application takes it; everything else is handed over with the bytes that
were read. Whoever sends nonsense, too much or too slowly gets an answer that says so, and the end.
"""

import contextlib
import socket
from dataclasses import dataclass
from typing import Final

from core.base.errors import Overloaded
from core.base.limits import READ_BUFFER_BYTES, REQUEST_HEAD_BYTES_MAX
from core.protocol.handshake import (
    HEAD_END,
    TOO_LARGE,
    TOO_SLOW,
    Refused,
    Request,
    accept_response,
    check_upgrade,
    parse_head,
    refusal_response,
)
from core.reactor.application import Address, HandOver
from core.reactor.connection import Connection
from core.reactor.lingering import linger
from core.reactor.shared import Shared

_FAILED: Final = Refused(500, "this is our fault", "internal")


@dataclass(frozen=True, slots=True)
class Doors:
    """Where a complete head leads."""

    websocket_paths: frozenset[str]
    hand_over: HandOver


class HalfOpen:
    """A socket that is still telling what it wants."""

    __slots__ = ("_address", "_doors", "_received", "_shared", "_sock")

    def __init__(self, sock: socket.socket, address: Address, doors: Doors, shared: Shared) -> None:
        self._sock = sock
        self._address = address
        self._doors = doors
        self._shared = shared
        self._received = b""

    def on_ready(self, mask: int) -> None:
        """Read on; with the head complete, leave for where it leads."""
        try:
            data = self._sock.recv(READ_BUFFER_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.abort()
            return
        # An empty line could only be among the new bytes and the three before them.
        search_from = max(0, len(self._received) - 3)
        self._received += data
        end = self._received.find(HEAD_END, search_from)
        if 0 <= end <= REQUEST_HEAD_BYTES_MAX - len(HEAD_END):
            self._decide(end + len(HEAD_END))
        elif len(self._received) > REQUEST_HEAD_BYTES_MAX:
            self._refuse(TOO_LARGE)

    def on_overdue(self) -> None:
        """The head did not come in time. One who said nothing gets no answer: browsers open connections in advance."""
        if self._received:
            self._refuse(TOO_SLOW)
        else:
            self.abort()

    def fail(self, where: str, error: Exception) -> None:
        """The application, or whoever takes connections over, failed."""
        self._shared.report(where, error)
        if self._sock.fileno() >= 0:
            self._refuse(_FAILED)

    def abort(self) -> None:
        """Close the socket."""
        descriptor = self._sock.fileno()
        if descriptor >= 0:
            self._leave(descriptor)
            self._sock.close()

    def _leave(self, descriptor: int) -> None:
        del self._shared.handlers[descriptor]
        self._shared.half_open.pop(self, None)

    def _decide(self, size: int) -> None:
        head, rest = self._received[:size], self._received[size:]
        request = parse_head(head)
        if isinstance(request, Refused):
            self._refuse(request)
        elif request.path in self._doors.websocket_paths:
            self._upgrade(request, rest)
        else:
            self._hand_over()

    def _upgrade(self, request: Request, rest: bytes) -> None:
        shared = self._shared
        decision = check_upgrade(request) or shared.application.on_upgrade(request, str(self._address[0]))
        if isinstance(decision, Refused):
            self._refuse(decision)
            return
        shared.counts.upgraded += 1
        shared.half_open.pop(self, None)
        connection = Connection(self._sock, shared)
        shared.handlers[self._sock.fileno()] = connection
        try:
            connection.open(decision, accept_response(request), rest)
        except Exception as error:  # noqa: BLE001  (it is the connection's from here on)
            connection.fail("on_open", error)

    def _hand_over(self) -> None:
        sock, shared = self._sock, self._shared
        descriptor = sock.fileno()  # asked before: whoever takes the socket may detach or close it
        shared.poller.unregister(descriptor)
        try:
            self._doors.hand_over(sock, self._received, self._address)
        except Overloaded as overload:
            shared.poller.register(descriptor, 0)
            self._refuse(Refused(503, overload.message, "unavailable", retry_after_s=_whole_seconds(overload)))
        except Exception as error:  # noqa: BLE001  (whoever takes connections over must not end the reactor)
            shared.report("hand_over", error)
            self._leave(descriptor)
            sock.close()
        else:
            shared.counts.handed_over += 1
            self._leave(descriptor)

    def _refuse(self, refused: Refused) -> None:
        """Answer with an error and end. The answer is small and the first thing sent: the kernel takes it whole."""
        shared = self._shared
        shared.counts.refused += 1
        shared.half_open.pop(self, None)
        with contextlib.suppress(OSError):
            self._sock.send(refusal_response(refused))
        linger(self._sock, shared)


def _whole_seconds(overload: Overloaded) -> int:
    """Retry-After has no fractions (RFC 9110, section 10.2.3)."""
    return max(1, round(overload.retry_after_s or 1))
