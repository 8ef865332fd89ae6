"""The projection of a group's log: the fold of the log, whatever it was told of and whatever was lost."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from core.base.errors import Unavailable
from core.base.ids import UserId, group_of
from core.base.records import Entry, GroupBody, GroupState, HeadQuery, HeadState, Kind, MemberBody, Role
from core.rules import membership
from sidecars.group import service as group_service
from sidecars.group.requests import Caller, NewMember
from sidecars.group.service import GroupService
from tests.contracts.people import ANN, BOB, CID, DAN, GROUP, D, append, entry
from tests.group.world import PHONE, World, open_world

USERS = (ANN, BOB, CID, DAN)


async def test_it_is_as_the_log_says_after_each_change() -> None:
    async with open_world() as world:
        ann = Caller(ANN, PHONE)
        created = await world.make_group(NewMember(BOB, "admin"), CID)
        group = group_of(created.conversation)
        assert created.members == {BOB: "admin", CID: "member", ANN: "owner"}
        assert (created.name, created.history, created.created_ms) == ("Rowing", "joined", world.clock.wall_ms())
        await world.user_groups.remove(ann, group, CID)
        await world.user_groups.add(ann, group, [NewMember(DAN, "reader")])
        await world.user_groups.set_role(ann, group, DAN, "member")
        state = await world.user_groups.change(ann, group, "Sailing", "shared")
        assert state.members == {BOB: "admin", ANN: "owner", DAN: "member"}
        assert (state.name, state.history, state.created_ms) == ("Sailing", "shared", created.created_ms)
        assert state == await world.fold(created.conversation)
        await world.user_groups.delete(ann, group)
        assert (await world.fold(created.conversation)).members == {}


async def test_a_group_that_never_was_has_no_state() -> None:
    async with open_world() as world:
        assert await world.groups.state(GROUP) is None
        assert await world.groups.states([GROUP]) == []


@pytest.mark.parametrize("step", ["confirm", "follow"])
async def test_a_crash_between_append_and_projection_is_repaired_by_reading_on(step: Any) -> None:
    async with open_world() as world:
        group = group_of((await world.make_group(BOB)).conversation)
        world.owner.dies_before = step
        with pytest.raises(Unavailable):
            await world.user_groups.add(Caller(ANN, PHONE), group, [NewMember(CID)])
        stored = await world.stores.groups.state(group)
        assert stored is not None
        assert CID not in stored.members
        [listed] = await world.groups.states([group])
        assert CID in listed.members
        state = await world.groups.state(group)
        assert state is not None
        assert CID in state.members


async def test_a_group_whose_first_entry_nobody_told_of_is_found() -> None:
    async with open_world() as world:
        world.owner.dies_before = "follow"
        with pytest.raises(Unavailable):
            await world.make_group(BOB)
        [group] = await world.relay.groups_of(ANN)
        state = await world.groups.state(group)
        assert state is not None
        assert state.members == {ANN: "owner", BOB: "member"}


async def test_long_stretches_of_texts_are_looked_through_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_service, "_READ_LIMIT", 3)
    monkeypatch.setattr(group_service, "_WRITE_DOWN_EVERY", 5)
    async with open_world() as world:
        created = await world.make_group(BOB)
        group = group_of(created.conversation)
        for _ in range(8):
            await world.say(ANN, created.conversation)
        state = await world.groups.state(group)
        assert state is not None
        assert state.seq == 9
        stored = await world.stores.groups.state(group)
        assert stored == state
        for _ in range(3):
            await world.say(ANN, created.conversation)
        reads = _Counted(world)
        again = GroupService(world.stores.groups, reads)
        assert await again.state(group) == await world.fold(created.conversation)
        assert reads.entries == 3
        assert await again.states([group]) == [await world.fold(created.conversation)]
        assert reads.entries == 3
        await world.say(ANN, created.conversation)
        assert await again.states([group]) == [await world.fold(created.conversation)]
        assert reads.entries == 4
        assert (await world.stores.groups.state(group)) == stored


class _Counted:
    def __init__(self, world: World) -> None:
        self._world = world
        self.entries = 0

    async def heads(self, queries: Sequence[HeadQuery]) -> list[HeadState]:
        return await self._world.group_message.heads(queries)

    async def read(self, conversation: Any, after: int, up_to: int, limit: int) -> list[Entry]:
        entries = await self._world.group_message.read(conversation, after, up_to, limit)
        self.entries += len(entries)
        return entries


async def test_a_projection_that_could_not_follow_compares_itself_with_the_log() -> None:
    async with open_world() as world:
        group = group_of((await world.make_group(BOB)).conversation)
        assert len(await world.groups.states([group])) == 1
        real, world.groups._store = world.groups._store, _NoWrites(world.groups._store)  # type: ignore[assignment]
        with pytest.raises(Unavailable):
            await world.user_groups.add(Caller(ANN, PHONE), group, [NewMember(CID)])
        world.groups._store = real
        [state] = await world.groups.states([group])
        assert CID in state.members


class _NoWrites:
    def __init__(self, store: Any) -> None:
        self._store = store
        self.state = store.state
        self.states = store.states

    async def put(self, state: GroupState) -> None:
        raise Unavailable("the disk is full")


async def test_an_entry_that_the_log_does_not_know_yet_is_refused() -> None:
    async with open_world() as world:
        change = entry(2, conversation=D, kind="member", body=b"{}")
        with pytest.raises(Unavailable):
            await world.groups.follow([change])
        assert await world.groups.state(GROUP) is None


# ---- against the fold

_roles: st.SearchStrategy[Role] = st.sampled_from(["owner", "admin", "member", "reader"])
_some = st.lists(st.sampled_from(USERS), unique=True, max_size=3)


@st.composite
def _bodies(draw: st.DrawFn) -> tuple[Kind, bytes]:
    kind: Kind = draw(st.sampled_from(["text", "member", "group"]))
    match kind:
        case "member":
            added, removed = draw(_some), draw(_some)
            roles = draw(st.dictionaries(st.sampled_from(USERS), _roles, max_size=3))
            deleted = draw(st.integers(0, 9)) == 0
            return kind, msgspec.json.encode(MemberBody(ANN, added, removed, roles, deleted=deleted))
        case "group":
            roles = draw(st.dictionaries(st.sampled_from(USERS), _roles, max_size=3))
            name, history = draw(st.sampled_from(["", "A", "B"])), draw(st.sampled_from(["", "joined", "shared"]))
            return kind, msgspec.json.encode(GroupBody(ANN, name, history, roles))
        case _:
            return kind, b"{}"


@dataclass(frozen=True)
class _Told:
    """What happens after an entry is in the log: the projection is told of it, is asked, is started again."""

    follows: bool
    asks: bool
    lists: bool
    restarts: bool


_told = st.builds(_Told, st.booleans(), st.booleans(), st.booleans(), st.integers(0, 4).map(lambda number: number == 0))


@settings(max_examples=40)
@given(story=st.lists(st.tuples(_bodies(), _told), min_size=1, max_size=25), reads=st.integers(1, 4))
async def test_any_loss_of_what_it_is_told_gives_the_same_state(
    story: Sequence[tuple[tuple[Kind, bytes], _Told]], reads: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(group_service, "_READ_LIMIT", reads)
        patch.setattr(group_service, "_WRITE_DOWN_EVERY", 3)
        async with open_world() as world:
            groups = world.groups
            await world.group_message.claim(D, 1)
            expected = membership.no_group(D)
            for seq, ((kind, body), told) in enumerate(story, start=1):
                change = entry(seq, conversation=D, kind=kind, body=body)
                await world.group_message.append([append(change)])
                expected = membership.after(expected, change)
                if told.restarts:
                    groups = GroupService(world.stores.groups, world.group_message)
                if told.follows and kind != "text":
                    await groups.follow([change])
                if told.lists:
                    assert await groups.states([GROUP]) == [expected]
                if told.asks:
                    assert await groups.state(GROUP) == expected
            await groups.follow(
                [
                    entry(seq, conversation=D, kind=kind, body=body)
                    for seq, ((kind, body), _) in enumerate(story, start=1)
                    if kind != "text"
                ]
            )  # repeated, all of it
            assert await groups.state(GROUP) == expected
            restarted = GroupService(world.stores.groups, world.group_message)
            assert await restarted.states([GROUP]) == [expected]


async def test_many_at_once_never_store_what_the_log_does_not_say() -> None:
    async with open_world() as world:
        created = await world.make_group(BOB)
        group = group_of(created.conversation)

        async def come_and_go(user: UserId) -> None:
            for _ in range(5):
                await world.user_groups.add(Caller(ANN, PHONE), group, [NewMember(user)])
                await world.user_groups.remove(Caller(ANN, PHONE), group, user)

        async def look() -> None:
            for _ in range(20):
                state = await world.groups.state(group)
                assert state is not None
                assert state == await _fold_to(world, state)

        async with trio.open_nursery() as nursery:
            for user in (CID, DAN):
                nursery.start_soon(come_and_go, user)
            nursery.start_soon(look)
            nursery.start_soon(look)
        assert await world.stores.groups.state(group) == await world.fold(created.conversation)


async def _fold_to(world: World, seen: GroupState) -> GroupState:
    state = membership.no_group(seen.conversation)
    for change in await world.group_message.read(seen.conversation, 0, seen.seq, 1_000):
        state = membership.after(state, change)
    return state
