"""The server's half of a WebSocket connection, sans I/O (RFC 6455): bytes in, events out.

`WebSocket` owns the framing: masks, fragments, UTF-8, limits, and the close code of whatever the peer does wrong. It writes nothing and
closes nothing; whoever owns the socket answers the events with the frames of `core/protocol/frames.py`. However the bytes are split over
the calls, the events are the same. Nothing is allocated for what a header declares, only for what has arrived, and nothing is kept between
calls unless a frame or a message is incomplete.

Two paths: a whole, unfragmented, short enough text frame - nearly every frame there is - is handled where it lies in the input
(`_whole_texts`); everything else goes through `_Incomplete`, byte range by byte range. That the two agree is held by a property test.
Unmasking is most of what a frame costs: as one XOR of two numbers 0.7 us for 118 bytes on CPython 3.11, three quarters of what a repeated
mask takes.
"""

import codecs
from typing import Final, NamedTuple

from core.base.errors import Close, ProtocolViolation
from core.base.limits import FRAGMENT_BYTES_MEAN, FRAGMENTS_SPARE

# Section 5.2: opcodes.
_CONTINUATION: Final = 0x0
_TEXT: Final = 0x1
_BINARY: Final = 0x2
_CLOSE: Final = 0x8
_PING: Final = 0x9
_PONG: Final = 0xA

_FIN: Final = 0x80
_RESERVED: Final = 0x70
_MASKED: Final = 0x80
_IS_CONTROL: Final = 0x08
_WHOLE_TEXT: Final = _FIN | _TEXT


class Binary(NamedTuple):
    """A complete binary message; comes only out of a `WebSocket` that takes them."""

    payload: bytes


class Ping(NamedTuple):
    """To be answered by a Pong with the same payload."""

    payload: bytes


class Pong(NamedTuple):
    """The answer to a Ping, or an unasked sign of life."""

    payload: bytes


class CloseReceived(NamedTuple):
    """The peer's Close frame; no event follows. `code` is 1005 where the frame had none."""

    code: int
    reason: str


Event = bytes | Binary | Ping | Pong | CloseReceived | ProtocolViolation
"""`bytes` is the payload of a complete text message, valid UTF-8. A `ProtocolViolation` is an event too, and the last one: what came
before it in the same input is still good."""


class WebSocket:
    """What is known of one connection's input. Feed it by `receive`; after a Close or a violation it ignores all that follows."""

    __slots__ = ("_incomplete", "_is_binary_taken", "_message_bytes_max", "is_ended")

    def __init__(self, message_bytes_max: int, *, is_binary_taken: bool = False) -> None:
        self._message_bytes_max = message_bytes_max
        self._is_binary_taken = is_binary_taken
        self._incomplete: _Incomplete | None = None
        self.is_ended = False

    def receive(self, data: bytes) -> list[Event]:
        """Take the next bytes of the stream and return what they complete, in order. Raises nothing about what a peer sent."""
        events: list[Event] = []
        if self.is_ended:
            return events
        at = 0
        try:
            while True:
                incomplete = self._incomplete
                if incomplete is None:
                    at = self._whole_texts(data, at, events)
                    if at == len(data):
                        return events
                    incomplete = self._incomplete = _Incomplete(self._message_bytes_max, self._is_binary_taken)
                at = incomplete.take(data, at, events)
                if not incomplete.is_idle:
                    return events
                self._incomplete = None
        except ProtocolViolation as violation:
            events.append(violation)
        except _Closed:
            pass
        self.is_ended = True
        self._incomplete = None
        return events

    def _whole_texts(self, data: bytes, at: int, events: list[Event]) -> int:
        """Append the whole, unfragmented text frames from `at` on; return where something else begins, or the end.

        The hot loop of the protocol. It only ever declines a frame: whatever is not plainly good is left to `_Incomplete` to judge.
        """
        size = len(data)
        bytes_max = self._message_bytes_max
        from_bytes = int.from_bytes
        append = events.append
        while size - at >= 6 and data[at] == _WHOLE_TEXT:
            length = data[at + 1] - _MASKED
            if 0 <= length < 126:
                stop = at + 6 + length
                if stop > size or length > bytes_max:
                    break
                # The mask and the payload as one number; the mask times 1 + 2^32 + 2^64 + ... repeats it (section 5.3).
                masked = from_bytes(data[at + 2 : stop], "little")
                plain = masked ^ (masked & 0xFFFF_FFFF) * _REPEAT[length]
                payload = plain.to_bytes(length + 8, "little")[4 : 4 + length]
            elif length == 126 and size - at >= 8:
                # Section 5.2 asks for the shortest form of a length, and no more of the receiver than to read it.
                length = data[at + 2] << 8 | data[at + 3]
                stop = at + 8 + length
                if stop > size or length > bytes_max:
                    break
                payload = _unmask(data[at + 8 : stop], data[at + 4 : at + 8])
            else:
                break
            if not payload.isascii() and not _is_utf8(payload):
                break
            append(payload)
            at = stop
        return at


