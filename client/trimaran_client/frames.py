"""What the server says: one record for every frame of the protocol, and their decoder.

Fields and types that are not known are ignored, as the protocol asks of every client. Fields that the server may leave
out have a default.
"""

from typing import Any, Final, get_args

import msgspec


class Edit(msgspec.Struct, frozen=True):
    """What a text shows instead of its own body; `seq` is that of the edit."""

    seq: int
    body: dict[str, Any] = {}
    time_ms: int = 0


class Reaction(msgspec.Struct, frozen=True):
    """How many users react to a text with one emoji, and whether this user does."""

    count: int = 0
    mine: bool = False


class Message(msgspec.Struct, frozen=True, kw_only=True, tag="message", tag_field="type"):
    """One entry of a conversation: a text, an edit, a deletion, a reaction, or one made by the server.

    `edited`, `deleted` and `reactions` are set on a text that came in a page. `as_of` is the seq up to which later
    entries are already worked into it: an edit, deletion or reaction changes this text only if its own seq is above.
    `is_own` says that this very user wrote it, on whichever device. The client sets these two itself, whatever came
    over the wire.
    """

    seq: int
    conversation: str = ""
    kind: str = "text"
    sender: str | None = None
    device: str | None = None
    client_id: str | None = None
    body: dict[str, Any] | None = None
    ref: int | None = None
    time_ms: int = 0
    edited: Edit | None = None
    deleted: bool = False
    reactions: dict[str, Reaction] | None = None
    as_of: int = 0
    is_own: bool = False

    @property
    def text(self) -> str:
        """What the entry says, the latest edit included; empty where it says nothing."""
        body = self.edited.body if self.edited is not None else self.body
        text = body.get("text") if body else None
        return text if isinstance(text, str) else ""


class Peer(msgspec.Struct, frozen=True):
    """The other one of a direct conversation, with how far it was given and has read."""

    user: str
    name: str = ""
    delivered: int = 0
    read: int = 0


class ConversationRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation as the server lists it; `delivered` is this device's cursor."""

    conversation: str
    first: int = 1
    head: int = 0
    delivered: int = 0
    read: int = 0
    unread: int = 0
    last: Message | None = None
    title: str | None = None
    role: str | None = None
    members: int = 0
    muted: bool | int | None = None
    peer: Peer | None = None


class Head(msgspec.Struct, frozen=True):
    """A conversation and the seq of its newest entry."""

    conversation: str
    head: int


class Mark(msgspec.Struct, frozen=True):
    """How far a user was given and has read a conversation; None where the server says nothing of it."""

    user: str
    delivered: int | None = None
    read: int | None = None


class Welcome(msgspec.Struct, frozen=True, kw_only=True, tag="welcome", tag_field="type"):
    """The answer to `hello`: who and where one is."""

    user: str
    device: str = ""
    session: str = ""
    node: str = ""
    heartbeat_s: float | None = None
    expires_ms: int | None = None
    time_ms: int = 0
    limits: dict[str, Any] = {}
    features: Any = None


class Renewed(msgspec.Struct, frozen=True, kw_only=True, tag="renewed", tag_field="type"):
    """The new token counts."""

    id: int | str | None = None
    expires_ms: int | None = None


class Conversations(msgspec.Struct, frozen=True, kw_only=True, tag="conversations", tag_field="type"):
    """Conversations that are new to this client or have changed."""

    conversations: list[ConversationRecord] = []


class Synced(msgspec.Struct, frozen=True, kw_only=True, tag="synced", tag_field="type"):
    """The replay is over; `pending` was not replayed to the end."""

    since: str | None = None
    pending: list[Head] = []


class Ack(msgspec.Struct, frozen=True, kw_only=True, tag="ack", tag_field="type"):
    """The message is durable at this seq; `duplicate` where an earlier transmission had made it so."""

    conversation: str
    seq: int
    id: int | str | None = None
    client_id: str | None = None
    time_ms: int = 0
    duplicate: bool = False


class Page(msgspec.Struct, frozen=True, kw_only=True, tag="page", tag_field="type"):
    """A range of a conversation, by rising seq; `skip` holds the ranges `[from, to]` that this reader may not see."""

    conversation: str = ""
    messages: list[Message] = []
    first: int = 1
    head: int = 0
    more: bool = False
    skip: list[tuple[int, int]] = []
    id: int | str | None = None


class Marks(msgspec.Struct, frozen=True, kw_only=True, tag="marks", tag_field="type"):
    """How far the named users are."""

    conversation: str
    marks: list[Mark] = []


class Typing(msgspec.Struct, frozen=True, kw_only=True, tag="typing", tag_field="type"):
    """Somebody writes; over after 6 s unless repeated."""

    conversation: str
    user: str
    on: bool = True


class Presence(msgspec.Struct, frozen=True, kw_only=True, tag="presence", tag_field="type"):
    """`state` is `online`, `offline` or `hidden`."""

    user: str
    state: str
    last_seen_ms: int | None = None


class Behind(msgspec.Struct, frozen=True, kw_only=True, tag="behind", tag_field="type"):
    """The client was too slow, and is to pull these."""

    conversations: list[Head] = []


class Notification(msgspec.Struct, frozen=True, kw_only=True, tag="notification", tag_field="type"):
    """A notification as REST lists it."""

    notification: dict[str, Any] = {}


class Moved(msgspec.Struct, frozen=True, kw_only=True, tag="moved", tag_field="type"):
    """Connect there first, then close this one."""

    url: str
    within_s: float = 10.0


class Pong(msgspec.Struct, frozen=True, kw_only=True, tag="pong", tag_field="type"):
    """The answer to `ping`."""

    id: int | str | None = None
    time_ms: int = 0


class ErrorFrame(msgspec.Struct, frozen=True, kw_only=True, tag="error", tag_field="type"):
    """A frame was refused, or none in particular."""

    code: str = "internal"
    message: str = ""
    id: int | str | None = None
    client_id: str | None = None
    field: str | None = None
    retry_after_s: float | None = None


ServerFrame = (
    Welcome
    | Renewed
    | Conversations
    | Message
    | Synced
    | Ack
    | Page
    | Marks
    | Typing
    | Presence
    | Behind
    | Notification
    | Moved
    | Pong
    | ErrorFrame
)


class _Typed(msgspec.Struct):
    type: str


_frame_decoder: Final[msgspec.json.Decoder[ServerFrame]] = msgspec.json.Decoder(ServerFrame)
_type_decoder: Final = msgspec.json.Decoder(_Typed)
_KNOWN: Final = frozenset(frame.__struct_config__.tag for frame in get_args(ServerFrame))


class BadFrame(ValueError):
    """A frame of a known type that is not as the protocol says, or no frame at all: the server misbehaves."""


def decode(data: str | bytes) -> ServerFrame | None:
    """The frame, or None for a type that this client does not know.

    Raises:
        BadFrame: not JSON, no type, or a field of a known type that is not as the protocol says.
    """
    try:
        return _frame_decoder.decode(data)
    except msgspec.DecodeError as error:
        try:
            kind = _type_decoder.decode(data).type
        except msgspec.DecodeError:
            raise BadFrame(str(error)) from error
        if kind in _KNOWN:
            raise BadFrame(f"{kind}: {error}") from error
        return None
