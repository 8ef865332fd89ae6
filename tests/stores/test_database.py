"""One file, one writer that commits in groups, readers with snapshots."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw
import pytest
import trio

from core.base.errors import Rejected, Unavailable
from sidecars.stores.embedded import database as database_module
from sidecars.stores.embedded.database import OutcomeUnknown, open_database

PATH = "file.db"


def _make(connection: apsw.Connection) -> None:
    connection.execute("CREATE TABLE t (a INTEGER NOT NULL UNIQUE)")


def _put(connection: apsw.Connection, *numbers: int) -> None:
    for number in numbers:
        connection.execute("INSERT INTO t VALUES (?)", (number,))


def _all(connection: apsw.Connection) -> list[int]:
    return [number for (number,) in connection.execute("SELECT a FROM t ORDER BY a")]


async def test_what_was_written_is_read_and_stays(tmp_path: Path) -> None:
    async with open_database(tmp_path / PATH) as database:
        await database.write(_make)
        await database.write(lambda connection: _put(connection, 1, 2))
        assert await database.read(_all) == [1, 2]
    async with open_database(tmp_path / PATH) as database:
        assert await database.read(_all) == [1, 2]


async def test_an_error_undoes_its_own_write_alone(tmp_path: Path) -> None:
    def fail(connection: apsw.Connection) -> None:
        _put(connection, 100)
        raise Rejected("conflict", "no")

    def violate(connection: apsw.Connection) -> None:
        _put(connection, 200, 1)

    refused = []
    async with open_database(tmp_path / PATH) as database:
        await database.write(_make)
        await database.write(lambda connection: _put(connection, 1))

        async def put(number: int) -> None:
            await database.write(lambda connection: _put(connection, number))

        async def refuse() -> None:
            with pytest.raises(Rejected):
                await database.write(fail)
            refused.append(1)

        async def break_constraint() -> None:
            with pytest.raises(apsw.ConstraintError):
                await database.write(violate)
            refused.append(2)

        async with trio.open_nursery() as nursery:
            for number in range(2, 30):
                nursery.start_soon(put, number)
                if number % 10 == 0:
                    nursery.start_soon(refuse)
                    nursery.start_soon(break_constraint)
        assert await database.read(_all) == list(range(1, 30))
    assert len(refused) == 4


def test_writes_that_wait_are_committed_together(tmp_path: Path) -> None:
    async def write() -> None:
        async with open_database(tmp_path / PATH) as database:

            async def put(number: int) -> None:
                await database.write(lambda connection: _put(connection, number))

            await database.write(_make)
            vfs.syncs = 0
            async with trio.open_nursery() as nursery:
                for number in range(200):
                    nursery.start_soon(put, number)
            assert await database.read(_all) == list(range(200))
            assert 1 <= vfs.syncs < 50

    with _syncs() as vfs:
        trio.run(write)


async def test_readers_cannot_write_and_see_one_snapshot(tmp_path: Path) -> None:
    async with open_database(tmp_path / PATH) as database:
        await database.write(_make)
        with pytest.raises(Unavailable, match="read-only"):
            await database.read(lambda connection: _put(connection, 1))

        def look_twice(connection: apsw.Connection) -> tuple[list[int], list[int]]:
            before = _all(connection)
            trio.from_thread.run(database.write, lambda writer: _put(writer, 7), trio_token=token)
            return before, _all(connection)

        token = trio.lowlevel.current_trio_token()
        assert await database.read(look_twice) == ([], [])
        assert await database.read(_all) == [7]


async def test_the_log_is_checkpointed_when_it_has_grown_and_when_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "WAL_PAGES_MAX", 50)
    wal = tmp_path / f"{PATH}-wal"
    async with open_database(tmp_path / PATH) as database:
        await database.write(lambda connection: connection.execute("CREATE TABLE b (body BLOB)"))
        for _ in range(60):
            await database.write(lambda connection: connection.execute("INSERT INTO b VALUES (zeroblob(20000))"))
        assert wal.stat().st_size < 100 * 4_200 < 60 * 20_000
    assert not wal.exists()


async def test_a_file_that_is_no_database_fails_the_start(tmp_path: Path) -> None:
    (tmp_path / PATH).write_bytes(b"this is text, not a database" * 100)
    with pytest.raises(BaseExceptionGroup) as caught:
        async with open_database(tmp_path / PATH):
            pass
    assert "damaged" in str(_leaf(caught.value))
    assert (tmp_path / PATH).read_bytes() == b"this is text, not a database" * 100


def _leaf(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


class _SyncVFS(apsw.VFS):
    """A disk whose syncs are counted, and fail while `is_broken`."""

    def __init__(self) -> None:
        super().__init__("syncs", "unix", makedefault=True)
        self.is_broken = False
        self.syncs = 0

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        return _SyncFile(self, name, flags)


class _SyncFile(apsw.VFSFile):
    def __init__(self, vfs: _SyncVFS, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__("unix", name, flags)
        self._vfs = vfs

    def xSync(self, flags: int) -> None:
        if self._vfs.is_broken:
            raise apsw.IOError("sync failed")
        self._vfs.syncs += 1
        super().xSync(flags)


@contextmanager
def _syncs() -> Iterator[_SyncVFS]:
    vfs = _SyncVFS()
    try:
        yield vfs
    finally:
        vfs.unregister()


def test_a_commit_that_fails_half_way_has_an_unknown_outcome_and_later_ones_go_on(tmp_path: Path) -> None:
    async def write() -> None:
        async with open_database(tmp_path / PATH) as database:
            await database.write(_make)
            vfs.is_broken = True
            with pytest.raises(OutcomeUnknown):
                await database.write(lambda connection: _put(connection, 1))
            vfs.is_broken = False
            await database.write(lambda connection: _put(connection, 2))
            assert 2 in await database.read(_all)

    with _syncs() as vfs:
        trio.run(write)
