"""Ids: their one spelling, their order, and where they are placed."""

import random
from collections import Counter

import pytest

from core.base.clock import ManualClock
from core.base.errors import Rejected
from core.base.ids import (
    SLOTS,
    IdSource,
    UserId,
    direct_conversation,
    direct_users,
    is_uuid,
    parse_conversation,
    slot_of,
    slot_of_conversation,
)

LOW, HIGH = UserId("00000001-0000-7000-8000-000000000000"), UserId("00000002-0000-7000-8000-000000000000")


def test_ids_rise_within_a_millisecond_and_are_uuids_of_version_7() -> None:
    ids = IdSource(ManualClock(), random.Random(1))
    made = [ids.uuid7() for _ in range(2_000)]
    assert made == sorted(set(made))
    assert all(is_uuid(each) and each[14] == "7" and each[19] in "89ab" for each in made)


def test_ids_rise_when_the_clock_is_set_back() -> None:
    clock = ManualClock()
    ids = IdSource(clock, random.Random(1))
    first = ids.uuid7()
    ids._clock = ManualClock(wall_ms=clock.wall_ms() - 60_000)
    assert ids.uuid7() > first


def test_the_same_seed_makes_the_same_ids() -> None:
    one, other = (IdSource(ManualClock(), random.Random(7)) for _ in range(2))
    assert [one.uuid7() for _ in range(9)] == [other.uuid7() for _ in range(9)]


def test_a_direct_conversation_is_the_same_whoever_names_it() -> None:
    conversation = direct_conversation(HIGH, LOW)
    assert conversation == direct_conversation(LOW, HIGH) == f"d:{LOW}:{HIGH}"
    assert direct_users(conversation) == (LOW, HIGH)


@pytest.mark.parametrize(
    "text", ["", "d:", f"d:{HIGH}:{LOW}", f"d:{LOW}", f"g:{LOW.upper()[:-1]}A", f"g:{LOW} ", f"x:{LOW}"]
)
def test_a_conversation_that_is_not_one_is_refused_by_its_field(text: str) -> None:
    with pytest.raises(Rejected) as caught:
        parse_conversation(text, "where")
    assert (caught.value.code, caught.value.field) == ("bad_request", "where")


def test_slots_are_spread_and_a_direct_conversation_lives_with_one_of_its_users() -> None:
    ids = IdSource(ManualClock(), random.Random(3))
    users = [UserId(ids.uuid7()) for _ in range(4_096)]
    assert max(Counter(map(slot_of, users)).values()) < 20
    for one, other in zip(users[::2], users[1::2]):
        assert slot_of_conversation(direct_conversation(one, other)) in (slot_of(one), slot_of(other))
    assert 0 <= slot_of(users[0]) < SLOTS
