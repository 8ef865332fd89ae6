"""The projection of the groups' logs, and invites, in SQLite: `EmbeddedGroupStore` keeps the port GroupStore."""

from collections.abc import Sequence
from typing import Final

import apsw
from msgspec.json import Decoder, encode

from core.base.ids import ConversationId, GroupId, UserId, group_conversation
from core.base.records import GroupState, Role
from sidecars.ports.groups import Invite
from sidecars.stores.embedded.database import Database

_MEMBERS: Final = Decoder(dict[UserId, Role])


class EmbeddedGroupStore:
    """GroupStore on a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def state(self, group: GroupId) -> GroupState | None:
        """See the port."""
        return await self._database.read(lambda connection: _state(connection, group))

    async def states(self, groups: Sequence[GroupId]) -> list[GroupState]:
        """See the port."""

        def fn(connection: apsw.Connection) -> list[GroupState]:
            return [state for group in groups if (state := _state(connection, group)) is not None]

        return await self._database.read(fn)

    async def put(self, state: GroupState) -> None:
        """See the port."""

        def fn(connection: apsw.Connection) -> None:
            connection.execute(
                """ INSERT INTO group_state (conversation, seq, name, history, members, created_ms) VALUES (?, ?, ?, ?,
                ?, ?) ON CONFLICT DO UPDATE SET seq = excluded.seq, name = excluded.name, history = excluded.history,
                members = excluded.members, created_ms = excluded.created_ms WHERE seq < excluded.seq """,
                (state.conversation, state.seq, state.name, state.history, encode(state.members), state.created_ms),
            )

        await self._database.write(fn)

    async def add_invite(self, invite: Invite) -> None:
        """See the port."""

        def fn(connection: apsw.Connection) -> None:
            connection.execute(
                "INSERT INTO group_invite VALUES (?, ?, ?, ?, ?)",
                (invite.code_hash, invite.group, invite.by, invite.expires_ms, invite.uses_left),
            )

        await self._database.write(fn)

    async def take_invite(self, code_hash: str, now_ms: int) -> Invite | None:
        """See the port. What it returns has the use taken off already; invites that are over go."""

        def fn(connection: apsw.Connection) -> Invite | None:
            connection.execute("DELETE FROM group_invite WHERE expires_ms <= ?", (now_ms,))
            row = connection.execute(
                """
                UPDATE group_invite SET uses_left = max(uses_left - 1, -1) WHERE code_hash = ? AND uses_left <> 0
                RETURNING group_id, by_user, expires_ms, uses_left
                """,
                (code_hash,),
            ).fetchone()
            return None if row is None else Invite(code_hash, *row)

        return await self._database.write(fn)

    async def return_invite(self, code_hash: str) -> None:
        """See the port."""

        def fn(connection: apsw.Connection) -> None:
            connection.execute(
                "UPDATE group_invite SET uses_left = uses_left + 1 WHERE code_hash = ? AND uses_left >= 0", (code_hash,)
            )

        await self._database.write(fn)


def _state(connection: apsw.Connection, group: GroupId) -> GroupState | None:
    row = connection.execute(
        "SELECT conversation, seq, name, history, members, created_ms FROM group_state WHERE conversation = ?",
        (group_conversation(group),),
    ).fetchone()
    if row is None:
        return None
    conversation, seq, name, history, members, created_ms = row
    return GroupState(ConversationId(conversation), seq, name, history, _MEMBERS.decode(members), created_ms)
