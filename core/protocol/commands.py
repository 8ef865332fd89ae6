"""Frames from clients: JSON text in, typed commands out. The body of a `send` stays the client's bytes.

One decoder validates all of a frame in one pass. What it refuses becomes `Rejected("bad_request")` that names the field and what was
expected; the `id` and `client_id` are then found by a second, lenient look, so that the error can repeat them.
"""

from collections.abc import Callable
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Raw, Struct

from core.base.errors import Rejected
from core.base.limits import FRAME_ID_CHARS_MAX, PULL_LIMIT, PULL_LIMIT_MAX, REPLAY_EACH_LIMIT, REPLAY_LIMIT
from core.base.records import Kind

FrameId = Annotated[int, Meta(ge=-(2**53), le=2**53)] | Annotated[str, Meta(max_length=FRAME_ID_CHARS_MAX)] | None
Seq = Annotated[int, Meta(ge=1, le=2**53)]
Bound = Annotated[int, Meta(ge=0, le=2**53)]
Uuid = Annotated[str, Meta(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")]
ClientKind = Annotated[str, Meta(pattern=r"^(text|edit|delete|reaction)\Z")]


_MESSAGE_CHARS_MAX: Final = 200  # it may quote what the client wrote

NO_BODY: Final = Raw()
"""Where a `send` has none; no JSON is empty."""


class Command(Struct, frozen=True, tag_field="type", gc=False):
    """What all frames from clients may have."""

    id: FrameId = None


class Hello(Command, frozen=True, tag="hello", gc=False):
    """The first frame."""

    token: str | None = None  # who verifies it bounds it
    device: str | None = None
    since: str | None = None
    replay: Bound = REPLAY_LIMIT
    replay_each: Bound = REPLAY_EACH_LIMIT


class Renew(Command, frozen=True, tag="renew", gc=False, kw_only=True):
    """A newer token for the same user and device."""

    token: str


class SendCommand(Command, frozen=True, tag="send", gc=False, kw_only=True):
    """An entry to append."""

    client_id: Uuid
    conversation: str | None = None
    to: Uuid | None = None
    kind: ClientKind = "text"
    body: Raw = NO_BODY
    ref: Bound = 0
    retry: bool = False


class MarkCommand(Command, frozen=True, tag="mark", gc=False, kw_only=True):
    """Watermarks of this device and its user."""

    conversation: str
    delivered: Seq | None = None
    read: Seq | None = None


class Pull(Command, frozen=True, tag="pull", gc=False, kw_only=True):
    """A page, please."""

    conversation: str
    after: Bound | None = None
    before: Seq | None = None
    limit: Annotated[int, Meta(ge=1, le=PULL_LIMIT_MAX)] = PULL_LIMIT


class Typing(Command, frozen=True, tag="typing", gc=False, kw_only=True):
    """The user is writing, or has stopped."""

    conversation: str
    on: bool


class Watch(Command, frozen=True, tag="watch", gc=False, kw_only=True):
    """Whose presence to tell; replaces the earlier list."""

    users: list[Uuid]


class Ping(Command, frozen=True, tag="ping", gc=False):
    """Are you there?"""


class Bye(Command, frozen=True, tag="bye", gc=False):
    """The user leaves on purpose."""


AnyCommand = Hello | Renew | SendCommand | MarkCommand | Pull | Typing | Watch | Ping | Bye


class Named(Struct):
    """What an error repeats of a frame that is not understood, and what it was meant to be."""

    id: FrameId = None
    client_id: Annotated[str, Meta(max_length=FRAME_ID_CHARS_MAX)] | None = None
    type: str = ""


_decode: Final[Callable[[bytes], AnyCommand]] = msgspec.json.Decoder(AnyCommand).decode
_decode_named: Final = msgspec.json.Decoder(Named).decode
KINDS: Final[dict[str, Kind]] = {"text": "text", "edit": "edit", "delete": "delete", "reaction": "reaction"}


def decode(payload: bytes) -> AnyCommand:
    """The command in a text frame.

    Raises: Rejected (bad_request).
    """
    try:
        return _decode(payload)
    except msgspec.ValidationError as error:
        expected, _, path = str(error).partition(" - at `$")
        field = path.strip("`.") or None
        if field is None and "missing required field" in expected:
            field = expected.rpartition("field ")[2].strip("`")
        raise Rejected("bad_request", expected[:_MESSAGE_CHARS_MAX], field=field) from None
    except (ValueError, RecursionError):
        raise Rejected("bad_request", "a frame must be one well-formed JSON object") from None


def named(payload: bytes) -> Named:
    """The `id` and `client_id` of a frame that `decode` refused, as far as they can be found."""
    try:
        return _decode_named(payload)
    except (ValueError, RecursionError):
        return Named()
