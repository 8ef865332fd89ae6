"""Attempts are counted per key in windows, in bounded memory."""

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.base.errors import Overloaded
from core.base.limits import ATTEMPT_KEYS_MAX
from sidecars.user.attempts import Attempts


def is_taken(attempts: Attempts, key: str, now_s: float) -> bool:
    try:
        attempts.take(key, now_s)
    except Overloaded:
        return False
    return True


def test_beyond_the_limit_one_is_told_when_the_window_ends() -> None:
    attempts = Attempts("tries", 2, 60.0)
    attempts.take("a", 100.0)
    attempts.take("a", 130.0)
    with pytest.raises(Overloaded, match="too many tries") as caught:
        attempts.take("a", 150.0)
    assert caught.value.retry_after_s == 10.0
    attempts.take("b", 150.0)
    attempts.take("a", 160.0)


def test_a_limit_of_zero_is_none() -> None:
    attempts = Attempts("tries", 0, 60.0)
    for _ in range(1_000):
        attempts.take("a", 1.0)
    assert len(attempts) == 0


def test_what_is_given_back_or_forgotten_does_not_count() -> None:
    attempts = Attempts("tries", 1, 60.0)
    for _ in range(5):
        attempts.take("a", 1.0)
        attempts.give_back("a")
    attempts.take("a", 1.0)
    attempts.forget("a")
    attempts.take("a", 1.0)
    assert not is_taken(attempts, "a", 2.0)
    attempts.give_back("unknown")
    attempts.forget("unknown")


def test_memory_is_bounded_and_the_oldest_goes_first() -> None:
    attempts = Attempts("tries", 1, 60.0)
    for number in range(ATTEMPT_KEYS_MAX + 10):
        attempts.take(str(number), 1.0)
    assert len(attempts) == ATTEMPT_KEYS_MAX
    assert not is_taken(attempts, str(ATTEMPT_KEYS_MAX + 9), 2.0)
    attempts.take("late", 62.0)
    assert len(attempts) == 1


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 40)), max_size=60))
def test_a_key_never_passes_its_limit_in_a_window(steps: list[tuple[str, int]]) -> None:
    attempts = Attempts("tries", 3, 60.0)
    now_s = 0.0
    windows: dict[str, list[float]] = defaultdict(list)
    for key, pause in steps:
        now_s += pause
        times = windows[key]
        if times and times[0] + 60.0 <= now_s:
            times.clear()
        expected = len(times) < 3
        assert is_taken(attempts, key, now_s) == expected
        if expected:
            times.append(now_s)
