"""The checker finds every planted fault and names its invariant, and finds nothing in what a correct server makes."""

import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from core.history.checker import check
from core.history.records import Event, Line, Where
from core.history.verdict import Invariant, Verdict
from tests.history.faults import FAULTS, NoPlace
from tests.history.world import STEPS, Step, World, prelude, take_steps

SMALL = st.integers(0, 11)
WALKS = st.lists(st.tuples(st.sampled_from(STEPS), SMALL, SMALL, SMALL), max_size=60)


def decide(events: Sequence[Event]) -> Verdict:
    """The verdict on a history in one file."""
    return check([Line(Where("history", number), event) for number, event in enumerate(events, start=1)])


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(WALKS, st.booleans(), st.booleans())
def test_what_a_correct_server_makes_is_whole(walk: list[Step], is_rich: bool, store_knows_blocks: bool) -> None:
    world = take_steps(prelude() if is_rich else World(), walk)
    verdict = decide(world.end(store_knows_blocks=store_knows_blocks))
    assert verdict.violations == []
    assert verdict.undecided == []
    assert verdict.is_whole


@settings(max_examples=50)
@given(WALKS, st.randoms(use_true_random=False))
def test_devices_may_record_into_files_of_their_own_given_in_any_order(walk: list[Step], dice: random.Random) -> None:
    files: dict[str, list[Event]] = {}
    for event in take_steps(prelude(), walk).end():
        files.setdefault(getattr(event, "device", None) or "harness", []).append(event)
    names = sorted(files)
    dice.shuffle(names)
    verdict = check([Line(Where(name, n), event) for name in names for n, event in enumerate(files[name], start=1)])
    assert verdict.violations == []
    assert verdict.is_whole


@pytest.mark.parametrize("where", ["first", "middle", "last"])
@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found_and_named(name: str, where: str) -> None:
    invariant, plant = FAULTS[name]
    choices: dict[str, Callable[[Sequence[Any]], Any]] = {
        "first": lambda places: places[0],
        "middle": lambda places: places[len(places) // 2],
        "last": lambda places: places[-1],
    }
    verdict = decide(plant(prelude().end(), choices[where]))
    assert invariant in verdict.counts, verdict.violations
    assert all(violation.evidence for violation in verdict.violations)


@pytest.mark.parametrize("name", FAULTS)
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(data=st.data())
def test_a_fault_is_found_wherever_it_is_planted(name: str, data: st.DataObject) -> None:
    invariant, plant = FAULTS[name]
    events = take_steps(prelude(), data.draw(WALKS)).end()
    try:
        broken = plant(events, lambda places: data.draw(st.sampled_from(places)))
    except NoPlace:
        assume(False)
        raise
    verdict = decide(broken)
    assert invariant in verdict.counts, verdict.violations


def test_what_breaks_one_promise_is_not_blamed_on_others() -> None:
    alone = {
        "a_device_sees_another_body": {"I4"},
        "two_sends_of_one_connection_change_places": {"I5"},
        "one_who_blocked_is_shown_an_entry": {"I6"},
        "an_entry_is_hidden_from_one_who_blocked_nobody": {"I6"},
        "a_device_passes_over_an_entry": {"I7"},
        "a_device_never_comes_to_the_head": {"I7"},
        "a_shown_read_moves_back": {"I8"},
    }
    for name, expected in alone.items():
        verdict = decide(FAULTS[name][1](prelude().end(), lambda places: places[0]))
        assert set(verdict.counts) == expected, name


def test_every_invariant_has_planted_faults() -> None:
    assert {invariant for invariant, _ in FAULTS.values()} == set(Invariant)
