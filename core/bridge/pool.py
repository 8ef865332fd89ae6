"""A few threads for work that only computes, and long: a `Worker` whose stations hold nothing."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import trio

from core.bridge.worker import Call, Worker

T = TypeVar("T")


class Pool:
    """Runs calls in `threads` threads, at most `waiting_max` of them under way; `nursery.start(pool.run)` opens it."""

    def __init__(self, name: str, *, threads: int, waiting_max: int) -> None:
        self._worker = Worker[None](name, _Bare, threads=threads, waiting_max=waiting_max, batch_max=1)

    @property
    def waiting(self) -> int:
        """Calls that are under way."""
        return self._worker.waiting

    async def call(self, job: Callable[[], T]) -> T:
        """Have `job` done in a thread; returns, or raises, what it did.

        A checkpoint. A job whose caller is cancelled before it has begun is not done.
        Raises: Unavailable if too many calls are under way, or the pool is not running.
        """
        return await self._worker.call(lambda _: job())

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run the threads until cancelled; calls that were taken are then finished."""
        await self._worker.run(task_status=task_status)


class _Bare:
    """A station without anything at it."""

    def do(self, calls: Sequence[Call[None]]) -> None:
        for call in calls:
            try:
                call.succeed(call.job(None))
            except Exception as error:  # noqa: BLE001  (it is the caller's, and is raised there)
                call.fail(error)

    def rest(self) -> bool:
        """Nothing to tidy."""
        return False

    def close(self) -> None:
        """Nothing to close."""
