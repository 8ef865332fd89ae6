"""Deadlines and rates, by a clock that the test moves."""

from hypothesis import given
from hypothesis import strategies as st

from core.base.rates import TokenBucket
from core.base.timers import TimerWheel


@given(deadlines=st.lists(st.floats(0, 100)), steps=st.lists(st.floats(0.1, 30), max_size=20))
def test_what_is_due_comes_once_never_early_and_a_second_late_at_most(
    deadlines: list[float], steps: list[float]
) -> None:
    wheel: TimerWheel[float] = TimerWheel(0.0)
    for deadline in deadlines:
        wheel.add(deadline, deadline)
    now, came = 0.0, []
    for step in [*steps, 200.0]:
        before, now = now, now + step
        for deadline in wheel.take_due(now):
            assert deadline <= now
            assert deadline + 1 > before
            came.append(deadline)
    assert sorted(came) == sorted(deadlines)
    assert len(wheel) == 0


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    bucket = TokenBucket(2, 3, 0.0)
    assert [bucket.take(0.0) for _ in range(4)] == [True, True, True, False]
    assert bucket.wait_s(0.0) == 0.5
    assert [bucket.take(0.5), bucket.take(0.5)] == [True, False]
    assert [bucket.take(100.0) for _ in range(4)] == [True, True, True, False]


def test_a_rate_of_zero_is_no_limit() -> None:
    bucket = TokenBucket(0, 1, 0.0)
    assert all(bucket.take(0.0) for _ in range(100))