class _Closed(Exception):
    """A Close frame was taken: leave the loops."""


class _Incomplete:
    """A frame that is not whole yet, or a message whose last fragment has not come: the slow path, which knows all of the protocol.

    Between frames of a fragmented message it stays (control frames may come in between, section 5.4); otherwise it is dropped as soon as it
    `is_idle`.
    """

    __slots__ = (
        "_control",
        "_decoder",
        "_fragments_left",
        "_header",
        "_is_binary_taken",
        "_is_final",
        "_left",
        "_mask",
        "_message",
        "_message_bytes_max",
        "_message_opcode",
        "_opcode",
    )

    def __init__(self, message_bytes_max: int, is_binary_taken: bool) -> None:
        self._message_bytes_max = message_bytes_max
        self._is_binary_taken = is_binary_taken
        self._header = b""  # the bytes of a header that is not whole; empty within a payload
        self._left = -1  # bytes of the payload still to come; -1: within a header
        self._opcode = 0
        self._is_final = False
        self._mask = b""  # turned so that it begins with the next byte of the payload
        self._control = b""
        self._message = bytearray()
        self._message_opcode = 0  # 0: between messages
        self._decoder: codecs.IncrementalDecoder | None = None
        self._fragments_left = 0

    @property
    def is_idle(self) -> bool:
        """Between two messages and two frames: nothing here needs to be kept."""
        return self._left < 0 and not self._header and not self._message_opcode

    def take(self, data: bytes, at: int, events: list[Event]) -> int:
        """Take from `data` until it is used up or nothing is incomplete; return how far that was.

        Raises: ProtocolViolation; _Closed after a Close frame.
        """
        size = len(data)
        while True:
            if self._left < 0:
                at = self._take_header(data, at)
                if self._left < 0:  # the header is not whole, so the input is used up
                    return at
            stop = min(size, at + self._left)
            self._take_payload(data[at:stop])
            at = stop
            if self._left > 0:
                return at
            self._left = -1
            self._end_frame(events)
            if at == size or not self._message_opcode:
                return at

    def _take_header(self, data: bytes, at: int) -> int:
        """Complete the header, byte by byte's worth of knowledge: a violation is seen with the byte that shows it."""
        header = self._header
        taken = len(header)
        header += data[at : at + 14 - taken]
        if len(header) >= 1:
            self._check_first_byte(header[0])
        if len(header) < 2:
            self._header = header
            return len(data)
        # Section 5.1: a server must close the connection upon a frame that is not masked.
        if not header[1] & _MASKED:
            raise ProtocolViolation(Close.PROTOCOL_ERROR, "frames from a client must be masked")
        length = header[1] & 0x7F
        opcode = header[0] & 0x0F
        # Section 5.5: a control frame has at most 125 bytes of payload.
        if opcode & _IS_CONTROL and length > 125:
            raise ProtocolViolation(Close.PROTOCOL_ERROR, "control frames carry at most 125 bytes")
        length_bytes = 8 if length == 127 else 2 if length == 126 else 0
        if len(header) >= 2 + length_bytes:
            if length_bytes:
                length = int.from_bytes(header[2 : 2 + length_bytes], "big")
            self._check_length(opcode, length)
        size = 6 + length_bytes
        if len(header) < size:
            self._header = header
            return len(data)
        self._begin_frame(header[0], length, header[size - 4 : size])
        return at + size - taken

    def _check_first_byte(self, first: int) -> None:
        # Section 5.2: the reserved bits must be 0 unless an extension says otherwise, and none is ever negotiated.
        if first & _RESERVED:
            raise ProtocolViolation(Close.PROTOCOL_ERROR, "reserved bits are set")
        opcode = first & 0x0F
        if opcode & _IS_CONTROL:
            # Section 5.2: 0xB to 0xF are reserved. Section 5.5: control frames must not be fragmented.
            if opcode > _PONG:
                raise ProtocolViolation(Close.PROTOCOL_ERROR, "reserved opcode")
            if not first & _FIN:
                raise ProtocolViolation(Close.PROTOCOL_ERROR, "control frames must not be fragmented")
        elif opcode > _BINARY:  # section 5.2: 0x3 to 0x7 are reserved
            raise ProtocolViolation(Close.PROTOCOL_ERROR, "reserved opcode")
        elif opcode == _CONTINUATION:
            if not self._message_opcode:  # section 5.4: there is nothing to continue
                raise ProtocolViolation(Close.PROTOCOL_ERROR, "continuation without a message")
        elif self._message_opcode:  # section 5.4: fragments of two messages must not be interleaved
            raise ProtocolViolation(Close.PROTOCOL_ERROR, "a new message within a fragmented one")
        elif (
            opcode == _BINARY and not self._is_binary_taken
        ):  # section 7.4.1: 1003, an endpoint that understands only text
            raise ProtocolViolation(Close.UNSUPPORTED_DATA, "binary messages are not taken")

    def _check_length(self, opcode: int, length: int) -> None:
        # Section 5.2: the most significant bit of a 64-bit length must be 0.
        if length >> 63:
            raise ProtocolViolation(Close.PROTOCOL_ERROR, "length of a frame above 2^63")
        # Section 10.4: limits on frames and on messages after reassembly; section 7.4.1: 1009. Seen before a byte is kept.
        if not opcode & _IS_CONTROL and len(self._message) + length > self._message_bytes_max:
            raise ProtocolViolation(Close.TOO_BIG, f"messages have at most {self._message_bytes_max} bytes")

    def _begin_frame(self, first: int, length: int, mask: bytes) -> None:
        self._header = b""
        self._opcode = opcode = first & 0x0F
        self._is_final = first & _FIN != 0
        self._left = length
        self._mask = mask
        if opcode in (_TEXT, _BINARY):
            self._message_opcode = opcode
            self._fragments_left = FRAGMENTS_SPARE + self._message_bytes_max // FRAGMENT_BYTES_MEAN
            if opcode == _TEXT:
                self._decoder = codecs.getincrementaldecoder("utf-8")()
        elif opcode == _CONTINUATION:
            # The sum of the payloads bounds memory, but empty fragments would cost time for ever (section 10.4 lets us refuse).
            self._fragments_left -= 1
            if self._fragments_left < 0:
                raise ProtocolViolation(Close.POLICY_VIOLATION, "too many fragments")

    def _take_payload(self, part: bytes) -> None:
        if not part:
            return
        part_size = len(part)
        self._left -= part_size
        mask = self._mask
        part = _unmask(part, mask)
        turn = part_size & 3
        self._mask = mask[turn:] + mask[:turn]
        if self._opcode & _IS_CONTROL:
            self._control += part
            return
        self._check_text(part, is_end=False)
        self._message += part

    def _check_text(self, part: bytes, *, is_end: bool) -> None:
        # Section 8.1: bad UTF-8 fails the connection; seen at once, also within a frame and across fragments.
        if self._decoder is not None:
            try:
                self._decoder.decode(part, is_end)
            except UnicodeDecodeError:
                raise ProtocolViolation(Close.INVALID_DATA, "text is not UTF-8") from None

    def _end_frame(self, events: list[Event]) -> None:
        opcode = self._opcode
        if opcode & _IS_CONTROL:
            payload, self._control = self._control, b""
            if opcode == _PING:
                events.append(Ping(payload))
            elif opcode == _PONG:
                events.append(Pong(payload))
            else:
                events.append(_parse_close(payload))
                raise _Closed
            return
        if self._is_final:
            self._check_text(b"", is_end=True)
            message = bytes(self._message)
            events.append(message if self._message_opcode == _TEXT else Binary(message))
            self._message = bytearray()
            self._message_opcode = 0
            self._decoder = None


