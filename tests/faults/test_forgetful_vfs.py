"""The disk that forgets does forget, and only what was not synced."""

import random
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from tests.faults.forgetful_vfs import EXIT_CODE, SECTOR, ForgetfulVFS, forgetful

OPEN = [apsw.SQLITE_OPEN_MAIN_DB | apsw.SQLITE_OPEN_CREATE | apsw.SQLITE_OPEN_READWRITE, 0]


def _open(vfs: ForgetfulVFS, path: Path) -> apsw.VFSFile:
    return vfs.xOpen(str(path), list(OPEN))


def test_what_was_not_synced_is_gone_after_a_cut(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with forgetful() as vfs:
        file = _open(vfs, path)
        file.xWrite(b"a" * 1000, 0)
        file.xSync(apsw.SQLITE_SYNC_FULL)
        file.xWrite(b"b" * 2000, 500)
        assert path.read_bytes() == b"a" * 500 + b"b" * 2000
        vfs.cut()
    assert path.read_bytes() == b"a" * 1000


def test_a_file_that_was_never_synced_does_not_exist_after_a_cut(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with forgetful() as vfs:
        _open(vfs, path).xWrite(b"a", 0)
        vfs.cut()
    assert not path.exists()


def test_truncating_and_deleting_are_undone_by_a_cut(tmp_path: Path) -> None:
    cut, deleted = tmp_path / "cut", tmp_path / "deleted"
    for path in (cut, deleted):
        path.write_bytes(b"old" * 1000)
    with forgetful() as vfs:
        file = _open(vfs, cut)
        file.xTruncate(10)
        file.xWrite(b"new", 2000)
        vfs.xDelete(str(deleted), False)
        assert not deleted.exists()
        vfs.cut()
    assert cut.read_bytes() == b"old" * 1000
    assert deleted.read_bytes() == b"old" * 1000


def test_a_deletion_with_its_directory_synced_stays(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with forgetful() as vfs:
        vfs.xDelete(str(path), True)
        vfs.cut()
    assert not path.exists()


def test_with_a_generator_sectors_survive_in_part_and_never_torn_within(tmp_path: Path) -> None:
    survivors = set()
    for seed in range(10):
        path = tmp_path / str(seed)
        path.write_bytes(b"a" * SECTOR * 20)
        with forgetful(rng=random.Random(seed)) as vfs:
            _open(vfs, path).xWrite(b"b" * SECTOR * 20, 0)
            vfs.cut()
        content = path.read_bytes()
        sectors = [content[at : at + SECTOR] for at in range(0, len(content), SECTOR)]
        assert all(sector in (b"a" * SECTOR, b"b" * SECTOR) for sector in sectors)
        survivors.add(sum(sector[:1] == b"b" for sector in sectors))
    assert len(survivors) > 2


def test_after_the_cut_every_call_fails(tmp_path: Path) -> None:
    with forgetful() as vfs:
        file = _open(vfs, tmp_path / "file")
        file.xWrite(b"a", 0)
        vfs.cut()
        for call in (
            lambda: file.xWrite(b"b", 0),
            lambda: file.xRead(1, 0),
            lambda: file.xSync(apsw.SQLITE_SYNC_FULL),
            lambda: file.xTruncate(0),
            lambda: vfs.xDelete(str(tmp_path / "file"), True),
            lambda: _open(vfs, tmp_path / "other"),
        ):
            with pytest.raises(apsw.IOError):
                call()


def test_a_cut_by_count_comes_at_that_step(tmp_path: Path) -> None:
    with forgetful() as vfs:
        file = _open(vfs, tmp_path / "file")
        vfs.cut_after = 3
        file.xWrite(b"old", 0)
        file.xSync(apsw.SQLITE_SYNC_FULL)
        with pytest.raises(apsw.IOError):
            file.xWrite(b"new", 0)
    assert (tmp_path / "file").read_bytes() == b"old"


def test_a_process_cuts_itself_at_a_signal(tmp_path: Path) -> None:
    path = tmp_path / "file.db"
    script = f"""
import os, signal, apsw
from tests.faults.forgetful_vfs import ForgetfulVFS
vfs = ForgetfulVFS(is_default=True)
vfs.cut_on(signal.SIGUSR1)
connection = apsw.Connection({str(path)!r})
connection.pragma("journal_mode", "wal")
connection.execute("CREATE TABLE t (a); INSERT INTO t VALUES (1)")
connection.pragma("synchronous", "off")
connection.execute("INSERT INTO t VALUES (2)")
os.kill(os.getpid(), signal.SIGUSR1)
print("still alive")
"""
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=root, capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (EXIT_CODE, "", "")
    connection = apsw.Connection(str(path))
    assert connection.execute("SELECT a FROM t").fetchall() == [(1,)]
    connection.close()
