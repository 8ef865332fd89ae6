"""The contract of the port GroupStore."""

import trio
from msgspec.structs import replace

from core.base.ids import GroupId
from core.base.records import GroupState
from sidecars.ports.groups import Invite
from tests.contracts.backends import Backend, Stores, on_every_backend
from tests.contracts.people import ANN, BOB, GROUP, D, uuid

pytestmark = on_every_backend

STATE = GroupState(D, 3, "Rowing", "joined", {ANN: "owner", BOB: "reader"}, 1_000)
INVITE = Invite("hash", GROUP, ANN, 5_000, 2)


def test_a_group_is_as_of_its_greatest_seq(backend: Backend) -> None:
    async def test(stores: Stores) -> None:
        assert await stores.groups.state(GROUP) is None
        await stores.groups.put(STATE)
        assert await stores.groups.state(GROUP) == STATE
        for seq in (2, 3):
            await stores.groups.put(replace(STATE, seq=seq, name="Sailing"))
            assert await stores.groups.state(GROUP) == STATE
        newer = replace(STATE, seq=4, name="Sailing", history="shared", members={})
        await stores.groups.put(newer)
        assert await stores.groups.states([GROUP, GroupId(uuid(77))]) == [newer]

    backend.run(test)


def test_an_invite_is_good_for_its_uses(backend: Backend) -> None:
    async def test(stores: Stores) -> None:
        await stores.groups.add_invite(INVITE)
        assert await stores.groups.take_invite("other", 0) is None
        assert await stores.groups.take_invite("hash", 0) == replace(INVITE, uses_left=1)
        assert await stores.groups.take_invite("hash", 4_999) == replace(INVITE, uses_left=0)
        assert await stores.groups.take_invite("hash", 0) is None
        await stores.groups.return_invite("hash")
        assert await stores.groups.take_invite("hash", 0) == replace(INVITE, uses_left=0)

    backend.run(test)


def test_an_invite_ends_with_its_time(backend: Backend) -> None:
    async def test(stores: Stores) -> None:
        await stores.groups.add_invite(INVITE)
        assert await stores.groups.take_invite("hash", 5_000) is None

    backend.run(test)


def test_an_invite_for_any_number_never_runs_out(backend: Backend) -> None:
    async def test(stores: Stores) -> None:
        unlimited = replace(INVITE, uses_left=-1)
        await stores.groups.add_invite(unlimited)
        for _ in range(3):
            assert await stores.groups.take_invite("hash", 0) == unlimited
        await stores.groups.return_invite("hash")
        assert await stores.groups.take_invite("hash", 0) == unlimited

    backend.run(test)


def test_many_at_once_take_no_more_uses_than_there_are(backend: Backend) -> None:
    async def test(stores: Stores) -> None:
        await stores.groups.add_invite(INVITE)
        taken: list[Invite | None] = []

        async def take() -> None:
            taken.append(await stores.groups.take_invite("hash", 0))

        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(take)
        assert sum(invite is not None for invite in taken) == 2

    backend.run(test)
