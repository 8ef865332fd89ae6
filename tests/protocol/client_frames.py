"""Frames as a client sends them: masked, and as wrong as a test wants them."""

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
MASK = b"\x37\xfa\x21\x3d"


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    reserved: int = 0,
    mask: bytes | None = MASK,
    declared: int | None = None,
    length_bytes: int | None = None,
) -> bytes:
    """One frame of RFC 6455, section 5.2.

    `declared` is the length that the header states, `length_bytes` (0, 2, 8) the form it is stated in; without a `mask` the frame is as a
    server's.
    """
    length = len(payload) if declared is None else declared
    if length_bytes is None:
        length_bytes = 0 if length < 126 else 2 if length < 1 << 16 else 8
    masked = 0x80 if mask is not None else 0
    short = {0: length, 2: 126, 8: 127}[length_bytes]
    header = bytes(((0x80 if fin else 0) | reserved | opcode, masked | short)) + length.to_bytes(8)[8 - length_bytes :]
    if mask is None:
        return header + payload
    return header + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


def text(payload: bytes | str, *, fin: bool = True) -> bytes:
    """A text frame."""
    return frame(TEXT, payload.encode() if isinstance(payload, str) else payload, fin=fin)


def more(payload: bytes | str, *, fin: bool) -> bytes:
    """A continuation frame."""
    return frame(0, payload.encode() if isinstance(payload, str) else payload, fin=fin)


def close(code: int | None = None, reason: bytes = b"") -> bytes:
    """A Close frame."""
    return frame(CLOSE, b"" if code is None else code.to_bytes(2) + reason)
