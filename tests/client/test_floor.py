"""The small parts: times, ids, rates, back-off."""

import random
import uuid
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.client.client_driver import FixedClock
from trimaran_client.backoff import Again, Over, Reconnecting, full_jitter_s
from trimaran_client.clock import ClientIds
from trimaran_client.due import DueSet
from trimaran_client.limits import RATE_SHARE, STEADY_S
from trimaran_client.rates import Rates, TokenBucket


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.one_of(st.none(), st.integers(0, 9)))))
def test_a_due_set_is_a_dictionary_that_gives_the_earliest_first(steps: list[tuple[str, int | None]]) -> None:
    due: DueSet[str] = DueSet()
    model: dict[str, int] = {}
    for key, at in steps:
        if at is None:
            due.discard(key)
            model.pop(key, None)
        else:
            due.put(key, at)
            model[key] = at
        assert due.next_s() == min(model.values(), default=inf)
        assert len(due) == len(model)
    times = []
    while (key_or_none := due.pop(9)) is not None:
        times.append(model.pop(key_or_none))
    assert not model
    assert times == sorted(times)


def test_keys_of_one_moment_come_out_in_the_order_they_were_put_in() -> None:
    due: DueSet[str] = DueSet()
    for key in "cab":
        due.put(key, 1.0)
    assert [due.pop(1.0) for _ in range(4)] == ["c", "a", "b", None]


def test_a_due_set_that_is_put_to_for_ever_stays_small() -> None:
    due: DueSet[str] = DueSet()
    for number in range(10_000):
        due.put("a", float(number))
    assert len(due._heap) < 200


@given(st.lists(st.integers(-5, 50), max_size=300))
def test_client_ids_rise_whatever_the_calendar_does(steps_ms: list[int]) -> None:
    clock = FixedClock()
    clock.s = 1000.0
    ids = ClientIds(clock, random.Random(1))
    made = []
    for step in steps_ms:
        clock.s += step / 1000
        made += [ids.next(), ids.next()]
    assert made == sorted(set(made))
    for text in made:
        parsed = uuid.UUID(text)
        assert (parsed.version, parsed.variant, str(parsed)) == (7, uuid.RFC_4122, text)


def test_ids_of_one_millisecond_rise_beyond_the_counter() -> None:
    ids = ClientIds(FixedClock(), random.Random(1))
    made = [ids.next() for _ in range(10_000)]
    assert made == sorted(set(made))


@given(st.lists(st.floats(0, 3), max_size=200))
def test_a_token_bucket_never_gives_more_than_the_rate_and_the_burst(steps: list[float]) -> None:
    bucket = TokenBucket(10.0, 5.0)
    now_s = start_s = 100.0
    taken = 0
    for step in steps:
        now_s += step
        taken += bucket.take(now_s)
        assert taken <= RATE_SHARE * (5.0 + 10.0 * (now_s - start_s)) + 1e-6


def test_a_token_is_there_when_the_bucket_says_so() -> None:
    bucket = TokenBucket(3.0, 1.0)
    now_s = 1e9
    for _ in range(1000):
        now_s = bucket.next_s(now_s)
        assert bucket.take(now_s)
        assert not bucket.take(now_s)


def test_a_rate_of_zero_is_no_limit() -> None:
    bucket = TokenBucket(0.0, 0.0)
    assert all(bucket.take(1.0) for _ in range(1000))
    assert bucket.next_s(1.0) == 1.0


def test_the_same_limits_do_not_fill_the_bucket_again() -> None:
    rates = Rates()
    rates.use({"sends_per_s": 10, "sends_burst": 2, "frame_bytes": 100})
    bucket = rates.sends
    rates.use({"sends_per_s": 10, "sends_burst": 2, "frame_bytes": 100})
    assert rates.sends is bucket
    assert rates.frame_bytes == 100
    rates.use({"sends_per_s": "nonsense"})
    assert rates.sends is not bucket


class Longest(random.Random):
    """Draws the greatest number there is."""

    def uniform(self, a: float, b: float) -> float:
        return b


def test_the_back_off_doubles_from_half_a_second_to_thirty() -> None:
    assert [full_jitter_s(n, Longest()) for n in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert full_jitter_s(10_000, Longest()) == 30


@given(st.integers(0, 100), st.integers())
def test_the_jitter_is_full(attempt: int, seed: int) -> None:
    assert 0 <= full_jitter_s(attempt, random.Random(seed)) <= 30


@pytest.mark.parametrize("code", [None, 1000, 1001, 1006, 1011, 4000, 4001, 4002, 4004, 4005, 4099])
def test_after_these_codes_the_client_connects_again(code: int | None) -> None:
    plan = Reconnecting(Longest()).on_closed(code, "", 1.0)
    assert plan == Again(0.5, refresh_first=False)


@pytest.mark.parametrize("code", [4500, 4501, 4502, 4503, 4504, 4599])
def test_after_these_codes_the_client_stays_away(code: int) -> None:
    assert Reconnecting(Longest()).on_closed(code, "why", 1.0) == Over(code, "why")


def test_after_an_expired_token_the_client_refreshes_first() -> None:
    assert Reconnecting(Longest()).on_closed(4003, "", 1.0) == Again(0.5, refresh_first=True)


def test_only_a_connection_that_lasted_makes_the_back_off_short_again() -> None:
    reconnecting = Reconnecting(Longest())
    for expected_s in (0.5, 1.0, 2.0):
        reconnecting.on_synced(100.0)
        assert reconnecting.on_closed(1009, "", 101.0) == Again(expected_s)
    reconnecting.on_synced(200.0)
    assert reconnecting.on_closed(1001, "", 200.0 + STEADY_S) == Again(0.5)


def test_retry_after_is_kept_to_and_jittered() -> None:
    plan = Reconnecting(Longest()).on_dial_failed(503, "full", 7.0)
    assert plan == Again(7.5)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refused_handshake_is_final_where_it_would_be_refused_again(status: int) -> None:
    assert isinstance(Reconnecting(Longest()).on_dial_failed(status, "", None), Over)


@pytest.mark.parametrize("status", [None, 408, 429, 500, 502, 503])
def test_a_handshake_that_may_succeed_later_is_tried_again(status: int | None) -> None:
    assert isinstance(Reconnecting(Longest()).on_dial_failed(status, "", None), Again)
