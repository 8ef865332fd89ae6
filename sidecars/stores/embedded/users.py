"""Accounts, devices and blocks in SQLite: `EmbeddedUserStore` keeps the port UserStore."""

from collections.abc import Sequence
from typing import Final

import apsw
from msgspec.json import encode

from core.base.ids import DeviceId, UserId
from core.base.records import Person
from sidecars.ports.users import Account, AccountChange, Device, Family, Privacy, words_of
from sidecars.stores.embedded.database import Database
from sidecars.stores.embedded.rows import Row

_ACCOUNT: Final = """
    SELECT id, email, ifnull(email_key, ''), name, password_hash, created_ms, last_seen, read_receipts,
           is_operator, is_disabled, deleted_ms
    FROM account
"""
_DEVICE: Final = """
    SELECT id, user, name, created_ms, used_ms,
           family_hash, current_hash, previous_hash, nonce, rotated_ms, expires_ms
    FROM device
"""
_LISTED: Final = "SELECT value FROM json_each(?)"
_BEGINS: Final = "SELECT user FROM account_word WHERE word >= ?1 AND word < ?1 || char(0x10ffff)"


class EmbeddedUserStore:
    """UserStore on a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # ---- accounts

    async def add(self, account: Account) -> bool:
        """See the port."""

        def fn(connection: apsw.Connection) -> bool:
            connection.execute(
                """
                INSERT INTO account VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (email_key) DO NOTHING
                """,
                (
                    account.id,
                    account.email,
                    account.email_key,
                    account.name,
                    account.password_hash,
                    account.created_ms,
                    account.privacy.last_seen,
                    account.privacy.read_receipts,
                    account.is_operator,
                    account.is_disabled,
                    account.deleted_ms,
                ),
            )
            is_added = connection.changes() == 1
            if is_added:
                _index(connection, account.id, account.name)
            return is_added

        return await self._database.write(fn)

    async def account(self, user: UserId) -> Account | None:
        """See the port."""
        return await self._database.read(lambda connection: _account(connection, user))

    async def accounts(self, users: Sequence[UserId]) -> list[Account]:
        """See the port."""

        def fn(connection: apsw.Connection) -> list[Account]:
            rows = connection.execute(f"{_ACCOUNT} WHERE id IN ({_LISTED})", (_list(users),))
            return [_account_of(row) for row in rows]

        return await self._database.read(fn)

    async def account_of_email(self, email_key: str) -> Account | None:
        """See the port."""

        def fn(connection: apsw.Connection) -> Account | None:
            row = connection.execute(f"{_ACCOUNT} WHERE email_key = ?", (email_key,)).fetchone()
            return None if row is None else _account_of(row)

        return await self._database.read(fn)

    async def search(self, text: str, limit: int) -> list[Account]:
        """See the port."""
        words = words_of(text)
        if not words:
            return []
        found = " INTERSECT ".join(_BEGINS.replace("?1", f"?{number}") for number in range(1, len(words) + 1))
        query = f"""
            {_ACCOUNT} WHERE id IN ({found}) AND NOT is_disabled AND NOT deleted_ms
            ORDER BY name, id LIMIT ?{len(words) + 1}
        """

        def fn(connection: apsw.Connection) -> list[Account]:
            return [_account_of(row) for row in connection.execute(query, (*words, limit))]

        return await self._database.read(fn)

    async def change(self, user: UserId, change: AccountChange) -> Account | None:
        """See the port."""
        privacy = change.privacy
        values = (
            change.name,
            None if privacy is None else privacy.last_seen,
            None if privacy is None else privacy.read_receipts,
            change.is_operator,
            change.is_disabled,
            user,
        )

        def fn(connection: apsw.Connection) -> Account | None:
            connection.execute(
                """
                UPDATE account SET name = ifnull(?, name), last_seen = ifnull(?, last_seen),
                    read_receipts = ifnull(?, read_receipts), is_operator = ifnull(?, is_operator),
                    is_disabled = ifnull(?, is_disabled)
                WHERE id = ? AND NOT deleted_ms
                """,
                values,
            )
            if connection.changes() == 0:
                return None
            if change.name is not None:
                _index(connection, user, change.name)
            return _account(connection, user)

        return await self._database.write(fn)

    async def set_password(
        self, user: UserId, old_hash: str, new_hash: str, keep: DeviceId | None
    ) -> list[DeviceId] | None:
        """See the port."""

        def fn(connection: apsw.Connection) -> list[DeviceId] | None:
            connection.execute(
                "UPDATE account SET password_hash = ? WHERE id = ? AND password_hash = ? AND NOT deleted_ms",
                (new_hash, user, old_hash),
            )
            return None if connection.changes() == 0 else _remove_devices(connection, user, keep)

        return await self._database.write(fn)

    async def erase(self, user: UserId, at_ms: int) -> list[DeviceId]:
        """See the port."""

        def fn(connection: apsw.Connection) -> list[DeviceId]:
            connection.execute(
                """
                UPDATE account SET email = '', email_key = NULL, name = '', password_hash = '', created_ms = 0,
                    last_seen = 'nobody', read_receipts = 0, is_operator = 0, deleted_ms = ?
                WHERE id = ? AND NOT deleted_ms
                """,
                (at_ms, user),
            )
            if connection.changes() == 0:
                return []
            _index(connection, user, "")
            connection.execute("DELETE FROM block WHERE user = ?", (user,))
            connection.execute("DELETE FROM block WHERE other = ?", (user,))
            return _remove_devices(connection, user, None)

        return await self._database.write(fn)

    # ---- devices

    async def log_in(self, device: Device, password_hash: str, devices_max: int) -> list[DeviceId] | None:
        """See the port."""
        values = (device.id, device.user, device.name, device.created_ms, device.used_ms, *_values(device.family))

        def fn(connection: apsw.Connection) -> list[DeviceId] | None:
            account = _account(connection, device.user)
            if account is None or not account.is_active or account.password_hash != password_hash:
                return None
            connection.execute(
                """
                INSERT INTO device VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET
                    name = excluded.name, used_ms = excluded.used_ms, family_hash = excluded.family_hash,
                    current_hash = excluded.current_hash, previous_hash = excluded.previous_hash,
                    nonce = excluded.nonce, rotated_ms = excluded.rotated_ms, expires_ms = excluded.expires_ms
                WHERE user = excluded.user
                """,
                values,
            )
            if connection.changes() == 0:
                return None
            return _keep_newest(connection, device, devices_max)

        return await self._database.write(fn)

    async def device_of_family(self, family_hash: str) -> Device | None:
        """See the port."""

        def fn(connection: apsw.Connection) -> Device | None:
            row = connection.execute(f"{_DEVICE} WHERE family_hash = ?", (family_hash,)).fetchone()
            return None if row is None else _device_of(row)

        return await self._database.read(fn)

    async def devices(self, user: UserId) -> list[Device]:
        """See the port."""

        def fn(connection: apsw.Connection) -> list[Device]:
            rows = connection.execute(f"{_DEVICE} WHERE user = ? ORDER BY used_ms DESC, id DESC", (user,))
            return [_device_of(row) for row in rows]

        return await self._database.read(fn)

    async def rotate(self, device: DeviceId, current_hash: str, family: Family, used_ms: int) -> bool:
        """See the port."""

        def fn(connection: apsw.Connection) -> bool:
            connection.execute(
                """
                UPDATE device SET used_ms = ?, family_hash = ?, current_hash = ?, previous_hash = ?, nonce = ?,
                    rotated_ms = ?, expires_ms = ?
                WHERE id = ? AND family_hash = ? AND current_hash = ?
                """,
                (used_ms, *_values(family), device, family.family_hash, current_hash),
            )
            return connection.changes() == 1

        return await self._database.write(fn)

    async def remove_device(self, user: UserId, device: DeviceId) -> bool:
        """See the port."""

        def fn(connection: apsw.Connection) -> bool:
            connection.execute("DELETE FROM device WHERE id = ? AND user = ?", (device, user))
            return connection.changes() == 1

        return await self._database.write(fn)

    async def person(self, user: UserId, device: DeviceId) -> Person | None:
        """See the port."""

        def fn(connection: apsw.Connection) -> Person | None:
            row = connection.execute(
                """
                SELECT a.name, NOT a.is_disabled FROM device d JOIN account a ON a.id = d.user
                WHERE d.id = ? AND d.user = ? AND NOT a.deleted_ms
                """,
                (device, user),
            ).fetchone()
            return None if row is None else Person(user, row[0], device, bool(row[1]))

        return await self._database.read(fn)

    # ---- blocks

    async def set_block(self, user: UserId, other: UserId, is_blocked: bool) -> bool:
        """See the port."""
        statement = (
            "INSERT INTO block VALUES (?, ?) ON CONFLICT DO NOTHING"
            if is_blocked
            else "DELETE FROM block WHERE user = ? AND other = ?"
        )

        def fn(connection: apsw.Connection) -> bool:
            connection.execute(statement, (user, other))
            return connection.changes() == 1

        return await self._database.write(fn)

    async def blocks(self, user: UserId) -> list[UserId]:
        """See the port."""

        def fn(connection: apsw.Connection) -> list[UserId]:
            return [
                other for (other,) in connection.execute("SELECT other FROM block WHERE user = ? ORDER BY 1", (user,))
            ]

        return await self._database.read(fn)

    async def blockers(self, user: UserId, others: Sequence[UserId]) -> frozenset[UserId]:
        """See the port."""

        def fn(connection: apsw.Connection) -> frozenset[UserId]:
            query = "SELECT user FROM block WHERE other = ? AND user IN (SELECT value FROM json_each(?))"
            return frozenset(blocker for (blocker,) in connection.execute(query, (user, _list(others))))

        return await self._database.read(fn)

    async def blocked(self, user: UserId, others: Sequence[UserId]) -> frozenset[UserId]:
        """See the port."""

        def fn(connection: apsw.Connection) -> frozenset[UserId]:
            query = "SELECT other FROM block WHERE user = ? AND other IN (SELECT value FROM json_each(?))"
            return frozenset(other for (other,) in connection.execute(query, (user, _list(others))))

        return await self._database.read(fn)

    async def pair(self, one: UserId, other: UserId) -> frozenset[UserId] | None:
        """See the port."""

        def fn(connection: apsw.Connection) -> frozenset[UserId] | None:
            found = connection.execute("SELECT count(*) FROM account WHERE id IN (?, ?)", (one, other)).get
            if found != len({one, other}):
                return None
            query = "SELECT user FROM block WHERE (user = ?1 AND other = ?2) OR (user = ?2 AND other = ?1)"
            return frozenset(blocker for (blocker,) in connection.execute(query, (one, other)))

        return await self._database.read(fn)


def _account(connection: apsw.Connection, user: UserId) -> Account | None:
    row = connection.execute(f"{_ACCOUNT} WHERE id = ?", (user,)).fetchone()
    return None if row is None else _account_of(row)


def _account_of(row: Row) -> Account:
    user, email, email_key, name, password_hash, created_ms, last_seen, read_receipts, is_operator, *ends = row
    is_disabled, deleted_ms = ends
    return Account(
        user,
        email,
        email_key,
        name,
        password_hash,
        created_ms,
        Privacy(last_seen, bool(read_receipts)),
        bool(is_operator),
        bool(is_disabled),
        deleted_ms,
    )


def _device_of(row: Row) -> Device:
    device, user, name, created_ms, used_ms, *family = row
    return Device(device, user, name, created_ms, used_ms, Family(*family))


def _values(family: Family) -> tuple[str, str, str, str, int, int]:
    return (
        family.family_hash,
        family.current_hash,
        family.previous_hash,
        family.nonce,
        family.rotated_ms,
        family.expires_ms,
    )


def _list(users: Sequence[UserId]) -> str:
    return encode(users).decode()


def _index(connection: apsw.Connection, user: UserId, name: str) -> None:
    """Have a user found by the words of `name`, and by no others."""
    connection.execute("DELETE FROM account_word WHERE user = ?", (user,))
    connection.executemany("INSERT INTO account_word VALUES (?, ?)", [(word, user) for word in words_of(name)])


def _remove_devices(connection: apsw.Connection, user: UserId, keep: DeviceId | None) -> list[DeviceId]:
    rows = connection.execute("DELETE FROM device WHERE user = ? AND id IS NOT ? RETURNING id", (user, keep))
    return [device for (device,) in rows]


def _keep_newest(connection: apsw.Connection, newest: Device, devices_max: int) -> list[DeviceId]:
    rows = connection.execute(
        """
        DELETE FROM device WHERE id IN (
            SELECT id FROM device WHERE user = ?1 AND id <> ?2 ORDER BY used_ms DESC, id DESC LIMIT -1 OFFSET ?3
        ) RETURNING id
        """,
        (newest.user, newest.id, devices_max - 1),
    )
    return [device for (device,) in rows]
