"""What edits, deletions and reactions do to texts: applied at the append, shown with a page.

Two tables hold the present state (`edit`, `reaction`) and answer nearly every page. A reader who must not know all of
the log - who was removed from the conversation, or whom an entry is hidden from - gets what the entries that it may see
did, computed from them. The rules have refused what has no effect (an edit of what is no text, or is deleted); here it
is kept as an entry and does nothing.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import apsw
from msgspec import DecodeError, Struct
from msgspec.json import Decoder

from core.base.records import EMPTY_BODY, Edited, Entry, PageEntry, Reaction
from sidecars.stores.embedded.rows import EDIT, REACTION, TEXT


class ReactionBody(Struct, frozen=True):
    """Body of a reaction."""

    emoji: str
    on: bool = True


_REACTION_BODY: Final = Decoder(ReactionBody)


def reaction_of(body: bytes) -> ReactionBody | None:
    """A reaction's body; None if it is none."""
    try:
        return _REACTION_BODY.decode(body)
    except DecodeError:
        return None


# ---- at the append


def apply(connection: apsw.Connection, conversation: int, sender: int, entry: Entry) -> None:
    """Do to its text what an entry that has just been inserted says."""
    target = connection.execute(
        "SELECT id, kind, is_emptied FROM entry WHERE conversation = ? AND seq = ?", (conversation, entry.ref)
    ).fetchone()
    if target is None or target[1] != TEXT or entry.ref >= entry.seq:
        return
    if entry.kind == "delete":
        _delete(connection, conversation, target[0], entry.ref)
    elif target[2]:
        _empty_late_edit(connection, conversation, entry)
    elif entry.kind == "edit":
        connection.execute(
            "INSERT INTO edit VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET seq = excluded.seq",
            (conversation, entry.ref, entry.seq),
        )
    elif entry.kind == "reaction" and (reaction := reaction_of(entry.body)) is not None:
        change = "INSERT OR IGNORE INTO reaction VALUES (?, ?, ?, ?)"
        if not reaction.on:
            change = "DELETE FROM reaction WHERE conversation = ? AND ref = ? AND emoji = ? AND user = ?"
        connection.execute(change, (conversation, entry.ref, reaction.emoji, sender))


def _delete(connection: apsw.Connection, conversation: int, row: int, ref: int) -> None:
    """Empty a text and its edits for good; nothing that was done to it shows any more."""
    connection.execute("UPDATE entry SET body = ?, is_emptied = 1 WHERE id = ?", (EMPTY_BODY, row))
    connection.execute(
        """
        UPDATE entry SET body = ?, is_emptied = 1
        WHERE conversation = ? AND ref = ? AND kind BETWEEN 1 AND 3 AND kind = ?
        """,
        (EMPTY_BODY, conversation, ref, EDIT),
    )
    connection.execute("DELETE FROM edit WHERE conversation = ? AND ref = ?", (conversation, ref))
    connection.execute("DELETE FROM reaction WHERE conversation = ? AND ref = ?", (conversation, ref))


def _empty_late_edit(connection: apsw.Connection, conversation: int, entry: Entry) -> None:
    """An edit that comes after the deletion must not bring words back."""
    if entry.kind == "edit":
        connection.execute(
            "UPDATE entry SET body = ?, is_emptied = 1 WHERE conversation = ? AND seq = ?",
            (EMPTY_BODY, conversation, entry.seq),
        )


# ---- with a page


def shown(
    connection: apsw.Connection, conversation: int, reader: int | None, entries: Sequence[Entry], last: int
) -> tuple[PageEntry, ...]:
    """Entries (by rising seq) with what was done to their texts, as a reader sees it; `last` > 0: as of that seq."""
    refs = [entry.seq for entry in entries if entry.kind == "text" and not entry.is_emptied]
    if not refs:
        return tuple(PageEntry(entry) for entry in entries)
    bounds = (conversation, refs[0], refs[-1])
    if last or _is_hidden_from(connection, conversation, reader):
        edits, reactions = _from_entries(connection, bounds, frozenset(refs), reader, last)
    else:
        edits, reactions = _from_tables(connection, bounds, reader)
    return tuple(PageEntry(entry, edits.get(entry.seq), reactions.get(entry.seq, ())) for entry in entries)


_Shown = tuple[dict[int, Edited], dict[int, tuple[Reaction, ...]]]
_Bounds = tuple[int, int, int]  # conversation, lowest and greatest ref


def _is_hidden_from(connection: apsw.Connection, conversation: int, reader: int | None) -> bool:
    found = connection.execute(
        "SELECT 1 FROM entry WHERE conversation = ? AND hidden_from = ? LIMIT 1", (conversation, reader)
    ).get
    return found is not None


def _from_tables(connection: apsw.Connection, bounds: _Bounds, reader: int | None) -> _Shown:
    edits = {
        ref: Edited(seq, body, time_ms)
        for ref, seq, body, time_ms in connection.execute(
            """
            SELECT d.ref, e.seq, e.body, e.time_ms
            FROM edit d JOIN entry e ON e.conversation = d.conversation AND e.seq = d.seq
            WHERE d.conversation = ? AND d.ref BETWEEN ? AND ?
            """,
            bounds,
        )
    }
    rows = connection.execute(
        "SELECT ref, emoji, user FROM reaction WHERE conversation = ? AND ref BETWEEN ? AND ?", bounds
    )
    return edits, _counted(rows, reader)


def _from_entries(
    connection: apsw.Connection, bounds: _Bounds, refs: frozenset[int], reader: int | None, last: int
) -> _Shown:
    edits: dict[int, Edited] = {}
    present: set[tuple[int, str, int]] = set()  # ref, emoji, user
    rows = connection.execute(
        """
        SELECT ref, kind, seq, sender, body, time_ms FROM entry
        WHERE conversation = ? AND ref BETWEEN ? AND ? AND kind BETWEEN 1 AND 3
            AND seq > ref AND seq <= ? AND hidden_from IS NOT coalesce(?, 0)
        ORDER BY ref, seq
        """,
        (*bounds, last or 1 << 62, reader),
    )
    for ref, kind, seq, sender, body, time_ms in rows:
        if ref not in refs:
            continue
        if kind == EDIT:
            edits[ref] = Edited(seq, body, time_ms)
        elif kind == REACTION and (reaction := reaction_of(body)) is not None:
            change = present.add if reaction.on else present.discard
            change((ref, reaction.emoji, sender))
    return edits, _counted(present, reader)


def _counted(present: Iterable[tuple[int, str, int]], reader: int | None) -> dict[int, tuple[Reaction, ...]]:
    """Reactions of each text, by emoji."""
    users: dict[int, dict[str, list[int]]] = {}
    for ref, emoji, user in present:
        users.setdefault(ref, {}).setdefault(emoji, []).append(user)
    return {
        ref: tuple(Reaction(emoji, len(who), reader in who) for emoji, who in sorted(emojis.items()))
        for ref, emojis in users.items()
    }
