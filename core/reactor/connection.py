"""An open WebSocket: its socket, read and flushed without ever waiting, and its orderly end.

A frame's way through here is the hot path of the system: `on_ready` reads once and gives each message to the application, `flush` sends all
that is queued by one call, and both do everything else (partial sends, slow readers, control frames, closing) elsewhere. What a loopback
send costs, 5-7 us, dwarfs the rest, so the number of sends is what is saved.

Closing. `outbox.close` is how anybody ends a connection. The next flush tells the application (`on_closed`, once), queues the Close frame
behind what is queued already, and sends. When the peer's Close is in as well, or can never come (a violation), the socket lingers
(`lingering.py`); a peer that does not answer is cut off after CLOSE_LINGER_S.
"""

import contextlib
import socket
from typing import Any, Final

from core.base.errors import Close, ProtocolViolation
from core.base.limits import CONTROL_FRAMES_PER_S, READ_BUFFER_BYTES, SEND_BYTES_MAX
from core.protocol.frames import close_frame, ping_frame, pong_frame
from core.protocol.handshake import Accepted
from core.protocol.websocket import Binary, CloseReceived, Event, Ping, Pong, WebSocket
from core.reactor.lingering import linger
from core.reactor.poller import READ, WRITE
from core.reactor.shared import Shared
from core.router.outbox import Closing, Outbox

_PING: Final = ping_frame()


