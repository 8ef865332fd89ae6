"""The data directory: made, locked, checked and brought to the present version before anything else touches it.

It holds `trimaran.db` (all stores) and `lock`. Opening counts the starts durably; the count is the epoch of everything
this process does, so whatever a dead one left under way is fenced. Nothing that cannot be used is changed.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import apsw

from sidecars.stores.embedded import schema

_DATABASE: Final = "trimaran.db"
_LOCK: Final = "lock"


class DataDirUnusable(Exception):
    """The data directory cannot be used; the message names it, what was found and what was expected."""

    def __init__(self, path: Path, found: str, expected: str) -> None:
        super().__init__(f"data directory {path}: {found}; expected {expected}")


@dataclass(frozen=True, slots=True)
class DataDir:
    """A data directory that is ours while the block of `open_data_dir` lasts."""

    path: Path
    epoch: int  # this is the how-manyth start on it

    @property
    def database(self) -> Path:
        """The file of all stores."""
        return self.path / _DATABASE


@contextmanager
def open_data_dir(path: Path) -> Iterator[DataDir]:
    """Make or open the data directory and hold its lock; blocks for some milliseconds, so call it before the loop runs.

    Raises: DataDirUnusable: it is not a directory, read-only, full, in use, of a newer version, or holds something
    else.
    """
    path = path.absolute()
    _make(path)
    lock = _lock(path)
    try:
        yield DataDir(path, _open_database(path))
    finally:
        os.close(lock)


def _make(path: Path) -> None:
    try:
        if not path.is_dir():
            path.mkdir(mode=0o700, parents=True)
            _sync_directory(path.parent)
    except (FileExistsError, NotADirectoryError) as error:
        raise DataDirUnusable(path, "it, or a part of its path, is a file", "a directory, or nothing") from error
    except OSError as error:
        raise DataDirUnusable(
            path, f"it cannot be made ({error.strerror})", "a directory that can be written"
        ) from error


def _lock(path: Path) -> int:
    """The descriptor that holds the lock; closing it, or the end of the process, however it ends, lets go of it."""
    try:
        descriptor = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise DataDirUnusable(
            path, f"it cannot be written ({error.strerror})", "a directory that can be written, with room on its disk"
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
        os.close(descriptor)
        raise DataDirUnusable(path, f"process {holder or '(unknown)'} is using it", "one process at a time") from error
    # The number is a help for people; a full disk that has no room for it is told of where it matters.
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    except OSError:
        pass
    return descriptor


def _open_database(path: Path) -> int:
    """Check, migrate and count the start; returns the count."""
    try:
        connection = apsw.Connection(str(path / _DATABASE))
        try:
            connection.set_busy_timeout(1_000)
            _check(path, connection)
            connection.pragma("journal_mode", "wal")
            connection.pragma("synchronous", "full")
            epoch = _start(connection)
        finally:
            connection.close()
        (path / _DATABASE).chmod(0o600)
        _sync_directory(path)  # a new file's name must survive a power cut, as what is in it does
    except apsw.Error as error:
        raise _unusable(path, error) from error
    except OSError as error:
        raise DataDirUnusable(path, f"{error.strerror}", "a directory that can be written") from error
    return epoch


def _check(path: Path, connection: apsw.Connection) -> None:
    """Only looks: a file that is not ours, or newer than us, stays exactly as it is."""
    application_id = connection.pragma("application_id")
    found = connection.pragma("user_version")
    is_new = connection.execute("SELECT count(*) FROM sqlite_schema").get == 0
    if is_new and not application_id and not found:
        return
    if application_id != schema.APPLICATION_ID:
        raise DataDirUnusable(path, f"{_DATABASE} is another program's database", "one made by Trimaran")
    if found > schema.version():
        raise DataDirUnusable(path, f"version {found}, made by a newer Trimaran", f"version {schema.version()} or less")


def _start(connection: apsw.Connection) -> int:
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute("CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT")
        schema.migrate(connection)
        epoch: int = connection.execute(
            "INSERT INTO meta VALUES ('starts', 1) ON CONFLICT DO UPDATE SET value = value + 1 RETURNING value"
        ).get
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return epoch


def _unusable(path: Path, error: apsw.Error) -> DataDirUnusable:
    match error:
        case apsw.NotADBError() | apsw.CorruptError():
            return DataDirUnusable(path, f"{_DATABASE} is damaged or no database ({error})", "one made by Trimaran")
        case apsw.FullError():
            return DataDirUnusable(path, "its disk is full", "room for a few megabytes")
        case apsw.ReadOnlyError() | apsw.PermissionsError() | apsw.CantOpenError():
            return DataDirUnusable(path, f"{_DATABASE} cannot be written ({error})", "a file that can be written")
        case apsw.BusyError() | apsw.LockedError():
            return DataDirUnusable(path, f"another program is using {_DATABASE}", "one process at a time")
        case _:
            return DataDirUnusable(path, f"{_DATABASE} cannot be opened ({error})", "one made by Trimaran")


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
