"""A pool computes in its threads, and refuses what would wait too long."""

import threading

import pytest
import trio
import trio.testing

from core.base.errors import Unavailable
from core.bridge.pool import Pool


async def test_a_job_is_done_in_another_thread_and_its_value_or_error_comes_back(nursery: trio.Nursery) -> None:
    pool = Pool("pool", threads=2, waiting_max=4)
    await nursery.start(pool.run)
    assert await pool.call(threading.get_ident) != threading.get_ident()
    with pytest.raises(ValueError, match="invalid literal"):
        await pool.call(lambda: int("x"))
    assert pool.waiting == 0


async def test_what_comes_above_the_bound_is_refused_at_once_with_when_to_come_again(nursery: trio.Nursery) -> None:
    pool = Pool("pool", threads=1, waiting_max=3)
    await nursery.start(pool.run)
    gate = threading.Event()
    for _ in range(3):
        nursery.start_soon(pool.call, lambda: gate.wait(10))
    await trio.testing.wait_all_tasks_blocked()
    with pytest.raises(Unavailable) as caught:
        await pool.call(lambda: None)
    assert caught.value.retry_after_s
    gate.set()


async def test_a_job_whose_caller_has_gone_is_not_done(nursery: trio.Nursery) -> None:
    pool = Pool("pool", threads=1, waiting_max=3)
    await nursery.start(pool.run)
    gate = threading.Event()
    done: list[str] = []
    nursery.start_soon(pool.call, lambda: gate.wait(10))
    await trio.testing.wait_all_tasks_blocked()
    with trio.CancelScope() as scope:
        scope.cancel()
        await pool.call(lambda: done.append("abandoned"))
    gate.set()
    await pool.call(lambda: done.append("last"))
    assert done == ["last"]
