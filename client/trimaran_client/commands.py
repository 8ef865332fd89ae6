"""What the client says: one record for every frame of the protocol, and their encoder."""

from math import inf
from typing import Any, Final

import msgspec

from trimaran_client.errors import Rejected


class Hello(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="hello", tag_field="type"):
    """The first frame."""

    token: str
    since: str | None = None
    replay: int | None = None
    replay_each: int | None = None


class Renew(msgspec.Struct, frozen=True, tag="renew", tag_field="type"):
    """A new access token for the live connection."""

    id: int
    token: str


class Send(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="send", tag_field="type"):
    """A message; `conversation` or `to`."""

    id: int
    client_id: str
    conversation: str | None = None
    to: str | None = None
    kind: str = "text"
    body: msgspec.Raw = msgspec.Raw(b"{}")
    ref: int | None = None
    retry: bool = False


class MarkCommand(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="mark", tag_field="type"):
    """How far this device was given, and its user has read, a conversation."""

    conversation: str
    delivered: int | None = None
    read: int | None = None


class Pull(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="pull", tag_field="type"):
    """Asks for a page."""

    id: int
    conversation: str
    after: int | None = None
    before: int | None = None
    limit: int | None = None


class TypingCommand(msgspec.Struct, frozen=True, tag="typing", tag_field="type"):
    """This user writes."""

    conversation: str
    on: bool


class Watch(msgspec.Struct, frozen=True, tag="watch", tag_field="type"):
    """Whose presence is wanted; replaces the earlier list."""

    users: tuple[str, ...]


class Ping(msgspec.Struct, frozen=True, tag="ping", tag_field="type"):
    """Asks for a sign of life."""

    id: int


class Bye(msgspec.Struct, frozen=True, tag="bye", tag_field="type"):
    """This device goes, and does not come back soon."""


Command = Hello | Renew | Send | MarkCommand | Pull | TypingCommand | Watch | Ping | Bye

_encoder: Final = msgspec.json.Encoder()


def encode(command: Command) -> str:
    """The text frame."""
    return _encoder.encode(command).decode()


def encode_body(body: dict[str, Any], bytes_max: float = inf) -> bytes:
    """The bytes of a body. They are made once and sent unchanged in every retry, since the server compares them.

    Raises:
        Rejected: `bad_request` where it is no JSON, `too_large` where it has more than `bytes_max`.
    """
    try:
        data = _encoder.encode(body)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise Rejected("bad_request", f"not JSON: {error}", field="body") from error
    if len(data) > bytes_max:
        raise Rejected("too_large", f"{len(data)} bytes, at most {bytes_max:g}", field="body")
    return data
