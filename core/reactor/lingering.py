"""The end of a socket: what was sent must be seen by the peer before the socket goes.

Closing a socket with unread input makes the kernel send a reset, and a reset throws away what the peer has not read yet: the very Close
frame or error that says why. So the sending half is closed, the rest of the input is read and dropped, and the socket goes when the peer
has closed its half, or after CLOSE_LINGER_S (RFC 6455, section 7.1.1; RFC 9112, section 9.6).
"""

import contextlib
import socket

from core.base.limits import LINGERING_MAX, READ_BUFFER_BYTES
from core.reactor.poller import READ
from core.reactor.shared import Shared


class Lingering:
    """A socket that has said its last word."""

    __slots__ = ("_shared", "_sock")

    def __init__(self, sock: socket.socket, shared: Shared) -> None:
        self._sock = sock
        self._shared = shared

    def on_ready(self, mask: int) -> None:
        """Drop what came; go when nothing more can."""
        try:
            if self._sock.recv(READ_BUFFER_BYTES):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self.abort()

    def fail(self, where: str, error: Exception) -> None:
        """A bug of ours; the socket is over anyway."""
        self._shared.report(where, error)
        self.abort()

    def abort(self) -> None:
        """Close the socket."""
        descriptor = self._sock.fileno()
        if descriptor >= 0:
            del self._shared.handlers[descriptor]
            self._shared.lingering.pop(self, None)
            self._sock.close()


def linger(sock: socket.socket, shared: Shared) -> None:
    """End a registered socket, all of whose output the kernel has, as politely as there is room for."""
    lingering = Lingering(sock, shared)
    shared.handlers[sock.fileno()] = lingering
    with contextlib.suppress(OSError):  # the peer may be gone already
        sock.shutdown(socket.SHUT_WR)
        if len(shared.lingering) < LINGERING_MAX:
            shared.lingering[lingering] = shared.now_s
            shared.poller.modify(sock, READ)
            return
    lingering.abort()
