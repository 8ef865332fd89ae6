"""A disk that forgets: an SQLite VFS whose files, when the power is cut, hold what was synced and no more.

Killing a process proves nothing about fsync, since the page cache survives it. Here every sector that is written keeps
what it held at the last sync of its file, and `cut` puts that back: sectors, sizes, and files that were made or
deleted. With a random generator a part of what was not synced survives, sector by sector, as a real disk may have
written any of it. After the cut every call fails.

Register it as the default VFS and the stores use it without knowing:

    with forgetful() as vfs:
        ...             # open, write, be acknowledged
        vfs.cut()       # or vfs.cut_after = 17: at the 17th write or sync from here
    ...                 # power is back: open again, look

In a process of its own: `ForgetfulVFS(is_default=True).cut_on(signal.SIGUSR1)`; the signal cuts and ends the process at
once.
"""

import os
import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from threading import RLock
from types import FrameType

import apsw

BASE = "unix"
SECTOR = 512
EXIT_CODE = 9

_numbers = count(1)


class _Synced:
    """What the disk itself holds of one file, as far as it differs from what the system shows."""

    def __init__(self, size: int | None) -> None:
        self.size = size  # None: it does not exist
        self.before: dict[int, bytes] = {}  # by sector: what it held at the last sync
        self.dirty: set[int] = set()  # sectors written since

    def all_of(self, content: bytes) -> bytes | None:
        """The file as it was synced, given what the system shows."""
        if self.size is None:
            return None
        image = bytearray(content.ljust(self.size, b"\0"))
        for sector, old in self.before.items():
            image[sector * SECTOR : sector * SECTOR + len(old)] = old
        return bytes(image[: self.size])


