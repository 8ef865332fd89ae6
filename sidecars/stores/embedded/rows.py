"""How entries and names lie in the tables: packing, unpacking, interning.

Ids are UUIDs almost always, and 16 bytes then; any other text is kept as text, which SQLite never confuses with bytes.
"""

from typing import Any, Final
from uuid import UUID

import apsw

from core.base.ids import ClientId, ConversationId, UserId, is_uuid
from core.base.records import Entry, Kind

KINDS: Final[tuple[Kind, ...]] = ("text", "edit", "delete", "reaction", "member", "group")
"""The number of a kind is its place here, and is in the files: only append."""

TEXT, EDIT, _, REACTION = range(4)  # as the queries name them
KIND_NUMBER: Final = {kind: number for number, kind in enumerate(KINDS)}

SELECT_ENTRY: Final = """
    SELECT e.seq, s.name, e.device, e.client_id, e.kind, e.body, e.ref, e.time_ms, e.texts, h.name, e.is_emptied
    FROM entry e JOIN user_name s ON s.id = e.sender LEFT JOIN user_name h ON h.id = e.hidden_from
"""
"""What `entry_of` reads; to be followed by a WHERE on `e`."""

Row = tuple[Any, ...]


def pack(text: str) -> bytes | str:
    """A UUID as its 16 bytes, any other text as it is."""
    return bytes.fromhex(text.replace("-", "")) if is_uuid(text) else text


def unpack(packed: bytes | str) -> str:
    """The text that was packed."""
    return str(UUID(bytes=packed)) if isinstance(packed, bytes) else packed


def entry_of(conversation: ConversationId, row: Row) -> Entry:
    """The entry of a row of `SELECT_ENTRY`."""
    seq, sender, device, client_id, kind, body, ref, time_ms, texts, hidden_from, is_emptied = row
    return Entry(
        conversation,
        seq,
        sender,
        "" if device is None else unpack(device),
        ClientId(unpack(client_id)),
        KINDS[kind],
        body,
        ref,
        time_ms,
        texts,
        hidden_from or "",
        bool(is_emptied),
    )


def find_conversation(connection: apsw.Connection, name: ConversationId) -> int | None:
    """The number of a conversation; None if it has none."""
    number: int | None = connection.execute("SELECT id FROM conversation_name WHERE name = ?", (name,)).get
    return number


def find_user(connection: apsw.Connection, name: UserId) -> int | None:
    """The number of a user; None if it has none."""
    number: int | None = connection.execute("SELECT id FROM user_name WHERE name = ?", (name,)).get
    return number


def intern_conversation(connection: apsw.Connection, name: ConversationId) -> int:
    """The number of a conversation, which is given one now if need be."""
    number = find_conversation(connection, name)
    if number is None:
        connection.execute("INSERT INTO conversation_name (name) VALUES (?)", (name,))
        number = connection.last_insert_rowid()
    return number


def intern_user(connection: apsw.Connection, name: str) -> int:
    """The number of a user, who is given one now if need be."""
    number = find_user(connection, UserId(name))
    if number is None:
        connection.execute("INSERT INTO user_name (name) VALUES (?)", (name,))
        number = connection.last_insert_rowid()
    return number
