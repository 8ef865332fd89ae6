"""Rows, watermarks and cursors in SQLite: `EmbeddedRelayStore` keeps the port RelayStore.

Everything merges by max in the statement itself, so the order and the number of calls do not matter.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import apsw

from core.base.ids import ConversationId, DeviceId, UserId
from core.base.records import Mark, Row, RowChange
from sidecars.stores.embedded.database import Database
from sidecars.stores.embedded.rows import find_conversation, find_user, intern_conversation, intern_user

_SELECT_ROW: Final = """
    SELECT c.name, r.first, r.joined, r.removal, r.delivered, r.read, r.muted, r.pending, r.pending_first
    FROM relay_row r JOIN conversation_name c ON c.id = r.conversation
"""
_PREPARE: Final = """
    INSERT INTO relay_row (user, conversation, pending, pending_first) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT DO UPDATE SET pending = ?3, pending_first = ?4
"""
_MAKE: Final = "INSERT OR IGNORE INTO relay_row (user, conversation) VALUES (?, ?)"
_JOIN: Final = """
    UPDATE relay_row SET first = ?4, joined = ?3, removal = 0
    WHERE user = ?1 AND conversation = ?2 AND max(joined, removal) < ?3
"""
# Of one whose addition was never confirmed, what it was allowed to read is not known: the removal, then, and no more.
_REMOVE: Final = """
    UPDATE relay_row SET removal = ?3, first = CASE joined WHEN 0 THEN ?3 ELSE first END
    WHERE user = ?1 AND conversation = ?2 AND max(joined, removal) < ?3
"""
_CLEAR: Final = """
    UPDATE relay_row SET pending = 0, pending_first = 0 WHERE user = ?1 AND conversation = ?2 AND pending <= ?3
"""
_MERGE: Final = """
    UPDATE relay_row SET delivered = max(delivered, ?3, ?4), read = max(read, ?4)
    WHERE user = ?1 AND conversation = ?2 RETURNING 1
"""
_MERGE_CURSOR: Final = """
    INSERT INTO relay_cursor VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET seq = max(seq, excluded.seq)
"""
# A direct conversation, or a group, of which both are members now: found from the rows of the first.
_SHARING: Final = """
    SELECT 1 FROM relay_row a JOIN relay_row b ON b.user = ?2 AND b.conversation = a.conversation
    WHERE a.user = ?1 AND a.joined > 0 AND a.removal = 0 AND b.joined > 0 AND b.removal = 0 LIMIT 1
