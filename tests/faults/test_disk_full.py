"""A full disk refuses writes and harms nothing; when there is room again, they go on."""

from collections.abc import Callable
from pathlib import Path

import apsw
import pytest
import trio

from core.base.errors import Unavailable
from core.base.ids import ClientId, UserId, direct_conversation
from core.base.records import Append, Appended, Entry, Refused
from sidecars.stores.embedded.data_dir import DataDirUnusable, open_data_dir
from sidecars.stores.embedded.database import open_database
from sidecars.stores.embedded.log import EmbeddedLog

BASE = "unix"


class _FullVFS(apsw.VFS):
    """A disk without room, while `is_full`."""

    def __init__(self) -> None:
        super().__init__("full", BASE, makedefault=True)
        self.is_full = False

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        return _FullFile(self, name, flags)


class _FullFile(apsw.VFSFile):
    def __init__(self, vfs: _FullVFS, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__(BASE, name, flags)
        self._vfs = vfs

    def xWrite(self, data: bytes, offset: int) -> None:
        # What is there already can be written over, as on a real disk.
        if self._vfs.is_full and offset + len(data) > self.xFileSize():
            raise apsw.FullError("no room")
        super().xWrite(data, offset)


def test_a_full_disk_refuses_writes_until_there_is_room(tmp_path: Path) -> None:
    vfs = _FullVFS()
    try:
        trio.run(_fill, tmp_path / "file.db", vfs)
    finally:
        vfs.unregister()
    connection = apsw.Connection(str(tmp_path / "file.db"))
    assert connection.execute("PRAGMA integrity_check").get == "ok"
    assert connection.execute("SELECT a FROM t").fetchall() == [(1,), (3,)]
    connection.close()


async def _fill(path: Path, vfs: _FullVFS) -> None:
    def put(number: int) -> Callable[[apsw.Connection], object]:
        return lambda connection: connection.execute("INSERT INTO t VALUES (?)", (number,))

    async with open_database(path) as database:
        await database.write(lambda connection: connection.execute("CREATE TABLE t (a)"))
        await database.write(put(1))
        vfs.is_full = True
        with pytest.raises(Unavailable, match="disk is full"):
            await database.write(put(2))
        assert await database.read(lambda connection: connection.execute("SELECT a FROM t").get) == 1
        vfs.is_full = False
        await database.write(put(3))


def test_an_append_to_a_full_disk_is_refused_and_can_be_repeated(tmp_path: Path) -> None:
    vfs = _FullVFS()
    try:
        with open_data_dir(tmp_path / "data") as data_dir:
            trio.run(_append, data_dir.database, vfs)
    finally:
        vfs.unregister()


async def _append(path: Path, vfs: _FullVFS) -> None:
    user = UserId("01890000-0000-7000-8000-000000000001")
    conversation = direct_conversation(user, user)
    client_id = ClientId("01890000-0000-7000-8000-000000000002")
    entry = Entry(conversation, 1, user, "", client_id, "text", b'{"text":"hello"}', 0, 1, 1)
    async with open_database(path) as database:
        log = EmbeddedLog(database)
        await log.claim(conversation, 1, 0)
        vfs.is_full = True
        assert await log.append([Append(conversation, 1, 0, (entry,))]) == [Refused(conversation, "the disk is full")]
        assert await log.find(conversation, user, client_id) is None
        vfs.is_full = False
        assert await log.append([Append(conversation, 1, 0, (entry,))]) == [Appended(conversation, 1)]


def test_a_start_on_a_full_disk_says_so(tmp_path: Path) -> None:
    vfs = _FullVFS()
    try:
        vfs.is_full = True
        with pytest.raises(DataDirUnusable, match="its disk is full"), open_data_dir(tmp_path / "data"):
            pass
    finally:
        vfs.unregister()
    with open_data_dir(tmp_path / "data") as data_dir:
        assert data_dir.epoch == 1
