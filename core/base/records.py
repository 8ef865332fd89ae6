"""What router, services and stores exchange: entries, appends and their outcomes, marks, rows and listings.

All are immutable. Bodies are the client's bytes: UTF-8 JSON objects, checked once at the edge and never re-encoded. `gc=False` because none
of them can be part of a reference cycle, which spares the collector the very objects that there are most of.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from msgspec import Struct, field

from core.base.ids import ClientId, ConversationId, DeviceId, UserId

Kind = Literal["text", "edit", "delete", "reaction", "member", "group"]
CLIENT_KINDS: Final = frozenset({"text", "edit", "delete", "reaction"})
REF_KINDS: Final = frozenset({"edit", "delete", "reaction"})
"""Kinds that are nothing without a `ref`."""

Role = Literal["owner", "admin", "member", "reader"]
History = Literal["joined", "shared"]
EMPTY_BODY: Final = b"{}"


# ---- the log


class Entry(Struct, frozen=True, gc=False):
    """One entry of a conversation's log."""

    conversation: ConversationId
    seq: int  # 1, 2, 3, ... without a hole
    sender: UserId  # of a member or group entry: who did it
    device: str  # "" where it came by REST without a device, or from the server
    client_id: ClientId
    kind: Kind
    body: bytes  # a JSON object; b"{}" once a deletion has emptied it
    ref: int  # the seq that it is about; 0 for none
    time_ms: int  # the owner's wall clock at the append; shown, never compared
    texts: int  # texts among 1..seq that count as unread for someone (hidden ones do not)
    hidden_from: str = ""  # the one user who may not see it (it had blocked the sender); "" for none
    is_emptied: bool = False  # a deletion emptied the body


class Append(Struct, frozen=True, gc=False):
    """What one conversation has for one append call: entries `head + 1 ...`, on condition of `head` and `epoch`."""

    conversation: ConversationId
    epoch: int
    head: int  # the head that the owner expects to find
    entries: tuple[Entry, ...]  # at least 1, with rising seqs from head + 1


class Appended(Struct, frozen=True, gc=False, tag=True):
    """All entries are durable."""

    conversation: ConversationId
    head: int


class Conflict(Struct, frozen=True, gc=False, tag=True):
    """Nothing was written: the store stands at another head, or a greater epoch holds the claim."""

    conversation: ConversationId
    head: int
    epoch: int


class Duplicate(Struct, frozen=True, gc=False, tag=True):
    """Nothing was written: one of the (sender, client_id) is in the log already, at `seq`."""

    conversation: ConversationId
    sender: UserId
    client_id: ClientId
    seq: int


class Refused(Struct, frozen=True, gc=False, tag=True):
    """Nothing was written and nothing will be: the store said no (a full disk)."""

    conversation: ConversationId
    reason: str


class Unknown(Struct, frozen=True, gc=False, tag=True):
    """It may or may not have been written, and may yet be: only reading after a new claim decides."""

    conversation: ConversationId
    reason: str


Outcome = Appended | Conflict | Duplicate | Refused | Unknown


class Claimed(Struct, frozen=True, gc=False):
    """What a claim found: the state that the owner goes on from."""

    conversation: ConversationId
    epoch: int
    head: int  # 0 for a conversation without entries
    texts: int  # `texts` of the entry at head
    tail: tuple[Entry, ...]  # the newest entries, by rising seq


class SlotRow(Struct, frozen=True, gc=False):
    """A slot in the store: the epoch under which it was opened, and up to where its intents were worked off."""

    slot: int
    epoch: int
    anchor_ms: int


class Intent(Struct, frozen=True, gc=False):
    """The note that an owner means to append to a conversation from `time_ms` on."""

    conversation: ConversationId
    time_ms: int


# ---- reading


class Reader(Struct, frozen=True, gc=False):
    """Who reads, and what of the log it may see: first..last (last 0: no bound above)."""

    user: UserId
    first: int
    last: int = 0


class PageQuery(Struct, frozen=True, gc=False):
    """A page of at most `limit` entries after `after`, before `before` or around `around` (exactly one is not None)."""

    conversation: ConversationId
    reader: Reader
    limit: int
    after: int | None = None
    before: int | None = None
    around: int | None = None


class Edited(Struct, frozen=True, gc=False):
    """The newest edit of a text."""

    seq: int
    body: bytes
    time_ms: int


class Reaction(Struct, frozen=True, gc=False):
    """How many have reacted to a text with `emoji` now, and whether the reader is among them."""

    emoji: str
    count: int
    mine: bool


class PageEntry(Struct, frozen=True, gc=False):
    """An entry as of a page's head, as its reader sees it."""

    entry: Entry
    edited: Edited | None = None
    reactions: tuple[Reaction, ...] = ()


class Page(Struct, frozen=True, gc=False):
    """Entries by rising seq; each seq of the covered range is in `entries` or in `skip`."""

    conversation: ConversationId
    entries: tuple[PageEntry, ...]
    first: int  # the lowest seq that the reader may see
    head: int  # the greatest seq that the reader may see; the page is as of it
    more: bool  # there is more in the direction asked for
    skip: tuple[tuple[int, int], ...] = ()  # [from, to], both included


