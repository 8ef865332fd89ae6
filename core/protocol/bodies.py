"""The one check of a body: an object whose known keys have the right types, at most 32 deep, without lone surrogates and NULs.

The bytes that pass are kept and sent on as they are; nothing re-encodes them. The usual body costs one typed decode; only one with
`\\u` escapes or many brackets is looked at in full. Where a key stands twice the last counts, here as for every reader of the JSON.
"""

from typing import Annotated, Final

import msgspec
from msgspec import Meta, Raw, Struct

from core.base.errors import Rejected
from core.base.limits import BODY_DEPTH_MAX
from core.base.records import EMPTY_BODY, Kind


class TextBody(Struct):
    """A text, or what an edit puts in its place; other keys are kept unread. `ciphertext` and `scheme`: an encrypted one."""

    text: str = ""
    media: list[str] = []
    mentions: list[str] = []
    ciphertext: str = ""
    scheme: str = ""


class ReactionBody(Struct):
    """A reaction that comes (`on`) or goes."""

    emoji: Annotated[str, Meta(min_length=1, max_length=64)]
    on: bool = True


class EmptyBody(Struct):
    """A deletion says nothing; other keys are kept unread."""


_DECODERS: Final[dict[str, msgspec.json.Decoder[TextBody | ReactionBody | EmptyBody]]] = {
    "text": msgspec.json.Decoder(TextBody),
    "edit": msgspec.json.Decoder(TextBody),
    "reaction": msgspec.json.Decoder(ReactionBody),
    "delete": msgspec.json.Decoder(EmptyBody),
}

_decode_any: Final = msgspec.json.Decoder(float_hook=str).decode  # numbers are compared as they are written


def check_body(kind: Kind, raw: Raw | bytes | None, bytes_max: int) -> bytes:
    """The bytes of a client's body, checked.

    None, or nothing at all (no body), is an empty object for a deletion and refused for the rest.
    Raises: Rejected (bad_request, too_large), naming the key at fault.
    """
    body = b"" if raw is None else bytes(raw)
    if not body:
        if kind == "delete":
            return EMPTY_BODY
        raise Rejected("bad_request", "body is missing: expected an object", field="body")
    if len(body) > bytes_max:
        raise Rejected("too_large", f"body has {len(body)} bytes, at most {bytes_max} are allowed", field="body")
    try:
        if not body.isascii():
            body.decode()
        _DECODERS[kind].decode(body)
        if b"\\u" in body or body.count(b"{") + body.count(b"[") > BODY_DEPTH_MAX:
            _look_through(_decode_any(body), 1)
    except msgspec.ValidationError as error:
        expected, _, path = str(error).partition(" - at `$.")
        raise Rejected("bad_request", f"body: {expected}", field=f"body.{path[:-1]}" if path else "body") from None
    except (ValueError, RecursionError):  # DecodeError and UnicodeDecodeError are ValueErrors
        raise Rejected("bad_request", "body must be well-formed JSON, at most 32 deep", field="body") from None
    return body


def same_body(one: bytes, other: bytes) -> bool:
    """Whether two checked bodies say the same: compared as bytes, then parsed."""
    if one == other:
        return True
    try:
        same: bool = _decode_any(one) == _decode_any(other)
    except (ValueError, RecursionError):  # a number beyond what can be parsed: only equal bytes are equal
        return False
    return same


def _look_through(value: object, depth: int) -> None:
    if isinstance(value, str):
        if "\0" in value:
            raise ValueError("NUL")
    elif isinstance(value, dict | list):
        if depth > BODY_DEPTH_MAX:
            raise RecursionError
        if isinstance(value, dict):
            for key in value:
                _look_through(key, depth)
            value = list(value.values())
        for item in value:
            _look_through(item, depth + 1)
