"""Identifiers: their types, their text forms, and the only generator of random ones.

Users, groups, media, devices and sessions are UUIDv7 (RFC 9562, section 5.7) as lower-case text. A conversation is
`d:<user>:<user>` (the two ids sorted; with oneself: notes) or `g:<group>`. Ids and random numbers come from an `IdSource`, so that a run
with a seeded one is replayable.
"""

import random
import re
from hashlib import blake2b
from typing import Final, NewType

from core.base.clock import Clock
from core.base.errors import Rejected

UserId = NewType("UserId", str)
GroupId = NewType("GroupId", str)
DeviceId = NewType("DeviceId", str)
SessionId = NewType("SessionId", str)
ConversationId = NewType("ConversationId", str)
ClientId = NewType("ClientId", str)

SLOTS: Final = 1_024
"""Slots of a deployment; fixed for ever, since it decides where a user's data lives."""

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)


class IdSource:
    """Makes ids and random numbers; one per process.

    UUIDv7s of one source rise strictly, within one millisecond too (RFC 9562, section 6.2, method 2), which keeps the stores' indexes
    append-only.
    """

    __slots__ = ("_clock", "_last", "random")

    def __init__(self, clock: Clock, rng: random.Random | None = None) -> None:
        self._clock = clock
        self._last = 0
        self.random: Final = rng if rng is not None else random.SystemRandom()

    def uuid7(self) -> str:
        """A new UUIDv7, greater than every earlier one of this source."""
        fresh = (self._clock.wall_ms() << 74) | self.random.getrandbits(74)
        # The step is random too: a neighbour's id must not be guessable from one's own.
        self._last = value = fresh if fresh > self._last else self._last + 1 + self.random.getrandbits(32)
        rand_b = value & ((1 << 62) - 1)
        rand_a = (value >> 62) & 0xFFF
        text = f"{(value >> 74) & ((1 << 48) - 1):012x}{0x7000 | rand_a:04x}{(0b10 << 62) | rand_b:016x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def secret(self) -> str:
        """256 random bits as 64 hexadecimal digits: for tokens that are looked up, never derived."""
        return f"{self.random.getrandbits(256):064x}"


def is_uuid(text: str) -> bool:
    """Whether `text` is a UUID in the one form that we accept: lower-case, with dashes."""
    return _UUID.fullmatch(text) is not None


def parse_uuid(text: str, field: str) -> str:
    """`text` itself, if it is a UUID in lower case.

    Raises: Rejected (bad_request) naming `field`.
    """
    if _UUID.fullmatch(text) is None:
        raise Rejected("bad_request", f"{field} must be a UUID in lower case", field=field)
    return text


def direct_conversation(one: UserId, other: UserId) -> ConversationId:
    """The conversation of two users, whoever names it; of a user with itself: its notes."""
    low, high = (one, other) if one <= other else (other, one)
    return ConversationId(f"d:{low}:{high}")


def group_conversation(group: GroupId) -> ConversationId:
    """The conversation of a group."""
    return ConversationId(f"g:{group}")


def is_group(conversation: ConversationId) -> bool:
    """Whether a (well-formed) conversation is a group's."""
    return conversation[0] == "g"


def group_of(conversation: ConversationId) -> GroupId:
    """The group of a group's conversation."""
    assert conversation[0] == "g", conversation
    return GroupId(conversation[2:])


def direct_users(conversation: ConversationId) -> tuple[UserId, UserId]:
    """The two users of a direct conversation, sorted; the same one twice for notes."""
    assert conversation[0] == "d", conversation
    return UserId(conversation[2:38]), UserId(conversation[39:])


def parse_conversation(text: str, field: str = "conversation") -> ConversationId:
    """`text` itself, if it is a well-formed conversation id.

    Raises: Rejected (bad_request) naming `field`.
    """
    if len(text) == 38 and text.startswith("g:") and _UUID.fullmatch(text, 2):
        return ConversationId(text)
    if len(text) == 75 and text.startswith("d:") and text[38] == ":" and is_uuid(text[2:38]) and is_uuid(text[39:]):
        if text[2:38] <= text[39:]:
            return ConversationId(text)
        raise Rejected("bad_request", f"{field}: the two users of d:<user>:<user> must be sorted", field=field)
    raise Rejected("bad_request", f"{field} must be d:<user>:<user> or g:<group>", field=field)


def slot_of(key: str) -> int:
    """The slot of a user or group id: a real hash, since a linear one (CRC) puts neighbours together."""
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "big") % SLOTS


def slot_of_conversation(conversation: ConversationId) -> int:
    """The slot whose owner assigns the seqs: the group's, or that of one of the two users, chosen by a bit of the hash of the id."""
    if is_group(conversation):
        return slot_of(group_of(conversation))
    chosen = blake2b(conversation.encode(), digest_size=1).digest()[0] & 1
    return slot_of(direct_users(conversation)[chosen])