class HeadQuery(Struct, frozen=True, gc=False):
    """For a listing: where a conversation stands for one reader."""

    conversation: ConversationId
    reader: Reader
    read: int  # texts after this seq are unread


class HeadState(Struct, frozen=True, gc=False):
    """The answer to a HeadQuery."""

    conversation: ConversationId
    head: int  # 0 where there is no entry; bounded by reader.last
    unread: int  # texts(head) - texts(read)
    last: PageEntry | None  # the newest entry that the reader may see


# ---- members and rows


class RowChange(Struct, frozen=True, gc=False):
    """A change of one user's membership that is about to be appended at `seq`, or has been."""

    user: UserId
    conversation: ConversationId
    seq: int  # of the entry that adds or removes
    first: int  # of an addition: lowest seq that may be read from now on; 0 marks a removal


class Row(Struct, frozen=True, gc=False):
    """A conversation in a user's list, as relay keeps it."""

    conversation: ConversationId
    first: int  # lowest seq that may be read
    joined: int  # seq of the entry that began the present membership
    removal: int  # seq of the entry that ended it; 0 while a member
    delivered: int  # the greatest that any device marked
    read: int
    muted: bool
    pending: int = 0  # seq of a change that was prepared and not confirmed: the log at that seq decides
    pending_first: int = 0  # that change's `first` (0: a removal)


class Mark(Struct, frozen=True, gc=False):
    """A watermark to be merged by max. `device` "" moves the user's alone."""

    user: UserId
    device: str
    conversation: ConversationId
    delivered: int
    read: int


class Peer(Struct, frozen=True, gc=False):
    """The other side of a direct conversation, as a listing shows it."""

    user: UserId
    name: str
    delivered: int
    read: int


class Listed(Struct, frozen=True, gc=False):
    """One conversation of a listing: all that the `conversations` frame says of it, and what the router needs besides."""

    conversation: ConversationId
    first: int
    head: int
    delivered: int  # this device's cursor
    read: int
    unread: int
    last: PageEntry | None
    title: str
    role: str  # a Role, or "none" after removal
    members: int
    muted: bool
    peer: Peer | None
    joined: int
    user_delivered: int  # the greatest of all devices
    history: str = ""


# ---- sending


class Send(Struct, frozen=True, gc=False):
    """A wish to append, from a socket, REST, gRPC or another service; checked for shape, not yet for rights."""

    conversation: ConversationId
    sender: UserId
    device: str
    client_id: ClientId
    kind: Kind
    body: bytes
    ref: int = 0
    is_retry: bool = True
    via: Literal["client", "service", "invite"] = "client"  # who vouches for it: see core/rules


class Sent(Struct, frozen=True, gc=False):
    """The answer to a Send that is in the log."""

    conversation: ConversationId
    client_id: ClientId
    seq: int
    time_ms: int
    duplicate: bool


# ---- groups


def _nobody() -> Sequence[UserId]:
    return ()


class MemberBody(Struct, frozen=True, omit_defaults=True):
    """Body of a `member` entry. `roles` holds the roles of `added`, member where missing."""

    by: UserId
    # By a factory of our own, so that both are always written, as clients expect them: only plain defaults are left out.
    added: Sequence[UserId] = field(default_factory=_nobody)
    removed: Sequence[UserId] = field(default_factory=_nobody)
    roles: Mapping[UserId, Role] = {}
    name: str = ""  # of the group, in its first entry
    history: str = ""  # of the group, in its first entry
    deleted: bool = False  # the group ends: `removed` names all


class GroupBody(Struct, frozen=True, omit_defaults=True):
    """Body of a `group` entry: what it changes."""

    by: UserId
    name: str = ""
    history: str = ""
    roles: Mapping[UserId, Role] = {}


class GroupState(Struct, frozen=True, gc=False):
    """A group as of `seq` of its log: the projection."""

    conversation: ConversationId
    seq: int
    name: str
    history: str
    members: Mapping[UserId, Role]
    created_ms: int = 0


class Loaded(Struct, frozen=True, gc=False):
    """All that an owner needs to serve a conversation: the claim, and who may do what."""

    claimed: Claimed
    members: Mapping[UserId, Role]  # direct: both users, as members
    title: str = ""
    history: str = "joined"
    blocked_by: frozenset[UserId] = frozenset()  # direct: who has blocked the other


# ---- people


class Person(Struct, frozen=True, gc=False):
    """What the router must know of a user who connects, and of its device."""

    user: UserId
    name: str
    device: DeviceId
    is_active: bool  # neither user nor device is disabled or revoked


class Watched(Struct, frozen=True, gc=False):
    """What one user may know of another's presence."""

    user: UserId
    may_see: bool
    last_seen_ms: int = 0  # 0: not known


class Presence(Struct, frozen=True, gc=False):
    """A change of a user's state, for last_seen."""

    user: UserId
    is_online: bool
    at_ms: int
