"""One SQLite file: a thread that writes in groups, threads that read, and the only place where apsw's errors are mapped
to ours.

All writes that wait are committed together: each runs in a savepoint of its own, so one's error undoes nothing of the
others, and one fsync serves all (WAL, `synchronous=FULL`). Readers have connections of their own, see one snapshot per
call and never wait for the writer. Checkpoints are the slowest thing here, so they are made when nothing has been
written for a while, or when the log has grown too long. Connections are opened through SQLite's default VFS, whichever
that is.

Source: https://www.sqlite.org/wal.html
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import apsw
import trio

from core.base.errors import TrimaranError, Unavailable
from core.base.limits import (
    READERS,
    READS_WAITING_MAX,
    STORE_REST_S,
    WAL_PAGES_MAX,
    WRITES_PER_TRANSACTION_MAX,
    WRITES_WAITING_MAX,
)
from core.bridge.worker import Call, Worker

T = TypeVar("T")

_READER_BUSY_MS: Final = 5_000
_WRITER_BUSY_MS: Final = 50  # nobody else writes; a checkpoint may wait this long for readers
_SYNCHRONOUS: Final = "full"  # off and normal lose acknowledged writes in a power cut: a test shows it
_STATEMENTS: Final = 256  # prepared statements that a connection keeps


class OutcomeUnknown(Unavailable):
    """The commit failed half-way: what was to be written may turn up after a restart, or may not."""


class Database:
    """A SQLite file. Build, then `await nursery.start(database.run)`, or use `open_database`."""

    def __init__(self, path: Path) -> None:
        self._writer = Worker[apsw.Connection](
            "store's writer",
            partial(_Writer, path),
            threads=1,
            waiting_max=WRITES_WAITING_MAX,
            batch_max=WRITES_PER_TRANSACTION_MAX,
            rest_after_s=STORE_REST_S,
        )
        self._readers = Worker[apsw.Connection](
            "store's readers",
            partial(_Reader, path),
            threads=READERS,
            waiting_max=READS_WAITING_MAX,
            batch_max=1,
        )

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve `write` and `read` until cancelled; writes that were taken are then finished.

        Raises: Unavailable if the file cannot be opened.
        """
        async with trio.open_nursery() as nursery:
            await nursery.start(self._writer.run)
            await nursery.start(self._readers.run)
            task_status.started()

    async def write(self, fn: Callable[[apsw.Connection], T]) -> T:
        """Run `fn` in the writer's thread, inside a transaction; return its value once that is durable.

        What `fn` raises undoes `fn` alone and is raised here. `fn` must not begin or end transactions, and must not
        keep the connection. A checkpoint; when the caller is cancelled, the write may still happen.

        Raises: Unavailable (certainly not written): the disk is full, the file is damaged or read-only, too much is
        waiting. Raises: OutcomeUnknown: the commit failed, it may or may not have been written.
        """
        return await self._writer.call(fn)

    async def read(self, fn: Callable[[apsw.Connection], T]) -> T:
        """Run `fn` in a reader's thread on a read-only connection, in one snapshot that contains every write that has
        returned.

        Raises: Unavailable.
        """
        return await self._readers.call(fn)

    def statistics(self) -> dict[str, int]:
        """Depths of the queues."""
        return {"writes_waiting": self._writer.waiting, "reads_waiting": self._readers.waiting}


@asynccontextmanager
async def open_database(path: Path) -> AsyncIterator[Database]:
    """A running Database for the length of a block."""
    database = Database(path)
    async with trio.open_nursery() as nursery:
        await nursery.start(database.run)
        yield database
        nursery.cancel_scope.cancel()


def refusal(error: apsw.Error) -> Unavailable:
    """What to tell of an error that left nothing written."""
    match error:
        case apsw.FullError():
            return Unavailable("the disk is full", retry_after_s=5.0)
        case apsw.ReadOnlyError() | apsw.PermissionsError():
            return Unavailable("the store is read-only", retry_after_s=5.0)
        case apsw.CorruptError() | apsw.NotADBError():
            return Unavailable("the store is damaged", retry_after_s=60.0)
        case _:
            return Unavailable(f"the store does not answer: {error}")


def _mapped(error: Exception) -> Exception:
    """The caller's error: what the environment did to apsw is mapped; ours, and bugs, stay as they are."""
    if isinstance(error, apsw.Error) and not isinstance(error, (apsw.ConstraintError, apsw.SQLError, apsw.MisuseError)):
        return refusal(error)
    return error