class ForgetfulVFS(apsw.VFS):
    """See the module. With `rng`, what was not synced survives in part."""

    def __init__(self, *, is_default: bool = False, rng: random.Random | None = None) -> None:
        self.vfs_name = f"forgetful-{next(_numbers)}"
        super().__init__(self.vfs_name, BASE, makedefault=is_default)
        self._rng = rng
        self._lock = RLock()
        self._files: dict[str, _Synced] = {}
        self._deleted: dict[str, bytes] = {}  # gone, but the directory was not synced since
        # Kept open: closing one would drop this process's locks on the file, which its connections still have open.
        self._descriptors: list[int] = []
        self.cut_after = 0  # cut at this many writes and syncs from now; 0: not by counting
        self.steps = 0  # writes and syncs so far
        self.is_cut = False

    # ---- the power switch

    def cut(self) -> None:
        """Put every file back to what the disk holds; from here on every call fails."""
        with self._lock:
            if self.is_cut:
                return
            self.is_cut = True
            for name, synced in self._files.items():
                self._restore(name, synced)
            for name, content in self._deleted.items():
                if not os.path.exists(name):
                    Path(name).write_bytes(content)
            for name in self._files:
                # The shared memory of the WAL: its content is rebuilt by whoever comes first.
                Path(f"{name}-shm").unlink(missing_ok=True)

    def cut_and_exit(self) -> None:
        """`cut`, then the process ends without any goodbye."""
        self.cut()
        os._exit(EXIT_CODE)

    def cut_on(self, signum: signal.Signals) -> None:
        """`cut_and_exit` at a signal. To be called in the main thread."""

        def on_signal(_signum: int, _frame: FrameType | None) -> None:
            self.cut_and_exit()

        signal.signal(signum, on_signal)

    def _restore(self, name: str, synced: _Synced) -> None:
        """Make a file what the disk holds of it; with a generator, each sector that was not synced survives or not."""
        if not os.path.exists(name):
            return
        if synced.size is None and not self._survives():
            os.unlink(name)
            return
        descriptor = os.open(name, os.O_RDWR)
        self._descriptors.append(descriptor)
        held, shown = synced.size or 0, os.fstat(descriptor).st_size
        size = shown if self._survives() else held
        for sector in sorted(synced.dirty):
            start = sector * SECTOR
            if self._survives():
                size = max(size, min(start + SECTOR, shown))
            else:
                os.pwrite(descriptor, synced.before.get(sector, b"").ljust(SECTOR, b"\0"), start)
        os.ftruncate(descriptor, size)

    def _survives(self) -> bool:
        return self._rng is not None and self._rng.random() < 0.5

    def close(self) -> None:
        """The connections are closed: let go of all that is left."""
        self.unregister()
        while self._descriptors:
            os.close(self._descriptors.pop())

    # ---- what SQLite calls

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> "_ForgetfulFile":
        self.check()
        return _ForgetfulFile(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        with self._lock:
            self.check()
            synced = self._files.pop(filename, None)
            if not syncdir and os.path.exists(filename):
                content = Path(filename).read_bytes()
                held = content if synced is None else synced.all_of(content)
                if held is not None:
                    self._deleted[filename] = held
            super().xDelete(filename, syncdir)

    # ---- what the files call

    def check(self) -> None:
        """Raises: apsw.IOError once the power is off."""
        if self.is_cut:
            raise apsw.IOError("the power is off")

    def step(self) -> None:
        """One more write or sync is about to happen; perhaps it is the one that does not."""
        self.check()
        self.steps += 1
        if self.cut_after:
            self.cut_after -= 1
            if not self.cut_after:
                self.cut()
                self.check()

    def opened(self, name: str, exists: bool) -> _Synced:
        """The state of a file that is opened, shared by all who have it open."""
        with self._lock:
            return self._files.setdefault(name, _Synced(os.stat(name).st_size if exists else None))

    def synced(self, name: str, is_new: bool) -> None:
        """A file has reached the disk, and with it that it exists."""
        self._deleted.pop(name, None)
        if is_new and name.endswith(("-wal", "-journal")):
            # SQLite syncs the directory with a new log or journal, and so what was deleted in it.
            folder = os.path.dirname(name)
            for other in [other for other in self._deleted if os.path.dirname(other) == folder]:
                del self._deleted[other]

    @property
    def lock(self) -> RLock:
        """Held around each step."""
        return self._lock


class _ForgetfulFile(apsw.VFSFile):
    def __init__(self, vfs: ForgetfulVFS, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        exists = path is not None and os.path.exists(path)
        super().__init__(BASE, name, flags)
        self._vfs = vfs
        self._path = path
        self._synced = _Synced(None) if path is None else vfs.opened(path, exists)

    def xRead(self, amount: int, offset: int) -> bytes:
        self._vfs.check()
        return super().xRead(amount, offset)

    def xFileSize(self) -> int:
        self._vfs.check()
        return super().xFileSize()

    def xWrite(self, data: bytes, offset: int) -> None:
        with self._vfs.lock:
            self._vfs.step()
            self._keep(offset, offset + len(data))
            super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:
        with self._vfs.lock:
            self._vfs.step()
            self._keep(newsize, super().xFileSize())
            super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:
        # The disk is this class: there is no need to make the real one work.
        with self._vfs.lock:
            self._vfs.step()
            synced = self._synced
            is_new = synced.size is None
            synced.size = super().xFileSize()
            synced.before.clear()
            synced.dirty.clear()
            if self._path is not None:
                self._vfs.synced(self._path, is_new)

    def _keep(self, start: int, end: int) -> None:
        """Keep what the sectors of start..end hold on the disk, before they are changed."""
        synced = self._synced
        shown = super().xFileSize()
        for sector in range(start // SECTOR, -(-end // SECTOR)):
            if sector not in synced.dirty:
                synced.dirty.add(sector)
                held = min((synced.size or 0), shown, (sector + 1) * SECTOR) - sector * SECTOR
                if held > 0:
                    synced.before[sector] = super().xRead(held, sector * SECTOR)


@contextmanager
def forgetful(*, rng: random.Random | None = None) -> Iterator[ForgetfulVFS]:
    """A forgetful VFS as the default one, for the length of a block; its connections are to be closed within."""
    vfs = ForgetfulVFS(is_default=True, rng=rng)
    try:
        yield vfs
    finally:
        vfs.close()
