"""The logs in SQLite: `EmbeddedLog` keeps the ports MessageLog and LogReader, for direct conversations and groups
alike.

The shape (one table in the order of arrival, numbers for names, no row for the head) is the fastest of those that were
measured; it is explained in schema/0001_log.sql. All items of one `append` are one write, hence one transaction; an
item is checked whole before its first row is inserted, so it needs no savepoint to be all or nothing.
"""

from collections.abc import Sequence
from typing import Final

import apsw

from core.base.errors import Rejected, Unavailable
from core.base.ids import ClientId, ConversationId, UserId
from core.base.limits import INTENT_WINDOW_S
from core.base.records import (
    REF_KINDS,
    Append,
    Appended,
    Claimed,
    Conflict,
    Duplicate,
    Entry,
    HeadQuery,
    HeadState,
    Intent,
    Outcome,
    Page,
    PageQuery,
    Refused,
    SlotRow,
    Unknown,
)
from sidecars.stores.embedded import effects, pages
from sidecars.stores.embedded.database import Database, OutcomeUnknown
from sidecars.stores.embedded.rows import (
    KIND_NUMBER,
    SELECT_ENTRY,
    entry_of,
    find_conversation,
    find_user,
    intern_conversation,
    intern_user,
    pack,
)

_USERS_CACHED: Final = 65_536
_SEQ_MAX: Final = (1 << 63) - 1
_WINDOW_MS: Final = int(INTENT_WINDOW_S * 1_000)

_STATE: Final = """
    SELECT id, epoch, coalesce((SELECT max(seq) FROM entry WHERE conversation = c.id), 0)
    FROM conversation_name c WHERE name = ?
"""
_INSERT: Final = """
    INSERT INTO entry
    (conversation, seq, sender, device, client_id, kind, ref, time_ms, texts, hidden_from, is_emptied, body)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_BY_CLIENT_ID: Final = "SELECT seq FROM entry WHERE client_id = ? AND conversation = ? AND sender = ?"

_InsertRow = tuple[int, int, int, bytes | str | None, bytes | str, int, int, int, int, int | None, int, bytes]


class EmbeddedLog:
    """MessageLog and LogReader on a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        # Numbers of users, committed ones only. The Trio thread writes it, the writer's thread reads it.
        self._users: dict[str, int] = {}

    # ---- MessageLog

    async def append(self, batch: Sequence[Append]) -> list[Outcome]:
        """See the port. The epoch must be exactly the claim's (1 or more): what was never claimed takes no appends."""
        interned: dict[str, int] = {}

        def fn(connection: apsw.Connection) -> list[Outcome]:
            appender = _Appender(connection, self._users, interned)
            return [appender.append(item) for item in batch]

        try:
            outcomes = await self._database.write(fn)
        except OutcomeUnknown as error:
            return [Unknown(item.conversation, error.message) for item in batch]
        except Unavailable as error:
            return [Refused(item.conversation, error.message) for item in batch]
        if interned:
            if len(self._users) + len(interned) > _USERS_CACHED:
                self._users = {}
            self._users.update(interned)
        return outcomes

    async def claim(self, conversation: ConversationId, epoch: int, tail: int) -> Claimed:
        """See the port."""

        def fn(connection: apsw.Connection) -> Claimed:
            number = intern_conversation(connection, conversation)
            is_ours = connection.execute(
                "UPDATE conversation_name SET epoch = ?1 WHERE id = ?2 AND epoch <= ?1 RETURNING 1", (epoch, number)
            ).get
            if not is_ours:
                raise Rejected("conflict", f"{conversation} is claimed at an epoch above {epoch}")
            newest = connection.execute(
                f"{SELECT_ENTRY} WHERE e.conversation = ? ORDER BY e.seq DESC LIMIT ?", (number, max(tail, 1))
            ).fetchall()
            entries = [entry_of(conversation, row) for row in reversed(newest)]
            head, texts = (entries[-1].seq, entries[-1].texts) if entries else (0, 0)
            return Claimed(conversation, epoch, head, texts, tuple(entries) if tail else ())

        return await self._database.write(fn)

    async def open_slot(self, slot: int, epoch: int) -> SlotRow:
        """See the port."""

        def fn(connection: apsw.Connection) -> SlotRow:
            row = connection.execute(
                """
                INSERT INTO slot VALUES (?, ?, 0)
                ON CONFLICT DO UPDATE SET epoch = excluded.epoch WHERE epoch <= excluded.epoch
                RETURNING epoch, anchor_ms
                """,
                (slot, epoch),
            ).fetchone()
            if row is None:
                raise Rejected("conflict", f"slot {slot} is open at an epoch above {epoch}")
            return SlotRow(slot, *row)

        return await self._database.write(fn)

    async def note_intents(self, slot: int, epoch: int, intents: Sequence[Intent]) -> None:
        """See the port."""

        def fn(connection: apsw.Connection) -> None:
            _check_slot(connection, slot, epoch)
            connection.executemany(
                """
                INSERT INTO intent VALUES (?, ?, ?)
                ON CONFLICT DO UPDATE SET time_ms = max(time_ms, excluded.time_ms)
                """,
                [(slot, intern_conversation(connection, intent.conversation), intent.time_ms) for intent in intents],
            )

        await self._database.write(fn)

    async def intents(self, slot: int, after_ms: int) -> list[Intent]:
        """See the port."""

        def fn(connection: apsw.Connection) -> list[Intent]:
            rows = connection.execute(
                """
                SELECT c.name, i.time_ms FROM intent i JOIN conversation_name c ON c.id = i.conversation
                WHERE i.slot = ? AND i.time_ms >= ? ORDER BY i.time_ms
                """,
                (slot, after_ms),
            )
            return [Intent(*row) for row in rows]

        return await self._database.read(fn)

    async def move_anchor(self, slot: int, epoch: int, anchor_ms: int) -> None:
        """See the port. Intents less than a window older than the anchor are kept: a next owner claims them again."""

        def fn(connection: apsw.Connection) -> None:
            _check_slot(connection, slot, epoch)
            connection.execute("UPDATE slot SET anchor_ms = max(anchor_ms, ?) WHERE slot = ?", (anchor_ms, slot))
            connection.execute(
                """
                DELETE FROM intent
                WHERE slot = ?1 AND time_ms < (SELECT anchor_ms FROM slot WHERE slot = ?1) - ?2
                """,
                (slot, _WINDOW_MS),
            )

        await self._database.write(fn)

    # ---- LogReader

    async def read(self, conversation: ConversationId, after: int, up_to: int, limit: int) -> list[Entry]:
        """See the port."""

        def fn(connection: apsw.Connection) -> list[Entry]:
            number = find_conversation(connection, conversation)
            rows = connection.execute(
                f"{SELECT_ENTRY} WHERE e.conversation = ? AND e.seq > ? AND e.seq <= ? ORDER BY e.seq LIMIT ?",
                (number, after, up_to or _SEQ_MAX, limit),
            )
            return [entry_of(conversation, row) for row in rows]

        return await self._database.read(fn)

    async def entry(self, conversation: ConversationId, seq: int) -> Entry | None:
        """See the port."""

        def fn(connection: apsw.Connection) -> Entry | None:
            number = find_conversation(connection, conversation)
            row = connection.execute(f"{SELECT_ENTRY} WHERE e.conversation = ? AND e.seq = ?", (number, seq)).fetchone()
            return None if row is None else entry_of(conversation, row)

        return await self._database.read(fn)

    async def find(self, conversation: ConversationId, sender: UserId, client_id: ClientId) -> Entry | None:
        """See the port. Here it is kept for ever."""

        def fn(connection: apsw.Connection) -> Entry | None:
            row = connection.execute(
                f"{SELECT_ENTRY} WHERE e.client_id = ? AND e.conversation = ? AND e.sender = ?",
                (pack(client_id), find_conversation(connection, conversation), find_user(connection, sender)),
            ).fetchone()
            return None if row is None else entry_of(conversation, row)

        return await self._database.read(fn)

    async def page(self, query: PageQuery) -> Page:
        """See the port."""
        return await self._database.read(lambda connection: pages.page(connection, query))

    async def heads(self, queries: Sequence[HeadQuery]) -> list[HeadState]:
        """See the port."""
        return await self._database.read(lambda connection: [pages.state(connection, query) for query in queries])


