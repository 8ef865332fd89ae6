"""The data directory is ours alone, counts its starts, and is never harmed by a start that cannot be."""

import stat
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from sidecars.stores.embedded import schema
from sidecars.stores.embedded.data_dir import DataDirUnusable, open_data_dir

ROOT = Path(__file__).parents[2]


def _refused(path: Path) -> str:
    with pytest.raises(DataDirUnusable) as caught, open_data_dir(path):
        pass
    assert str(path) in str(caught.value)
    return str(caught.value)


def _files(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.iterdir() if file.name != "lock"}


def test_a_missing_directory_is_made_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "some" / "where"
    with open_data_dir(path) as data_dir:
        assert data_dir.database.exists()
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
        assert {stat.S_IMODE(file.stat().st_mode) for file in path.iterdir()} == {0o600}


def test_each_start_is_counted(tmp_path: Path) -> None:
    for expected in (1, 2, 3):
        with open_data_dir(tmp_path) as data_dir:
            assert data_dir.epoch == expected


def test_a_second_process_is_kept_out_and_told_who_is_in(tmp_path: Path) -> None:
    script = f"""
from pathlib import Path
from sidecars.stores.embedded.data_dir import *
try:
    with open_data_dir(Path({str(tmp_path)!r})): print("in")
except DataDirUnusable as error:
    print(error)
"""
    with open_data_dir(tmp_path):
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True
        )
        assert "one process at a time" in done.stdout
        assert "process " in done.stdout
    with open_data_dir(tmp_path) as data_dir:
        assert data_dir.epoch == 2


def test_a_lock_file_left_by_a_dead_process_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("4194305\n")
    with open_data_dir(tmp_path) as data_dir:
        assert data_dir.epoch == 1


def test_a_file_where_the_directory_should_be_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("mine")
    assert "is a file" in _refused(path)
    assert "is a file" in _refused(path / "below")
    assert path.read_text() == "mine"


def test_a_directory_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    # /proc takes no directories, not even from root, whom permissions do not stop.
    assert "cannot be made" in _refused(Path("/proc/trimaran"))


def test_a_newer_version_is_refused_and_not_touched(tmp_path: Path) -> None:
    with open_data_dir(tmp_path) as data_dir:
        connection = apsw.Connection(str(data_dir.database))
        connection.pragma("user_version", schema.version() + 1)
        connection.close()
    before = _files(tmp_path)
    message = _refused(tmp_path)
    assert f"version {schema.version() + 1}" in message
    assert f"version {schema.version()} or less" in message
    assert _files(tmp_path) == before


def test_another_programs_database_is_refused_and_not_touched(tmp_path: Path) -> None:
    connection = apsw.Connection(str(tmp_path / "trimaran.db"))
    connection.execute("CREATE TABLE theirs (a)")
    connection.close()
    before = _files(tmp_path)
    assert "another program's" in _refused(tmp_path)
    assert _files(tmp_path) == before


def test_a_file_that_is_no_database_is_refused_and_not_touched(tmp_path: Path) -> None:
    (tmp_path / "trimaran.db").write_bytes(b"no database at all, just words " * 50)
    before = _files(tmp_path)
    assert "damaged or no database" in _refused(tmp_path)
    assert _files(tmp_path) == before


def test_an_older_version_gets_what_is_missing_in_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_data_dir(tmp_path):
        pass
    more = (*schema.scripts(), (schema.version() + 1, "CREATE TABLE more (a); CREATE TABLE meta (broken)"))
    with monkeypatch.context() as patch:
        patch.setattr(schema, "scripts", lambda: more)
        with pytest.raises(DataDirUnusable), open_data_dir(tmp_path):
            pass
    more = (*schema.scripts(), (schema.version() + 1, "CREATE TABLE more (a)"))
    monkeypatch.setattr(schema, "scripts", lambda: more)
    with open_data_dir(tmp_path) as data_dir:
        assert data_dir.epoch == 2  # the start that failed left nothing behind
        connection = apsw.Connection(str(data_dir.database))
        assert connection.pragma("user_version") == len(more)
        assert connection.execute("SELECT count(*) FROM more").get == 0
        connection.close()
