"""The logs as the router calls them: whatever the store does, each item of an append has its outcome."""

from collections.abc import Sequence

import pytest

from core.base.errors import DeadlineExceeded, Overloaded, TrimaranError, Unavailable
from core.base.limits import RECENT_ENTRIES
from core.base.records import Append, Appended, Outcome, Refused, Unknown
from sidecars.message.service import MessageService
from sidecars.stores.embedded.log import EmbeddedLog
from tests.contracts.people import ANN, C, D, append, entry
from tests.group.world import open_world


class _Broken(EmbeddedLog):
    def __init__(self, error: TrimaranError) -> None:
        self._error = error

    async def append(self, batch: Sequence[Append]) -> list[Outcome]:
        raise self._error


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (Overloaded("too much waits"), Refused),
        (Unavailable("away"), Unknown),
        (DeadlineExceeded("late"), Unknown),
    ],
)
async def test_what_a_store_raises_is_an_outcome_for_each_item(
    error: TrimaranError, outcome: type[Refused] | type[Unknown]
) -> None:
    broken = _Broken(error)
    batch = [append(entry(1)), append(entry(1, conversation=D))]
    assert await MessageService(broken, broken).append(batch) == [
        outcome(C, error.message),
        outcome(D, error.message),
    ]


async def test_a_claim_comes_with_as_many_entries_as_an_owner_keeps() -> None:
    async with open_world() as world:
        await world.message.claim(C, 1)
        count = RECENT_ENTRIES + 5
        for start in range(1, count + 1, 64):
            entries = [entry(seq) for seq in range(start, min(start + 64, count + 1))]
            assert await world.message.append([append(*entries)]) == [Appended(C, entries[-1].seq)]
        claimed = await world.message.claim(C, 2)
        assert [each.seq for each in claimed.tail] == list(range(6, count + 1))
        assert await world.message.find(C, ANN, entry(7).client_id) == entry(7)
        assert await world.message.entry(C, count + 1) is None
        assert await world.message.read(C, 3, 5, 10) == [entry(4), entry(5)]
