"""The history format: what clients and the harness around them write down, one event a line.

This page is the whole format; a client in any language can write it. A file is UTF-8, one JSON object a line ("JSON
lines"). Each object has a `type`, the time `at_s`, and the fields of that type; an unknown field or type is an error,
so that a typing mistake cannot hide an event. Fields with a default (in brackets below) may be left out. A history is
any number of files; `trimaran check FILE...` reads them together.

**Order.** The events of one device stand in the order in which they happened, in one file. Nothing else is ordered:
files may be given in any order. `at_s` are seconds (any zero, fractions allowed) of one monotonic clock shared by all
who record, as `CLOCK_MONOTONIC` is on one machine. It decides only the 5 s of I7 and the 2 s of I8.

**Completeness.** A history starts with an empty server and holds every send and mark of every client: an entry that
nobody recorded as sent counts as a phantom. `sent` and `marked` are written *before* the bytes leave, everything else
when it was received. After the last fault the harness writes `healed`, waits, writes `ended`, and reads every
conversation back with `final` true.

**Ids** are those of the protocol. A `conversation` is `d:<user>:<user>` or `g:<group>`; a send with `to` is recorded
under the conversation's id. A `connection` is a number that a device never uses twice; null stands for REST. A `body`
is a digest: any text that is equal exactly when two bodies are equal (`recorder.body_digest` makes one); null for an
empty body (`{}`), which is what a deletion leaves.

Events of a client have `user` and `device` and

    connected     `welcome` came: connection; fresh (false): the program kept no cursors of earlier connections
    listed        an item of a `conversations` frame: conversation, cursor (its `delivered`), head
    synced        `synced` came: connection
    disconnected  the connection is gone: connection, code (null)
    sent          before each transmission: connection, conversation, client_id, kind ("text"), body, ref (null),
                  retry (false)
    acked         `ack` came: connection, conversation, client_id, seq, duplicate (false)
    refused       `error` came for a send: connection, conversation, client_id, code
    applied       an entry was applied, however it came (pushed, pulled, or as the `ack` of an own send):
                  conversation, entry
    hidden        an entry of kind `hidden` was applied: conversation, seq
    skipped       a `skip` range of a page was applied: conversation, from_seq, to_seq
    gap           a push above cursor + 1 came, and a pull follows: conversation, seq
    marked        before a mark leaves: conversation, delivered (null), read (null)
    marks_seen    this device was shown marks, in a `marks` frame or a listed `peer`: conversation, of (whose they are),
                  delivered (null), read (null)
    read_back     entries of the log were read: conversation, after (0), head, more (false), final (false), entries,
                  skip ([]); user and device are null where the store itself was read, which may see everything

Events of the harness have

    group         a group was made or its policy changed; "shared" once is "shared" for ever, and "joined" is assumed
                  if nothing is written: conversation, history ("joined" or "shared")
    blocked       user blocked peer in a direct conversation: user, peer, conversation, on (true), head: a head seen
                  *after* the block was answered; with on false, one seen *before* its lifting was asked for
    crash         a process of the server was killed: node (null)
    healed        the last fault is over
    ended         the clients were left alone until here

An **entry** is an object: seq, sender (null where the server made it), client_id (null likewise), kind, body, ref
(null); of kind `member` also added ([]) and removed ([]), lists of user ids; where the store was read also
hidden_for, the users to whom it is hidden (null: not known).

A **read_back** tells of the seqs above `after` up to `head`, or, with `more`, up to the last one it names: each is in
entries or in a range [from, to] of skip. A long log takes several lines, each going on where the one before ended.
"""

from collections.abc import Iterable, Iterator
from typing import Annotated, BinaryIO, Literal, NamedTuple, TypeAlias, get_args

import msgspec
from msgspec import Meta

LINE_BYTES_MAX = 64 * 1024 * 1024
"""A longer line is refused rather than read: a `read_back` of a long log is split by `more`."""

SERVER_KINDS = frozenset({"member", "group"})
"""Kinds of entries that only the server makes; no client sent them."""

Seq: TypeAlias = Annotated[int, Meta(ge=1, le=2**63 - 1)]
Watermark: TypeAlias = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Name: TypeAlias = Annotated[str, Meta(min_length=1)]
ConversationName: TypeAlias = Annotated[str, Meta(pattern=r"^(d:[^:]+:[^:]+|g:.+)$")]


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One entry of a log, as its reader was shown it."""

    seq: Seq
    sender: Name | None
    client_id: Name | None
    kind: Name
    body: str | None
    ref: Seq | None = None
    added: tuple[Name, ...] = ()
    removed: tuple[Name, ...] = ()
    hidden_for: tuple[Name, ...] | None = None


class Record(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, tag_field="type"
):
    """What every event has."""

    at_s: float


class DeviceRecord(Record, frozen=True, kw_only=True):
    """What every event of a client has."""

    user: Name
    device: Name


class Connected(DeviceRecord, frozen=True, kw_only=True, tag="connected"):
    """`welcome` came."""

    connection: int
    fresh: bool = False


class Listed(DeviceRecord, frozen=True, kw_only=True, tag="listed"):
    """A `conversations` frame named this conversation, with this device's cursor as the server has it."""

    conversation: ConversationName
    cursor: Watermark
    head: Watermark


class Synced(DeviceRecord, frozen=True, kw_only=True, tag="synced"):
    """The replay of a connection is over."""

    connection: int


class Disconnected(DeviceRecord, frozen=True, kw_only=True, tag="disconnected"):
    """The connection is gone; `code` where a Close frame came."""

    connection: int
    code: int | None = None