def _parse_close(payload: bytes) -> CloseReceived:
    if not payload:  # section 7.1.5: no code was given
        return CloseReceived(Close.NO_STATUS, "")
    if len(payload) == 1:  # section 5.5.1: a body begins with a code of two bytes
        raise ProtocolViolation(Close.PROTOCOL_ERROR, "a Close frame with half a code")
    code = int.from_bytes(payload[:2], "big")
    # Section 7.4.1 (1004-1006 and 1015 are never sent), the IANA registry (1012-1014), section 7.4.2 (3000-4999 are free to use).
    if not (1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999):
        raise ProtocolViolation(Close.PROTOCOL_ERROR, "a close code that must not be sent")
    try:
        return CloseReceived(code, payload[2:].decode())
    except UnicodeDecodeError:  # section 5.5.1: the reason is UTF-8; section 8.1
        raise ProtocolViolation(Close.INVALID_DATA, "a close reason that is not UTF-8") from None


_REPEAT: Final = tuple(int.from_bytes(b"\1\0\0\0" * ((length + 7) // 4), "little") for length in range(126))
"""By payload length: the factor that repeats a mask over itself and the payload."""


def _unmask(payload: bytes, mask: bytes) -> bytes:
    """Section 5.3, as one XOR of two numbers."""
    size = len(payload)
    repeated = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "little") ^ int.from_bytes(repeated, "little")).to_bytes(size, "little")


def _is_utf8(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True
