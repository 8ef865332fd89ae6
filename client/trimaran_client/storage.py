"""Where the outbox survives the end of the program: a message is on disk before it is first transmitted, and until it
is acknowledged.

A store is synchronous; `chat.py` calls it in a worker thread, one call at a time.
"""

import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

import msgspec

from trimaran_client.errors import OutboxBroken, OutboxInUse
from trimaran_client.outbox import OutboxItem


class OutboxStore(Protocol):
    """What a chat needs of its store."""

    is_durable: bool
    """Whether it is worth a thread."""

    def owner(self) -> str | None:
        """The user whose messages these are; None while it has none."""
        ...

    def set_owner(self, user: str) -> None:
        """From now on these are this user's."""
        ...

    def load(self) -> list[OutboxItem]:
        """All messages in the order they were added."""
        ...

    def add(self, items: Iterable[OutboxItem]) -> None:
        """Adds messages; on return they are durable.

        Raises:
            OutboxBroken: none was added.
        """
        ...

    def remove(self, client_ids: Iterable[str]) -> None:
        """Removes messages. A crash may undo it: what is sent once more is then acknowledged as a duplicate."""
        ...

    def close(self) -> None:
        """Gives the file free for others."""
        ...


class NoStore:
    """Keeps nothing: the outbox ends with the program."""

    is_durable = False

    def owner(self) -> str | None:
        return None

    def set_owner(self, user: str) -> None:
        pass

    def load(self) -> list[OutboxItem]:
        return []

    def add(self, items: Iterable[OutboxItem]) -> None:
        pass

    def remove(self, client_ids: Iterable[str]) -> None:
        pass

    def close(self) -> None:
        pass


class FileStore:
    """An SQLite file, for one program at a time, readable by its user alone."""

    is_durable = True

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Opens the file, or makes it.

        Raises:
            OutboxInUse: another program has it open.
            OutboxBroken: it is no outbox, or cannot be written.
        """
        file = Path(path)
        # Made before SQLite makes it, so that nobody else may read it at any time.
        os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
        # Calls come from several threads, but one after the other; statements commit by themselves.
        self._db = sqlite3.connect(file, timeout=0.0, isolation_level=None, check_same_thread=False)
        try:
            self._db.execute("pragma locking_mode = exclusive")
            self._db.execute("pragma journal_mode = wal")
            self._db.execute("pragma synchronous = full")
            self._db.execute("begin exclusive")
            self._db.execute(
                "create table if not exists outbox (position integer primary key, client_id text unique, item blob)"
            )
            self._db.execute("create table if not exists owner (user text)")
            self._db.execute("commit")
        except sqlite3.Error as error:
            self._db.close()
            if getattr(error, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
                raise OutboxInUse(f"another program has {file} open") from error
            raise OutboxBroken(f"{file}: {error}") from error

    def owner(self) -> str | None:
        row = self._db.execute("select user from owner").fetchone()
        return row[0] if row else None

    def set_owner(self, user: str) -> None:
        self._db.execute("insert into owner select ? where not exists (select 1 from owner)", (user,))

    def load(self) -> list[OutboxItem]:
        rows = self._db.execute("select item from outbox order by position")
        return [msgspec.json.decode(item, type=OutboxItem) for (item,) in rows]

    def add(self, items: Iterable[OutboxItem]) -> None:
        rows = [(item.client_id, msgspec.json.encode(item)) for item in items]
        self._write("insert into outbox (client_id, item) values (?, ?)", rows)

    def remove(self, client_ids: Iterable[str]) -> None:
        self._write("delete from outbox where client_id = ?", [(client_id,) for client_id in client_ids])

    def _write(self, statement: str, rows: list[tuple[str, bytes]] | list[tuple[str]]) -> None:
        try:
            with self._db:
                self._db.execute("begin immediate")
                self._db.executemany(statement, rows)
        except sqlite3.Error as error:
            raise OutboxBroken(str(error)) from error

    def close(self) -> None:
        self._db.close()