class Connection:
    """One socket after its 101. Small while idle: a hundred thousand of them are the normal case."""

    __slots__ = (
        "_control_frames",
        "_control_second",
        "_heard_s",
        "_interest",
        "_is_close_queued",
        "_is_closed_told",
        "_is_input_over",
        "_is_paused",
        "_is_rest_partial",
        "_session",
        "_shared",
        "_sock",
        "_was_above_high",
        "_websocket",
        "outbox",
    )

    def __init__(self, sock: socket.socket, shared: Shared) -> None:
        self._sock: socket.socket | None = sock  # None: gone, or lingering under another name
        self._shared: Final = shared
        self._websocket: Final = WebSocket(shared.limits.frame_bytes, is_binary_taken=shared.on_binary is not None)
        self.outbox: Final = Outbox(shared.dirty, shared.limits.outbox_bytes, self)
        self._session: Any = None
        self._heard_s = shared.now_s
        self._interest = READ
        self._control_second = 0
        self._control_frames = 0
        self._is_paused = False  # not read, since the peer does not read
        self._is_rest_partial = False  # the first chunk is the rest of a frame whose beginning is sent
        self._was_above_high = False
        self._is_close_queued = False
        self._is_closed_told = True  # until there is a session that could be told
        self._is_input_over = False  # the peer's Close is in, or nothing it sends can be understood any more

    # ---- input

    def open(self, accepted: Accepted, response: bytes, data: bytes) -> None:
        """Queue the 101, introduce the session to the application, and take what was read behind the request head."""
        shared = self._shared
        shared.connections += 1
        shared.heartbeats.add(shared.now_s + shared.limits.heartbeat_s, self)
        self.outbox.push(response)
        self._session = shared.application.on_open(accepted, self.outbox)
        self._is_closed_told = False
        if data:
            self._take(data)

    def on_ready(self, mask: int) -> None:
        """Read once if there is input, an error or the end; flush if the socket takes output again."""
        if mask & WRITE:
            self.flush()
        if mask == WRITE or self._sock is None:
            return
        if self.outbox.size > self.outbox.high_bytes and self.outbox.closing is None and not self._is_paused:
            self._after_progress()  # what was pushed while the socket was blocked made it too much: stop reading
            return
        # A plain recv and not recv_into a shared buffer: measured 0.3 us cheaper, since the bytes are needed as an object anyway.
        try:
            data = self._sock.recv(READ_BUFFER_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._take(data)
        else:
            self._gone(Close.ABNORMAL)

    def _take(self, data: bytes) -> None:
        shared = self._shared
        self._heard_s = shared.now_s
        counts = shared.counts
        counts.reads += 1
        counts.bytes_in += len(data)
        outbox = self.outbox
        session = self._session
        on_text = shared.application.on_text
        for event in self._websocket.receive(data):
            if type(event) is not bytes:
                self._on_other(event)
            elif outbox.closing is None:
                on_text(session, event)

    def _on_other(self, event: Event) -> None:
        outbox = self.outbox
        if isinstance(event, Ping):
            # Above the high mark pongs are dropped too: a peer that does not read does not miss them.
            if self._is_control_allowed() and not outbox.is_above_high:
                outbox.push(pong_frame(event.payload))  # RFC 6455, section 5.5.3
        elif isinstance(event, Pong):
            self._is_control_allowed()
        elif isinstance(event, CloseReceived):
            self._is_input_over = True
            outbox.close(event.code)  # RFC 6455, section 5.5.1: the answer typically echoes the code
            if self._is_close_queued and not outbox.size:  # this one is the answer to ours
                self._linger()
        elif isinstance(event, ProtocolViolation):
            self._is_input_over = True
            outbox.close(event.close_code, event.reason)
        elif isinstance(event, Binary) and outbox.closing is None:
            assert self._shared.on_binary is not None
            self._shared.on_binary(self._session, event.payload)

    def _is_control_allowed(self) -> bool:
        """Count a Ping or Pong; too many within a second are abuse."""
        second = int(self._shared.now_s)
        if second != self._control_second:
            self._control_second = second
            self._control_frames = 0
        self._control_frames += 1
        if self._control_frames <= CONTROL_FRAMES_PER_S:
            return True
        self.outbox.close(Close.ABUSE, "too many control frames")
        return False

    # ---- output

    def flush(self) -> None:
        """Send what is queued, by one send; what the socket does not take waits until it does."""
        sock = self._sock
        if sock is None:
            return
        outbox = self.outbox
        if outbox.closing is not None and not self._is_close_queued:
            self._queue_close()
        chunks = outbox.chunks
        size = outbox.size
        if not size:
            outbox.is_dirty = False
            return
        if size > outbox.high_bytes:
            self._was_above_high = True
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks) if size <= SEND_BYTES_MAX else _first_chunks(chunks)
        try:
            sent = sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._gone(Close.ABNORMAL)
            return
        counts = self._shared.counts
        counts.sends += 1
        counts.bytes_out += sent
        if sent == size:
            chunks.clear()
            outbox.size = 0
            outbox.is_dirty = False
            # Four things of which, after nearly every send, there is none.
            if outbox.closing or self._was_above_high or outbox.wants_drain or self._interest != READ:
                self._after_progress()
        else:
            self._keep_rest(sent, is_blocked=sent < len(data))

    def _keep_rest(self, sent: int, is_blocked: bool) -> None:
        """Drop the frames that are sent whole, keep the rest of the one that is not; wait for the socket, or the next turn."""
        outbox, shared = self.outbox, self._shared
        chunks = outbox.chunks
        outbox.size -= sent
        whole = 0
        left = sent
        while left and left >= len(chunks[whole]):
            left -= len(chunks[whole])
            whole += 1
        del chunks[:whole]
        if left:
            chunks[0] = memoryview(chunks[0])[left:]
        if whole or left:
            self._is_rest_partial = left > 0
        if is_blocked:
            if sent or self not in shared.blocked:
                shared.counts.blocks += self not in shared.blocked
                shared.blocked.pop(self, None)  # to the end: it waits since now
                shared.blocked[self] = shared.now_s
        else:
            shared.blocked.pop(self, None)
            shared.dirty.append(outbox)
        self._after_progress()

    def _after_progress(self) -> None:
        """Bring everything that depends on how much is queued up to date."""
        outbox, shared = self.outbox, self._shared
        if not outbox.size:
            shared.blocked.pop(self, None)
            self._is_rest_partial = False
        is_low = outbox.size <= outbox.low_bytes
        if self._is_paused and (is_low or outbox.closing is not None):
            self._is_paused = False
            self._heard_s = shared.now_s  # its silence was ours
        elif outbox.size > outbox.high_bytes and outbox.closing is None:
            self._is_paused = True
        self._watch((0 if self._is_paused else READ) | (WRITE if self in shared.blocked else 0))
        if outbox.closing is not None:
            if not outbox.size and self._is_input_over:
                self._linger()
        elif is_low and (self._was_above_high or outbox.wants_drain):
            self._was_above_high = False
            shared.application.on_drained(self._session)

    def _watch(self, interest: int) -> None:
        if interest != self._interest:
            self._interest = interest
            assert self._sock is not None
            self._shared.poller.modify(self._sock, interest)

    # ---- time

    def on_heartbeat(self, now_s: float) -> None:
        """Due to be looked at: a silent peer is pinged, a peer silent for twice as long is given up."""
        if self._sock is None or self.outbox.closing is not None:
            return
        heartbeat_s = self._shared.limits.heartbeat_s
        if self in self._shared.blocked:  # it cannot hear us, and that has a deadline of its own
            self._heard_s = now_s
        silent_s = now_s - self._heard_s
        if silent_s >= 2 * heartbeat_s:
            self.outbox.close(Close.HEARTBEAT_MISSED, "heartbeat missed")
            return
        if silent_s >= heartbeat_s:
            self.outbox.push(_PING)
            next_s = self._heard_s + 2 * heartbeat_s
        else:
            next_s = self._heard_s + heartbeat_s
        self._shared.heartbeats.add(next_s, self)

    def on_stuck(self) -> None:
        """The peer took nothing for too long: drop what is queued, but not the rest of a frame that it has the beginning of."""
        outbox = self.outbox
        if outbox.closing is None:
            del outbox.chunks[1 if self._is_rest_partial else 0 :]
            outbox.size = sum(map(len, outbox.chunks))
            outbox.close(Close.OUTBOX_STUCK, "outbox stuck")
        self._shared.blocked.pop(self, None)

    # ---- the end

    def fail(self, where: str, error: Exception) -> None:
        """An exception came out of the application, or of here: report it, and end this connection."""
        self._shared.report(where, error)
        if self.outbox.closing is None:
            self.outbox.close(Close.INTERNAL, "internal error")
        elif self._is_close_queued:
            self.abort()

    def _queue_close(self) -> None:
        outbox, shared = self.outbox, self._shared
        assert outbox.closing is not None
        self._is_close_queued = True
        shared.closing[self] = shared.now_s
        frame = close_frame(*outbox.closing)
        outbox.chunks.append(frame)
        outbox.size += len(frame)
        self._tell_closed(outbox.closing.code)

    def _tell_closed(self, code: int) -> None:
        if self._is_closed_told:
            return
        self._is_closed_told = True
        session, self._session = self._session, None
        try:
            self._shared.application.on_closed(session, code)
        except Exception as error:  # noqa: BLE001  (an end is carried through, whatever the application says to it)
            self._shared.report("on_closed", error)

    def _linger(self) -> None:
        """Both Close frames are through: let the peer see ours, then close."""
        sock = self._forget()
        if sock is not None:
            linger(sock, self._shared)

    def _gone(self, code: int) -> None:
        """The socket is of no more use: close it, and tell the application if it does not know."""
        sock = self._forget()
        if sock is not None:
            del self._shared.handlers[sock.fileno()]
            sock.close()
            self._tell_closed(code)

    def _forget(self) -> socket.socket | None:
        """Part from the socket and from all the tables, and break the cycle with the outbox."""
        sock, self._sock = self._sock, None
        if sock is not None:
            shared, outbox = self._shared, self.outbox
            shared.connections -= 1
            shared.blocked.pop(self, None)
            shared.closing.pop(self, None)
            if outbox.closing is None:  # who still holds it must not fill it any more
                outbox.closing = Closing(Close.ABNORMAL, "")
            outbox.owner = None
            outbox.chunks.clear()
            outbox.size = 0
        return sock

    def abort(self) -> None:
        """End at once, with what a single send can still do: at shutdown, and for a peer that does not answer our Close."""
        if self._sock is not None and not self._is_close_queued and not self._is_rest_partial:
            with contextlib.suppress(OSError):
                self._sock.send(close_frame(Close.GOING_AWAY))
        self._gone(Close.GOING_AWAY)


def _first_chunks(chunks: list[bytes | memoryview]) -> bytes | memoryview:
    """As many as fit into one send, one at least."""
    size = count = 0
    for chunk in chunks:
        size += len(chunk)
        if size > SEND_BYTES_MAX and count:
            break
        count += 1
    return chunks[0] if count == 1 else b"".join(chunks[:count])