def _check_slot(connection: apsw.Connection, slot: int, epoch: int) -> None:
    found = connection.execute("SELECT epoch FROM slot WHERE slot = ?", (slot,)).get
    if found != epoch:
        raise Rejected("conflict", f"slot {slot} is not open at epoch {epoch}")


class _Appender:
    """One batch on its way into the tables, in the writer's thread."""

    def __init__(self, connection: apsw.Connection, users: dict[str, int], interned: dict[str, int]) -> None:
        self._execute = connection.execute
        self._connection = connection
        self._users = users
        self._interned = interned

    def append(self, item: Append) -> Outcome:
        """Check the whole item first, then insert its entries, then do what they say."""
        found = self._execute(_STATE, (item.conversation,)).fetchone()
        conversation, epoch, head = found if found is not None else (0, 0, 0)
        if not epoch or epoch != item.epoch or head != item.head:
            return Conflict(item.conversation, head, epoch)
        rows = []
        for entry in item.entries:
            head += 1
            assert entry.seq == head, (entry.seq, head)
            assert entry.conversation == item.conversation
            sender = self._user(entry.sender)
            client_id = pack(entry.client_id)
            seq = self._execute(_BY_CLIENT_ID, (client_id, conversation, sender)).get
            if seq is not None:
                return Duplicate(item.conversation, entry.sender, entry.client_id, seq)
            rows.append(self._row(conversation, sender, client_id, entry))
        self._connection.executemany(_INSERT, rows)
        for entry in item.entries:
            if entry.kind in REF_KINDS:
                effects.apply(self._connection, conversation, self._user(entry.sender), entry)
        return Appended(item.conversation, head)

    def _row(self, conversation: int, sender: int, client_id: bytes | str, entry: Entry) -> _InsertRow:
        return (
            conversation,
            entry.seq,
            sender,
            pack(entry.device) if entry.device else None,
            client_id,
            KIND_NUMBER[entry.kind],
            entry.ref,
            entry.time_ms,
            entry.texts,
            self._user(entry.hidden_from) if entry.hidden_from else None,
            int(entry.is_emptied),
            entry.body,
        )

    def _user(self, name: str) -> int:
        number = self._users.get(name) or self._interned.get(name)
        if number is None:
            number = self._interned[name] = intern_user(self._connection, name)
        return number