class _Writer:
    """The station of the writing thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._wal_pages = 0
        try:
            self._connection = self._connect()
        except apsw.Error as error:
            raise refusal(error) from error

    def _connect(self) -> apsw.Connection:
        connection = apsw.Connection(str(self._path), statementcachesize=_STATEMENTS)
        connection.set_busy_timeout(_WRITER_BUSY_MS)
        connection.pragma("journal_mode", "wal")
        connection.pragma("synchronous", _SYNCHRONOUS)
        connection.pragma("foreign_keys", True)
        # A deletion's words must be gone from the file, not only from the tables.
        connection.pragma("secure_delete", True)
        # Replaces the automatic checkpoints (they use the same hook).
        connection.set_wal_hook(self._on_commit)
        return connection

    def _on_commit(self, _connection: apsw.Connection, _name: str, pages: int) -> int:
        self._wal_pages = pages
        return apsw.SQLITE_OK

    def do(self, calls: Sequence[Call[apsw.Connection]]) -> None:
        """One transaction for all calls."""
        done: list[tuple[Call[apsw.Connection], object]] = []
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for call in calls:
                self._do_one(call, done)
        except apsw.Error as error:
            # It did not begin, or SQLite itself has ended it: nothing of the batch is left.
            cause = error
            _fail_all(calls, lambda: refusal(cause))
            self._roll_back()
            return
        try:
            self._connection.execute("COMMIT")
        except apsw.Error as error:
            # A full disk stops it before its last page, without which it is none; after anything else nobody knows.
            cause = error
            if isinstance(error, apsw.FullError):
                _fail_all(calls, lambda: refusal(cause))
            else:
                _fail_all(calls, lambda: OutcomeUnknown(f"the commit failed: {cause}"))
            self._roll_back()
            return
        for call, value in done:
            call.succeed(value)
        if self._wal_pages >= WAL_PAGES_MAX:
            self._checkpoint(apsw.SQLITE_CHECKPOINT_PASSIVE)

    def _do_one(self, call: Call[apsw.Connection], done: list[tuple[Call[apsw.Connection], object]]) -> None:
        connection = self._connection
        connection.execute("SAVEPOINT one")
        try:
            value = call.job(connection)
        except Exception as error:  # it is the caller's, and is raised there
            if isinstance(error, apsw.Error) and not connection.in_transaction:
                raise
            connection.execute("ROLLBACK TO one")
            call.fail(_mapped(error))
        else:
            done.append((call, value))
        connection.execute("RELEASE one")

    def _roll_back(self) -> None:
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except apsw.Error:
            # A connection that cannot even roll back is of no use; closing it rolls back.
            self._connection.close(True)
            with suppress(apsw.Error):
                self._connection = self._connect()  # else the next batch finds it closed, and tries again

    def rest(self) -> bool:
        """Nothing was written for a while. Truncating also wipes what a deletion left in the log."""
        if self._wal_pages:
            self._checkpoint(apsw.SQLITE_CHECKPOINT_TRUNCATE)
        return self._wal_pages > 0

    def _checkpoint(self, mode: int) -> None:
        try:
            self._connection.wal_checkpoint(mode=mode)
        except apsw.Error:
            return  # a reader in the way, or a full disk: nothing is lost, and the next one does it
        if mode == apsw.SQLITE_CHECKPOINT_TRUNCATE:
            self._wal_pages = 0

    def close(self) -> None:
        """Leave one tidy file behind, if the disk lets us."""
        self.rest()
        _close(self._connection)


class _Reader:
    """The station of a reading thread."""

    def __init__(self, path: Path) -> None:
        try:
            self._connection = apsw.Connection(
                str(path), flags=apsw.SQLITE_OPEN_READONLY, statementcachesize=_STATEMENTS
            )
            self._connection.set_busy_timeout(_READER_BUSY_MS)
        except apsw.Error as error:
            raise refusal(error) from error

    def do(self, calls: Sequence[Call[apsw.Connection]]) -> None:
        """Each call in a snapshot of its own."""
        for call in calls:
            try:
                self._connection.execute("BEGIN")
                try:
                    call.succeed(call.job(self._connection))
                finally:
                    self._connection.execute("ROLLBACK")
            except Exception as error:  # noqa: BLE001  (it is the caller's, and is raised there)
                if not call.is_settled:
                    call.fail(_mapped(error))

    def rest(self) -> bool:
        """Nothing to tidy."""
        return False

    def close(self) -> None:
        """Close the connection."""
        _close(self._connection)


def _close(connection: apsw.Connection) -> None:
    try:
        connection.close()
    except apsw.Error:
        connection.close(True)


def _fail_all(calls: Sequence[Call[apsw.Connection]], make_error: Callable[[], TrimaranError]) -> None:
    """Each caller gets an error of its own: one that is raised in several tasks would collect all their tracebacks."""
    for call in calls:
        if not call.is_settled:
            call.fail(make_error())
