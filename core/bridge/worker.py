"""Threads for libraries that block: `Worker` runs calls at *stations* that live in threads of its own.

A station (a database connection, say) is opened, used and closed by one thread only. A thread takes all calls that
wait, up to a bound, and does them together; the tasks that wait are woken by one entry into the Trio loop for all of
them. The number of calls under way is bounded; what comes above it is refused at once. Nothing else of the project
starts a thread.
"""

from collections import deque
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Generic, Protocol, TypeVar

import trio

from core.base.errors import Unavailable
from core.base.limits import WORKER_STOP_S

T = TypeVar("T")
R = TypeVar("R")
R_contra = TypeVar("R_contra", contravariant=True)


class Call(Generic[R]):
    """One call on its way: `job` is what to do with the station's resource. A station settles it by `succeed` or
    `fail`, exactly once.
    """

    __slots__ = ("done", "error", "is_abandoned", "is_settled", "job", "value")

    def __init__(self, job: Callable[[R], object]) -> None:
        self.job = job
        self.is_abandoned = False  # the caller was cancelled: need not be done, if it has not begun
        self.is_settled = False
        self.value: Any = None
        self.error: Exception | None = None
        self.done = trio.Event()

    def succeed(self, value: object) -> None:
        """The job's value; the caller sees it when the station has done the whole batch."""
        assert not self.is_settled
        self.is_settled = True
        self.value = value

    def fail(self, error: Exception) -> None:
        """What the caller is to get raised."""
        assert not self.is_settled
        self.is_settled = True
        self.error = error


class Station(Protocol[R]):
    """What a thread works at. All methods are called in that thread."""

    def do(self, calls: Sequence[Call[R]]) -> None:
        """Do a batch and settle every call of it. What it raises is a bug and ends the worker."""

    def rest(self) -> bool:
        """Nothing has come for a while: time for housekeeping. True: there is more of it, ask again after as long a
        pause.
        """

    def close(self) -> None:
        """The thread ends."""


class Worker(Generic[R]):
    """Bounded calls into threads; `nursery.start(worker.run)` opens the stations."""

    def __init__(
        self,
        name: str,
        open_station: Callable[[], Station[R]],
        *,
        threads: int,
        waiting_max: int,
        batch_max: int,
        rest_after_s: float | None = None,
    ) -> None:
        self._name = name
        self._open_station = open_station
        self._threads = threads
        self._waiting_max = waiting_max
        self._batch_max = batch_max
        self._rest_after_s = rest_after_s
        self._queue: SimpleQueue[Call[R] | None] = SimpleQueue()  # None: one thread is to end
        self._waiting = 0  # calls under way, those in a batch too; touched by the Trio thread only
        self._is_open = False
        self._answered: deque[Call[R]] = deque()  # threads append, the Trio thread takes
        self._opened = 0
        self._ended = 0
        self._failure: Exception | None = None
        self._moved = trio.Event()  # _opened, _ended or _failure has changed

    @property
    def waiting(self) -> int:
        """Calls that are under way."""
        return self._waiting

    async def call(self, job: Callable[[R], T]) -> T:
        """Have `job` done at a station; returns, or raises, what it did.

        A checkpoint. When the caller is cancelled the job may still be done.
        Raises: Unavailable if too many calls are under way, or the worker is not running.
        """
        if not self._is_open:
            raise Unavailable(f"the {self._name} is not running")
        if self._waiting >= self._waiting_max:
            raise Unavailable(f"the {self._name} has {self._waiting} calls to do already")
        call = Call[R](job)
        self._waiting += 1
        self._queue.put(call)
        try:
            await call.done.wait()
        except trio.Cancelled:
            call.is_abandoned = True
            raise
        if call.error is not None:
            raise call.error
        value: T = call.value
        return value

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run the threads until cancelled; calls that were taken are then finished, the stations closed.

        Raises: what opening a station raised, or what a station's bug raised.
        """
        token = trio.lowlevel.current_trio_token()
        for number in range(self._threads):
            # A daemon, so that a call that hangs in the kernel cannot keep the process alive past its deadline.
            Thread(target=self._work, args=(token,), name=f"{self._name}-{number}", daemon=True).start()
        try:
            await self._wait_until(lambda: self._opened == self._threads)
            self._is_open = True
            task_status.started()
            await self._wait_until(lambda: False)
        finally:
            self._is_open = False
            for _ in range(self._threads):
                self._queue.put(None)
            with trio.move_on_after(WORKER_STOP_S, shield=True):
                while self._ended < self._threads:
                    await self._moved.wait()
            self._refuse_rest()

    async def _wait_until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            if self._failure is not None:
                raise self._failure
            await self._moved.wait()

    def _refuse_rest(self) -> None:
        """Fail what no thread has taken; only after a failure is there any."""
        while not self._queue.empty():
            call = self._queue.get()
            if call is not None:
                call.fail(Unavailable(f"the {self._name} has stopped"))
                self._answered.append(call)
        self._wake()

    # ---- in the Trio thread, called by the others

    def _wake(self) -> None:
        while self._answered:
            call = self._answered.popleft()
            self._waiting -= 1
            call.done.set()

    def _note(self, opened: int, ended: int, failure: Exception | None) -> None:
        self._opened += opened
        self._ended += ended
        self._failure = self._failure or failure
        self._moved.set()
        self._moved = trio.Event()

    # ---- in the threads

    def _work(self, token: trio.lowlevel.TrioToken) -> None:
        failure: Exception | None = None
        try:
            station = self._open_station()
            try:
                token.run_sync_soon(self._note, 1, 0, None)
                while calls := self._take(station):
                    self._do(station, calls)
                    token.run_sync_soon(self._wake, idempotent=True)
            finally:
                token.run_sync_soon(self._wake, idempotent=True)
                station.close()
        except trio.RunFinishedError:
            return  # nobody is left to tell
        except Exception as error:  # noqa: BLE001  (a thread's top: `run` raises it)
            failure = error
        try:
            token.run_sync_soon(self._note, 0, 1, failure)
        except trio.RunFinishedError:
            return

    def _do(self, station: Station[R], calls: list[Call[R]]) -> None:
        try:
            station.do([call for call in calls if not call.is_abandoned])
        finally:
            for call in calls:
                if not call.is_settled:
                    call.fail(Unavailable(f"the {self._name} did not do it"))
            self._answered.extend(calls)

    def _take(self, station: Station[R]) -> list[Call[R]]:
        """Wait for calls, then take all that wait, up to the batch's bound; empty: the thread is to end."""
        call = self._wait(station)
        calls: list[Call[R]] = []
        while call is not None:
            calls.append(call)
            if len(calls) == self._batch_max:
                return calls
            try:
                call = self._queue.get_nowait()
            except Empty:
                return calls
        if calls:
            self._queue.put(None)  # first what was taken, then the end
        return calls

    def _wait(self, station: Station[R]) -> Call[R] | None:
        """The next of the queue, however long it takes; the station rests meanwhile."""
        pause_s = self._rest_after_s
        while True:
            try:
                return self._queue.get(timeout=pause_s)
            except Empty:
                if not station.rest():
                    pause_s = None
