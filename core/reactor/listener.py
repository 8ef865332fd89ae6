"""The listening sockets: accept what is there, a bounded number per turn, and stop for a while when the process is out of descriptors."""

import contextlib
import errno
import socket
from typing import Final

from core.base.limits import ACCEPTS_PER_TURN, CONNECTIONS_MAX, HALF_OPEN_MAX, UNSENT_BYTES_MAX
from core.protocol.handshake import Refused, refusal_response
from core.reactor.half_open import Doors, HalfOpen
from core.reactor.lingering import linger
from core.reactor.poller import READ
from core.reactor.shared import Shared, logger

BACKLOG: Final = 4_096

_TCP_NOTSENT_LOWAT: Final = 25  # Linux; the socket module of 3.11 does not name it
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_FULL: Final = refusal_response(Refused(503, "too many connections", "unavailable", retry_after_s=5))


def listen(host: str, port: int) -> socket.socket:
    """A listening socket, non-blocking; port 0 takes a free one. Resolves `host`, so it may block: call it at the start.

    Raises: OSError naming the address.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
    )[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Accepted sockets inherit these. What is flushed once per turn needs no gathering by the kernel; and what the kernel cannot send
        # yet should wait in the outbox, where it is counted, not in up to four megabytes of socket buffer.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, UNSENT_BYTES_MAX)
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise OSError(error.errno, f"cannot listen on {host}:{port}: {error.strerror}") from error
    return sock


class Listener:
    """A listening socket in the reactor."""

    __slots__ = ("_doors", "_is_paused", "_shared", "_sock")

    def __init__(self, sock: socket.socket, doors: Doors, shared: Shared) -> None:
        self._sock = sock
        self._doors = doors
        self._shared = shared
        self._is_paused = False

    def start(self) -> None:
        """Begin to accept."""
        self._shared.handlers[self._sock.fileno()] = self
        self._shared.poller.register(self._sock, READ)

    def on_ready(self, mask: int) -> None:
        """Accept what waits."""
        for _ in range(ACCEPTS_PER_TURN):
            try:
                sock, address = self._sock.accept()
            except BlockingIOError:
                return
            except OSError as error:
                # Anything else is about one connection that is gone already (ECONNABORTED and the network's errors: accept(2)).
                if error.errno in _EXHAUSTED:
                    self._pause(error)
                    return
                continue
            sock.setblocking(False)
            self._take(sock, address)

    def _take(self, sock: socket.socket, address: tuple[object, ...]) -> None:
        shared = self._shared
        shared.counts.accepted += 1
        shared.poller.register(sock, READ)
        if len(shared.handlers) >= CONNECTIONS_MAX:
            shared.counts.refused += 1
            with contextlib.suppress(OSError):
                sock.send(_FULL)
            linger(sock, shared)
            return
        if len(shared.half_open) >= HALF_OPEN_MAX:
            # An honest head is complete within a round trip, so the oldest is the one that takes its time.
            shared.counts.evicted += 1
            next(iter(shared.half_open)).abort()
        half_open = HalfOpen(sock, address, self._doors, shared)
        shared.handlers[sock.fileno()] = half_open
        shared.half_open[half_open] = shared.now_s

    def _pause(self, error: OSError) -> None:
        """Out of descriptors or memory. The waiting connections would make epoll report for ever, so look away until the next tick."""
        logger.error(
            "accept_paused errno=%s open=%d", errno.errorcode.get(error.errno or 0), len(self._shared.handlers)
        )
        self._is_paused = True
        self._shared.poller.modify(self._sock, 0)

    def resume(self) -> None:
        """Try again."""
        if self._is_paused and self._sock.fileno() >= 0:
            self._is_paused = False
            self._shared.poller.modify(self._sock, READ)

    def fail(self, where: str, error: Exception) -> None:
        """A bug of ours; the next one may be accepted all the same."""
        self._shared.report(where, error)

    def abort(self) -> None:
        """Listen no more."""
        if self._sock.fileno() >= 0:
            self._shared.handlers.pop(self._sock.fileno(), None)
            self._sock.close()
