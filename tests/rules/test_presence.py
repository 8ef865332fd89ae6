"""Who may know when somebody was here."""

from itertools import product
from typing import get_args

import pytest

from core.rules.presence import LastSeenPolicy, may_see_presence
from sidecars.ports.users import LastSeen

POLICIES: tuple[LastSeenPolicy, ...] = get_args(LastSeenPolicy)


def test_the_policies_are_those_that_a_user_can_choose() -> None:
    assert get_args(LastSeen) == POLICIES


@pytest.mark.parametrize(
    ("watcher", "watched", "is_contact", "is_blocked"), list(product(POLICIES, POLICIES, [True, False], [True, False]))
)
def test_every_case(watcher: LastSeenPolicy, watched: LastSeenPolicy, is_contact: bool, is_blocked: bool) -> None:
    is_open = {"everyone": True, "contacts": is_contact, "nobody": False}[watched]
    expected = is_open and not is_blocked and watcher != "nobody"
    assert may_see_presence(watcher, watched, is_contact=is_contact, is_blocked=is_blocked) is expected
