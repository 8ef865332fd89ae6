"""What readers see of a log: pages and heads, each computed in one snapshot and within its reader's bounds."""

from typing import Final, NamedTuple

import apsw

from core.base.ids import ConversationId
from core.base.records import Entry, HeadQuery, HeadState, Page, PageEntry, PageQuery, Reader
from sidecars.stores.embedded.effects import shown
from sidecars.stores.embedded.rows import SELECT_ENTRY, entry_of, find_conversation, find_user

_HIDDEN_MAX: Final = 1_000  # hidden entries that one page looks past; then it ends with `more`
_LAST_MAX: Final = 100  # entries that a listing looks back for one that its reader may see

Ranges = tuple[tuple[int, int], ...]


class View(NamedTuple):
    """A conversation in the eyes of one reader."""

    connection: apsw.Connection
    name: ConversationId
    conversation: int
    user: str
    reader: int | None  # the user's number; None for one who is unknown here
    first: int
    head: int  # bounded by the reader's last
    last: int  # as of which seq it is seen: 0 for the head


class Scanned(NamedTuple):
    """Visible entries by rising seq, the ranges that are not visible, and what both cover (low > high: nothing)."""

    entries: list[Entry]
    skip: Ranges
    low: int
    high: int


def page(connection: apsw.Connection, query: PageQuery) -> Page:
    """The port's `page`."""
    view = _view(connection, query.conversation, query.reader)
    if view is None:
        return Page(query.conversation, (), max(query.reader.first, 1), 0, more=False)
    if query.after is not None:
        found = _ascending(view, query.after + 1, query.limit)
        more = found.high < view.head
    elif query.before is not None:
        found = _descending(view, query.before - 1, query.limit)
        more = found.low > view.first
    else:
        assert query.around is not None
        found = _around(view, query.around, query.limit)
        more = found.low > view.first or found.high < view.head
    more = more and view.first <= view.head
    return Page(query.conversation, _shown(view, found.entries), view.first, view.head, more, found.skip)


def state(connection: apsw.Connection, query: HeadQuery) -> HeadState:
    """The port's `heads`, for one conversation."""
    view = _view(connection, query.conversation, query.reader)
    if view is None:
        return HeadState(query.conversation, 0, 0, None)
    unread = _texts(view, view.head) - _texts(view, min(query.read, view.head))
    newest = _descending(view, view.head, 1, hidden_max=_LAST_MAX - 1).entries
    last = _shown(view, newest)[0] if newest else None
    return HeadState(query.conversation, view.head, max(unread, 0), last)


def _view(connection: apsw.Connection, name: ConversationId, reader: Reader) -> View | None:
    conversation = find_conversation(connection, name)
    if conversation is None:
        return None
    head: int = connection.execute(
        "SELECT coalesce(max(seq), 0) FROM entry WHERE conversation = ?", (conversation,)
    ).get
    last = reader.last if 0 < reader.last < head else 0
    return View(
        connection,
        name,
        conversation,
        reader.user,
        find_user(connection, reader.user),
        max(reader.first, 1),
        last or head,
        last,
    )


def _shown(view: View, entries: list[Entry]) -> tuple[PageEntry, ...]:
    return shown(view.connection, view.conversation, view.reader, entries, view.last)


def _texts(view: View, seq: int) -> int:
    texts: int | None = view.connection.execute(
        "SELECT texts FROM entry WHERE conversation = ? AND seq = ?", (view.conversation, seq)
    ).get
    return texts or 0


def _ascending(view: View, start: int, limit: int) -> Scanned:
    """Up to `limit` visible entries from `start` on."""
    low = max(start, view.first)
    if low > view.head:  # it may be beyond what SQLite can count to
        return Scanned([], (), low, view.head)
    entries, hidden = _scan(view, "ORDER BY e.seq ASC LIMIT ?", low, view.head, limit, _HIDDEN_MAX)
    high = max(entries[-1].seq if entries else 0, hidden[-1] if hidden else 0)
    return Scanned(entries, _ranges(hidden), low, high or view.head)


def _descending(view: View, start: int, limit: int, hidden_max: int = _HIDDEN_MAX) -> Scanned:
    """Up to `limit` visible entries from `start` down."""
    high = min(start, view.head)
    entries, hidden = _scan(view, "ORDER BY e.seq DESC LIMIT ?", view.first, high, limit, hidden_max)
    entries.reverse()
    hidden.reverse()
    low = view.first if limit else high + 1
    if entries or hidden:
        low = min(seqs[0] for seqs in ([entry.seq for entry in entries], hidden) if seqs)
    return Scanned(entries, _ranges(hidden), low, high)


def _around(view: View, centre: int, limit: int) -> Scanned:
    """Half of `limit` below `centre` and the rest from it on: near the beginning the page is full all the same."""
    centre = min(max(centre, view.first), max(view.head, view.first))
    older = _descending(view, centre - 1, limit // 2)
    newer = _ascending(view, centre, limit - len(older.entries))
    return Scanned(older.entries + newer.entries, _joined(older.skip, newer.skip), older.low, newer.high)


def _scan(view: View, order: str, low: int, high: int, limit: int, hidden_max: int) -> tuple[list[Entry], list[int]]:
    """Visible entries, and seqs of hidden ones, in `order`, until there are `limit` of the first or too many of the
    second.
    """
    entries: list[Entry] = []
    hidden: list[int] = []
    if not limit:
        return entries, hidden
    rows = view.connection.execute(
        f"{SELECT_ENTRY} WHERE e.conversation = ? AND e.seq BETWEEN ? AND ? {order}",
        (view.conversation, low, high, limit + hidden_max),
    )
    for row in rows:
        entry = entry_of(view.name, row)
        if entry.hidden_from and entry.hidden_from == view.user:
            hidden.append(entry.seq)
            continue
        entries.append(entry)
        if len(entries) == limit:
            break
    return entries, hidden


def _ranges(seqs: list[int]) -> Ranges:
    """Rising seqs as ranges."""
    ranges: list[tuple[int, int]] = []
    for seq in seqs:
        if ranges and ranges[-1][1] == seq - 1:
            ranges[-1] = (ranges[-1][0], seq)
        else:
            ranges.append((seq, seq))
    return tuple(ranges)


def _joined(older: Ranges, newer: Ranges) -> Ranges:
    if older and newer and older[-1][1] + 1 == newer[0][0]:
        return (*older[:-1], (older[-1][0], newer[0][1]), *newer[1:])
    return older + newer
