"""The contract of the port LastSeenStore."""

from tests.contracts.backends import Backend, Stores, on_every_backend
from tests.contracts.people import ANN, BOB, CID

pytestmark = on_every_backend


def test_times_only_grow_and_are_answered_in_the_order_asked(backend: Backend) -> None:
    async def test(stores: Stores) -> None:
        await stores.last_seen.note([(ANN, 5), (BOB, 7), (ANN, 3)])
        assert await stores.last_seen.last([BOB, CID, ANN, BOB]) == [7, 0, 5, 7]
        await stores.last_seen.note([(BOB, 6), (ANN, 9)])
        assert await stores.last_seen.last([ANN, BOB]) == [9, 7]

    backend.run(test)


def test_nothing_noted_and_nobody_asked_for_is_fine(backend: Backend) -> None:
    async def test(stores: Stores) -> None:
        await stores.last_seen.note([])
        assert await stores.last_seen.last([]) == []
        assert await stores.last_seen.last([ANN]) == [0]

    backend.run(test)