"""


class EmbeddedRelayStore:
    """RelayStore on a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open_device(self, user: UserId, device: DeviceId) -> None:
        """See the port."""

        def is_known(connection: apsw.Connection) -> bool:
            number = find_user(connection, user)
            return number is not None and _find_device(connection, number, device) is not None

        # Nearly always it is, and every hello asks: no write for that.
        if not await self._database.read(is_known):
            await self._database.write(lambda connection: _open_device(connection, user, device))

    async def rows(self, user: UserId) -> list[Row]:
        """See the port."""

        def fn(connection: apsw.Connection) -> list[Row]:
            return _rows(connection.execute(f"{_SELECT_ROW} WHERE r.user = ?", (find_user(connection, user),)))

        return await self._database.read(fn)

    async def row(self, user: UserId, conversation: ConversationId) -> Row | None:
        """See the port."""

        return (await self.rows_at([(user, conversation)]))[0]

    async def rows_at(self, pairs: Sequence[tuple[UserId, ConversationId]]) -> list[Row | None]:
        """See the port."""

        def one(connection: apsw.Connection, user: UserId, conversation: ConversationId) -> Row | None:
            key = (find_user(connection, user), find_conversation(connection, conversation))
            rows = _rows(connection.execute(f"{_SELECT_ROW} WHERE r.user = ? AND r.conversation = ?", key))
            return rows[0] if rows else None

        return await self._database.read(lambda connection: [one(connection, *pair) for pair in pairs])

    async def counts(self, users: Sequence[UserId]) -> list[int]:
        """See the port."""

        def one(connection: apsw.Connection, user: UserId) -> int:
            count: int = connection.execute(
                "SELECT count(*) FROM relay_row WHERE user = ?", (find_user(connection, user),)
            ).get
            return count

        return await self._database.read(lambda connection: [one(connection, user) for user in users])

    async def cursors(self, user: UserId, device: DeviceId) -> Mapping[ConversationId, int]:
        """See the port."""

        def fn(connection: apsw.Connection) -> Mapping[ConversationId, int]:
            rows = connection.execute(
                """
                SELECT c.name, s.seq FROM relay_device d
                JOIN relay_cursor s ON s.device = d.id JOIN conversation_name c ON c.id = s.conversation
                WHERE d.user = ? AND d.name = ?
                """,
                (find_user(connection, user), device),
            )
            return {ConversationId(name): seq for name, seq in rows}

        return await self._database.read(fn)

    async def prepare(self, changes: Sequence[RowChange]) -> None:
        """See the port."""

        def fn(connection: apsw.Connection) -> None:
            for change in changes:
                key = _intern(connection, change)
                connection.execute(_PREPARE, (*key, change.seq, change.first))

        await self._database.write(fn)

    async def confirm(self, changes: Sequence[RowChange]) -> None:
        """See the port. A removal whose addition was never confirmed leaves a row that may read the removal alone."""

        def fn(connection: apsw.Connection) -> None:
            for change in changes:
                key = (*_intern(connection, change), change.seq)
                connection.execute(_MAKE, key[:2])
                if change.first:
                    connection.execute(_JOIN, (*key, change.first))
                else:
                    connection.execute(_REMOVE, key)
                connection.execute(_CLEAR, key)

        await self._database.write(fn)

    async def forget(self, user: UserId, conversation: ConversationId, seq: int) -> None:
        """See the port."""

        def fn(connection: apsw.Connection) -> None:
            key = (find_user(connection, user), find_conversation(connection, conversation), seq)
            connection.execute(
                """
                UPDATE relay_row SET pending = 0, pending_first = 0
                WHERE user = ? AND conversation = ? AND pending = ?
                """,
                key,
            )
            connection.execute(
                """
                DELETE FROM relay_row
                WHERE user = ? AND conversation = ? AND pending = 0 AND joined = 0 AND removal = 0
                """,
                key[:2],
            )

        await self._database.write(fn)

    async def merge(self, marks: Sequence[Mark]) -> None:
        """See the port. A mark makes its device known, as a hello does."""

        def fn(connection: apsw.Connection) -> None:
            for mark in marks:
                _merge(connection, mark)

        await self._database.write(fn)

    async def marks(self, pairs: Sequence[tuple[UserId, ConversationId]]) -> list[tuple[int, int]]:
        """See the port."""

        def one(connection: apsw.Connection, user: UserId, conversation: ConversationId) -> tuple[int, int]:
            row = connection.execute(
                "SELECT delivered, read FROM relay_row WHERE user = ? AND conversation = ?",
                (find_user(connection, user), find_conversation(connection, conversation)),
            ).fetchone()
            return (row[0], row[1]) if row is not None else (0, 0)

        return await self._database.read(lambda connection: [one(connection, *pair) for pair in pairs])

    async def sharing(self, user: UserId, others: Sequence[UserId]) -> frozenset[UserId]:
        """See the port."""

        def fn(connection: apsw.Connection) -> frozenset[UserId]:
            number = find_user(connection, user)
            return frozenset(
                other
                for other in others
                if connection.execute(_SHARING, (number, find_user(connection, other))).get is not None
            )

        return await self._database.read(fn)

    async def set_muted(self, user: UserId, conversation: ConversationId, muted: bool) -> bool:
        """See the port."""

        def fn(connection: apsw.Connection) -> bool:
            key = (int(muted), find_user(connection, user), find_conversation(connection, conversation))
            connection.execute("UPDATE relay_row SET muted = ? WHERE user = ? AND conversation = ?", key)
            return connection.changes() > 0

        return await self._database.write(fn)


def _rows(found: Iterable[tuple[str, int, int, int, int, int, int, int, int]]) -> list[Row]:
    return [
        Row(ConversationId(name), first, joined, removal, delivered, read, bool(muted), pending, pending_first)
        for name, first, joined, removal, delivered, read, muted, pending, pending_first in found
    ]


def _intern(connection: apsw.Connection, change: RowChange) -> tuple[int, int]:
    return intern_user(connection, change.user), intern_conversation(connection, change.conversation)


def _find_device(connection: apsw.Connection, user: int, device: str) -> int | None:
    number: int | None = connection.execute(
        "SELECT id FROM relay_device WHERE user = ? AND name = ?", (user, device)
    ).get
    return number


def _open_device(connection: apsw.Connection, user: UserId, device: str) -> int:
    """The number of a device, which is made known now if it is not."""
    number = intern_user(connection, user)
    known = _find_device(connection, number, device)
    if known is not None:
        return known
    is_first = connection.execute("SELECT 1 FROM relay_device WHERE user = ? LIMIT 1", (number,)).get is None
    connection.execute("INSERT INTO relay_device (user, name) VALUES (?, ?)", (number, device))
    fresh = connection.last_insert_rowid()
    if not is_first:
        connection.execute(
            """
            INSERT INTO relay_cursor
            SELECT ?, conversation, delivered FROM relay_row WHERE user = ? AND delivered > 0
            """,
            (fresh, number),
        )
    return fresh


def _merge(connection: apsw.Connection, mark: Mark) -> None:
    user, conversation = find_user(connection, mark.user), find_conversation(connection, mark.conversation)
    has_row = connection.execute(_MERGE, (user, conversation, mark.delivered, mark.read)).get
    if has_row is not None and mark.device:
        device = _open_device(connection, mark.user, mark.device)
        connection.execute(_MERGE_CURSOR, (device, conversation, max(mark.delivered, mark.read)))