class Sent(DeviceRecord, frozen=True, kw_only=True, tag="sent"):
    """One transmission is about to leave."""

    connection: int | None
    conversation: ConversationName
    client_id: Name
    kind: Name = "text"
    body: str | None
    ref: Seq | None = None
    retry: bool = False


class Acked(DeviceRecord, frozen=True, kw_only=True, tag="acked"):
    """The server promised this entry."""

    connection: int | None
    conversation: ConversationName
    client_id: Name
    seq: Seq
    duplicate: bool = False


class Refused(DeviceRecord, frozen=True, kw_only=True, tag="refused"):
    """The server answered a transmission with an error."""

    connection: int | None
    conversation: ConversationName
    client_id: Name
    code: Name


class Applied(DeviceRecord, frozen=True, kw_only=True, tag="applied"):
    """The device applied an entry that it may see."""

    conversation: ConversationName
    entry: Entry


class Hidden(DeviceRecord, frozen=True, kw_only=True, tag="hidden"):
    """The device applied an entry that it may not see."""

    conversation: ConversationName
    seq: Seq


class Skipped(DeviceRecord, frozen=True, kw_only=True, tag="skipped"):
    """The device applied a range that it may not see."""

    conversation: ConversationName
    from_seq: Seq
    to_seq: Seq


class Gap(DeviceRecord, frozen=True, kw_only=True, tag="gap"):
    """A push came above cursor + 1."""

    conversation: ConversationName
    seq: Seq


class Marked(DeviceRecord, frozen=True, kw_only=True, tag="marked"):
    """A mark is about to leave."""

    conversation: ConversationName
    delivered: Watermark | None = None
    read: Watermark | None = None


class MarksSeen(DeviceRecord, frozen=True, kw_only=True, tag="marks_seen"):
    """The device was shown the marks of user `of`."""

    conversation: ConversationName
    of: Name
    delivered: Watermark | None = None
    read: Watermark | None = None


class Blocked(Record, frozen=True, kw_only=True, tag="blocked"):
    """A block holds above `head`; with `on` false, it held up to `head`."""

    user: Name
    peer: Name
    conversation: ConversationName
    on: bool = True
    head: Watermark


class Group(Record, frozen=True, kw_only=True, tag="group"):
    """What a new member of this group may see."""

    conversation: ConversationName
    history: Literal["joined", "shared"]


class ReadBack(Record, frozen=True, kw_only=True, tag="read_back"):
    """Someone read a part of a log, or all of it."""

    user: Name | None
    device: Name | None
    conversation: ConversationName
    after: Watermark = 0
    head: Watermark
    more: bool = False
    final: bool = False
    entries: tuple[Entry, ...]
    skip: tuple[tuple[Seq, Seq], ...] = ()

    @property
    def until(self) -> int:
        """The last seq that this read tells of."""
        if not self.more:
            return self.head
        return max([self.after, *(e.seq for e in self.entries[-1:]), *(last for _, last in self.skip[-1:])])


class Crash(Record, frozen=True, kw_only=True, tag="crash"):
    """A process of the server was killed."""

    node: str | None = None


class Healed(Record, frozen=True, kw_only=True, tag="healed"):
    """No fault is injected any more."""


class Ended(Record, frozen=True, kw_only=True, tag="ended"):
    """The clients were left alone until now."""


Event: TypeAlias = (
    Connected
    | Listed
    | Synced
    | Disconnected
    | Sent
    | Acked
    | Refused
    | Applied
    | Hidden
    | Skipped
    | Gap
    | Marked
    | MarksSeen
    | Blocked
    | Group
    | ReadBack
    | Crash
    | Healed
    | Ended
)


class Where(NamedTuple):
    """The place of a line, counted from 1."""

    path: str
    line: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


class Line(NamedTuple):
    """An event and where it stands: what the checker reads."""

    where: Where
    event: Event


class BadHistory(Exception):
    """A line is no event, or contradicts another one in a way that only a faulty recorder can produce."""

    def __init__(self, where: Where, what: str) -> None:
        super().__init__(f"{where}: {what}")
        self.where = where
        self.what = what


_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)
_TYPES = ", ".join(sorted(str(t.__struct_config__.tag) for t in get_args(Event)))


def encode(event: Event) -> bytes:
    """One line, with its newline."""
    return _encoder.encode(event) + b"\n"


def decode(line: bytes, where: Where) -> Event:
    """The event of one line.

    Raises:
        BadHistory: with what was expected instead.
    """
    try:
        return _decoder.decode(line)
    except RecursionError:
        raise BadHistory(where, "nested too deep; expected one event of the history format") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        what = str(error)
        if what.endswith("`$.type`"):
            what += f"; expected one of {_TYPES}"
        raise BadHistory(where, f"not an event: {what}") from None


def read(file: BinaryIO, path: str) -> Iterator[Line]:
    """The events of one file, lazily; blank lines are passed over.

    Raises:
        BadHistory: at the first line that is no event.
    """
    for number, line in enumerate(_lines(file, path), start=1):
        if not line.isspace():
            where = Where(path, number)
            yield Line(where, decode(line, where))


def _lines(file: BinaryIO, path: str) -> Iterable[bytes]:
    """Like iterating over the file, but a file without newlines cannot fill the memory."""
    number = 0
    while line := file.readline(LINE_BYTES_MAX + 1):
        number += 1
        if len(line) > LINE_BYTES_MAX:
            raise BadHistory(Where(path, number), f"longer than {LINE_BYTES_MAX} bytes; split a read_back by `more`")
        yield line
