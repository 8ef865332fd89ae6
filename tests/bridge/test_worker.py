"""A worker does calls in threads of its own, in batches, bounded."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import trio
import trio.testing

from core.base.errors import Unavailable
from core.bridge.worker import Call, Worker


class _Station:
    """Does each call on a list of the numbers done; remembers batches."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.rests = 0
        self.has_rested = threading.Event()
        self.is_closed = False
        self.thread = threading.current_thread()

    def do(self, calls: Sequence[Call["_Station"]]) -> None:
        assert threading.current_thread() is self.thread
        self.batches.append(len(calls))
        for call in calls:
            try:
                call.succeed(call.job(self))
            except ValueError as error:
                call.fail(error)

    def rest(self) -> bool:
        self.rests += 1
        if self.rests == 3:
            self.has_rested.set()
        return self.rests < 3

    def close(self) -> None:
        assert threading.current_thread() is self.thread
        self.is_closed = True


class _Gate:
    """Keeps a station busy until it is opened."""

    def __init__(self) -> None:
        self._entered = threading.Event()
        self._opened = threading.Event()

    def __call__(self, _station: _Station) -> None:
        self._entered.set()
        assert self._opened.wait(10)

    async def entered(self) -> None:
        assert await trio.to_thread.run_sync(self._entered.wait, 10)

    def open(self) -> None:
        self._opened.set()


def _worker(station: Callable[[], _Station] = _Station, **changes: Any) -> Worker[_Station]:
    bounds: dict[str, Any] = {"threads": 1, "waiting_max": 100, "batch_max": 10, **changes}
    return Worker("worker", station, **bounds)


async def test_a_call_returns_or_raises_what_its_job_did(nursery: trio.Nursery) -> None:
    worker = _worker()
    await nursery.start(worker.run)
    assert await worker.call(lambda _: 7) == 7
    with pytest.raises(ValueError, match="invalid literal"):
        await worker.call(lambda _: int("x"))
    assert worker.waiting == 0


async def test_all_that_waits_is_done_together_up_to_the_bound(nursery: trio.Nursery) -> None:
    worker, gate = _worker(), _Gate()
    await nursery.start(worker.run)
    done: list[int] = []

    async def call(number: int) -> None:
        await worker.call(lambda _: None)
        done.append(number)

    async with trio.open_nursery() as callers:
        callers.start_soon(worker.call, gate)
        await gate.entered()
        for number in range(25):
            callers.start_soon(call, number)
        await trio.testing.wait_all_tasks_blocked()
        assert worker.waiting == 26
        gate.open()
    assert await worker.call(lambda station: station.batches) == [1, 10, 10, 5, 1]
    assert sorted(done) == list(range(25))


async def test_more_calls_than_allowed_are_refused_at_once(nursery: trio.Nursery) -> None:
    worker, gate = _worker(waiting_max=2), _Gate()
    await nursery.start(worker.run)
    async with trio.open_nursery() as callers:
        callers.start_soon(worker.call, gate)
        await gate.entered()
        callers.start_soon(worker.call, lambda _: None)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(Unavailable):
            await worker.call(lambda _: None)
        gate.open()
    assert await worker.call(lambda _: 1) == 1


async def test_a_cancelled_call_that_has_not_begun_is_not_done(nursery: trio.Nursery) -> None:
    worker, gate = _worker(), _Gate()
    await nursery.start(worker.run)
    done: list[str] = []
    async with trio.open_nursery() as callers:
        callers.start_soon(worker.call, gate)
        await gate.entered()
        with trio.CancelScope() as scope:
            scope.cancel()
            await worker.call(lambda _: done.append("cancelled"))
        assert scope.cancelled_caught
        gate.open()
    await worker.call(lambda _: done.append("other"))
    assert done == ["other"]
    assert worker.waiting == 0


async def test_a_stop_finishes_what_was_taken_and_closes_the_station() -> None:
    worker, gate = _worker(), _Gate()
    stations: list[_Station] = []
    done: list[int] = []

    def finish(station: _Station) -> None:
        stations.append(station)
        done.append(1)

    async def last() -> None:
        with trio.CancelScope(shield=True):
            await worker.call(finish)

    async with trio.open_nursery() as nursery:
        await nursery.start(worker.run)
        nursery.start_soon(worker.call, gate)
        await gate.entered()
        nursery.start_soon(last)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
        gate.open()
    assert done == [1]
    assert stations[0].is_closed
    with pytest.raises(Unavailable):
        await worker.call(lambda _: None)


async def test_a_station_that_cannot_be_opened_fails_the_start() -> None:
    def refuse() -> _Station:
        raise Unavailable("no disk")

    with pytest.RaisesGroup(pytest.RaisesExc(Unavailable, match="no disk")):
        async with trio.open_nursery() as nursery:
            await nursery.start(_worker(refuse, threads=3).run)


async def test_a_bug_in_a_station_ends_the_worker_and_answers_its_callers() -> None:
    answered: list[str] = []

    async def call(job: Callable[[_Station], object]) -> None:
        try:
            await worker.call(job)
        except Unavailable as error:
            answered.append(error.message)

    worker = _worker()
    with pytest.RaisesGroup(ZeroDivisionError):
        async with trio.open_nursery() as nursery:
            await nursery.start(worker.run)
            with trio.CancelScope(shield=True):
                await call(lambda _: 1 // 0)
    assert answered == ["the worker did not do it"]


async def test_a_station_rests_in_a_pause_until_it_has_nothing_more_to_do(nursery: trio.Nursery) -> None:
    worker = _worker(rest_after_s=0.001)
    await nursery.start(worker.run)
    station = await worker.call(lambda station: station)
    assert await trio.to_thread.run_sync(station.has_rested.wait, 10)
    assert await worker.call(lambda station: station.rests) == 3


async def test_several_threads_work_at_the_same_time(nursery: trio.Nursery) -> None:
    worker, gates = _worker(threads=3, batch_max=1), [_Gate() for _ in range(3)]
    await nursery.start(worker.run)
    async with trio.open_nursery() as callers:
        for gate in gates:
            callers.start_soon(worker.call, gate)
        for gate in gates:
            await gate.entered()
        for gate in gates:
            gate.open()
