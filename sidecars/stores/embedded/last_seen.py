"""Last activity of users in SQLite: `EmbeddedLastSeenStore` keeps the port LastSeenStore."""

from collections.abc import Sequence
from typing import Final

import apsw

from core.base.ids import UserId
from sidecars.stores.embedded.database import Database
from sidecars.stores.embedded.rows import find_user, intern_user

_NOTE: Final = "INSERT INTO last_seen VALUES (?, ?) ON CONFLICT DO UPDATE SET at_ms = max(at_ms, excluded.at_ms)"


class EmbeddedLastSeenStore:
    """LastSeenStore on a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def note(self, times: Sequence[tuple[UserId, int]]) -> None:
        """See the port."""

        def fn(connection: apsw.Connection) -> None:
            connection.executemany(_NOTE, [(intern_user(connection, user), at_ms) for user, at_ms in times])

        await self._database.write(fn)

    async def last(self, users: Sequence[UserId]) -> list[int]:
        """See the port."""

        def one(connection: apsw.Connection, user: UserId) -> int:
            at_ms: int | None = connection.execute(
                "SELECT at_ms FROM last_seen WHERE user = ?", (find_user(connection, user),)
            ).get
            return at_ms or 0

        return await self._database.read(lambda connection: [one(connection, user) for user in users])
