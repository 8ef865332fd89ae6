"""Server frames of RFC 6455, section 5.2: payload in, bytes out.

A server's frames are unmasked (section 5.1), so the bytes of a frame depend on its payload alone and can go to any
number of connections: what a room is told is encoded once. Extensions are never negotiated and frames never fragmented:
FIN is set, the reserved bits are not.
"""

from typing import Final

from core.base.errors import Close

# Section 5.2: FIN and the opcode.
_TEXT: Final = 0x81
_CLOSE: Final = 0x88
_PING: Final = 0x89
_PONG: Final = 0x8A

CONTROL_BYTES_MAX: Final = 125
"""Payload of a control frame (section 5.5); of a Close frame two of them are the code."""

_SHORT_TEXT: Final = tuple(bytes((_TEXT, size)) for size in range(126))
"""The headers of all text frames up to 125 bytes, which are most."""


def text_frame(payload: bytes) -> bytes:
    """A whole text message; `payload` must be UTF-8, which is the caller's promise and not looked at."""
    size = len(payload)
    if size < 126:
        return _SHORT_TEXT[size] + payload
    if size < 0x1_0000:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload


def ping_frame(payload: bytes = b"") -> bytes:
    """A Ping (section 5.5.2) of at most CONTROL_BYTES_MAX."""
    assert len(payload) <= CONTROL_BYTES_MAX, len(payload)
    return bytes((_PING, len(payload))) + payload


def pong_frame(payload: bytes) -> bytes:
    """The answer to a Ping, which must carry the Ping's payload (section 5.5.3)."""
    assert len(payload) <= CONTROL_BYTES_MAX, len(payload)
    return bytes((_PONG, len(payload))) + payload


def close_frame(code: int, reason: str = "") -> bytes:
    """A Close frame (section 5.5.1); a reason that is too long is cut between two characters.

    Code 1005 means that there is none to tell (section 7.4.1): the frame is then empty.
    """
    if code == Close.NO_STATUS:
        return bytes((_CLOSE, 0))
    text = reason.encode()[: CONTROL_BYTES_MAX - 2]
    if len(text) == CONTROL_BYTES_MAX - 2:
        text = text.decode(errors="ignore").encode()
    return bytes((_CLOSE, 2 + len(text))) + code.to_bytes(2, "big") + text
