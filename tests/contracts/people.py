"""Names for the suites: users, conversations, client ids, entries."""

from core.base.ids import ClientId, ConversationId, GroupId, UserId, direct_conversation, group_conversation
from core.base.records import Append, Entry, Kind


def uuid(number: int) -> str:
    """The `number`th UUIDv7 of a test."""
    return f"01890000-0000-7000-8000-{number:012x}"


ANN, BOB, CID, DAN = (UserId(uuid(number)) for number in range(1, 5))
GROUP = GroupId(uuid(100))
C = direct_conversation(ANN, BOB)
D = group_conversation(GROUP)


def entry(
    seq: int,
    *,
    conversation: ConversationId = C,
    sender: UserId = ANN,
    client: int | None = None,
    kind: Kind = "text",
    body: bytes = b'{"text":"hello"}',
    ref: int = 0,
    texts: int | None = None,
    hidden_from: str = "",
) -> Entry:
    """An entry; what is not said is made from its seq."""
    client_id = ClientId(uuid(1_000 + (seq if client is None else client)))
    return Entry(
        conversation, seq, sender, uuid(50), client_id, kind, body, ref, 1_000 + seq, texts or seq, hidden_from
    )


def append(*entries: Entry, epoch: int = 1) -> Append:
    """The append of rising entries of one conversation, on the head that goes with them."""
    return Append(entries[0].conversation, epoch, entries[0].seq - 1, entries)
