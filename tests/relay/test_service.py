"""Lists and watermarks: what a listing says, and how changes that nobody confirmed are settled by the log."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.base.errors import Rejected, Unavailable
from core.base.ids import UserId, direct_conversation, group_of
from core.base.limits import Limits
from core.base.records import HeadQuery, HeadState, Mark, MemberBody, Peer, Reader, Row, RowChange
from sidecars.group.requests import Caller, NewMember
from sidecars.relay.service import RelayService
from tests.contracts.people import ANN, BOB, CID, DAN, C, D
from tests.group.world import LAPTOP, PHONE, World, open_world

ANN_PHONE = Caller(ANN, PHONE)


# ---- listings


async def test_a_direct_conversation_appears_to_both_with_its_peer() -> None:
    async with open_world() as world:
        assert await world.listed(ANN) == []
        await world.say(ANN, C, "one")
        await world.say(BOB, C, "two")
        await world.relay.merge([Mark(BOB, PHONE, C, 1, 1), Mark(ANN, PHONE, C, 2, 0)])
        [ann] = await world.listed(ANN)
        assert (ann.conversation, ann.first, ann.head, ann.joined) == (C, 1, 2, 1)
        assert (ann.title, ann.role, ann.members, ann.muted) == ("Bob", "member", 2, False)
        assert ann.peer == Peer(BOB, "Bob", 1, 1)
        assert (ann.delivered, ann.read, ann.unread, ann.user_delivered) == (2, 0, 2, 2)
        assert ann.last is not None
        assert ann.last.entry.body == b'{"text": "two"}'
        [bob] = await world.listed(BOB)
        assert bob.peer == Peer(ANN, "Ann", 2, 0)
        assert (bob.delivered, bob.read, bob.unread) == (1, 1, 1)


async def test_notes_to_oneself_have_oneself_as_peer() -> None:
    async with open_world() as world:
        notes = direct_conversation(ANN, ANN)
        await world.say(ANN, notes)
        [listed] = await world.listed(ANN)
        assert (listed.conversation, listed.title, listed.members) == (notes, "Ann", 1)
        assert listed.peer == Peer(ANN, "Ann", 0, 0)


async def test_a_group_appears_with_its_name_role_and_size() -> None:
    async with open_world() as world:
        group = await world.make_group(NewMember(BOB, "reader"), CID)
        await world.say(ANN, group.conversation)
        [listed] = await world.listed(BOB)
        assert (listed.title, listed.role, listed.members, listed.peer) == ("Rowing", "reader", 3, None)
        assert (listed.first, listed.head, listed.unread, listed.history) == (1, 2, 1, "joined")


async def test_the_newest_conversation_comes_first() -> None:
    async with open_world() as world:
        group = await world.make_group()
        await world.say(ANN, C)
        other = direct_conversation(ANN, CID)
        await world.say(ANN, other)
        assert [listed.conversation for listed in await world.listed(ANN)] == [other, C, group.conversation]
        await world.say(BOB, C)
        assert [listed.conversation for listed in await world.listed(ANN)] == [C, other, group.conversation]


async def test_a_first_device_starts_at_the_beginning_and_a_later_one_where_the_user_is() -> None:
    async with open_world() as world:
        for _ in range(5):
            await world.say(BOB, C)
        [phone] = await world.listed(ANN, PHONE)
        assert phone.delivered == 0
        await world.relay.merge([Mark(ANN, PHONE, C, 3, 0)])
        [laptop] = await world.listed(ANN, LAPTOP)
        assert (laptop.delivered, laptop.user_delivered) == (3, 3)


async def test_a_new_member_starts_at_its_join_and_counts_from_there() -> None:
    async with open_world() as world:
        for history, first, unread in (("joined", 3, 1), ("shared", 1, 1)):
            group = await world.make_group(history=history)  # type: ignore[arg-type]
            await world.say(ANN, group.conversation)
            await world.user_groups.add(ANN_PHONE, group_of(group.conversation), [NewMember(BOB)])
            await world.say(ANN, group.conversation)
            [listed] = await world.relay.listed(BOB, PHONE, [group.conversation])
            assert (listed.first, listed.delivered, listed.head) == (first, first - 1, 4), history
            assert (listed.joined, listed.unread) == (3, unread), history


async def test_one_who_was_removed_sees_the_removal_as_the_head_and_nothing_later() -> None:
    async with open_world() as world:
        group = await world.make_group(BOB)
        name = group.conversation
        await world.say(ANN, name)
        await world.user_groups.remove(ANN_PHONE, group_of(name), BOB)
        await world.say(ANN, name, "about Bob")
        [listed] = await world.listed(BOB)
        assert (listed.head, listed.role, listed.unread) == (3, "none", 1)
        assert listed.last is not None
        assert listed.last.entry.seq == 3
        assert await world.relay.reader(BOB, name) == Reader(BOB, 1, 3)
        await world.user_groups.add(ANN_PHONE, group_of(name), [NewMember(BOB)])
        [listed] = await world.listed(BOB)
        assert (listed.first, listed.head, listed.role, listed.joined) == (5, 5, "member", 5)
        assert listed.delivered == 4


async def test_marks_between_two_of_whom_one_has_blocked_the_other_are_not_shown() -> None:
    async with open_world() as world:
        await world.say(ANN, C)
        await world.relay.merge([Mark(BOB, PHONE, C, 1, 1), Mark(ANN, PHONE, C, 1, 1)])
        world.people.blocks.add((BOB, ANN))
        for user, name in ((ANN, "Bob"), (BOB, "Ann")):
            [listed] = await world.listed(user)
            assert listed.peer is not None
            assert (listed.peer.name, listed.peer.delivered, listed.peer.read) == (name, 0, 0)


async def test_only_what_is_asked_for_and_ones_own_is_listed() -> None:
    async with open_world() as world:
        await world.say(ANN, C)
        await world.say(CID, direct_conversation(CID, DAN))
        wanted = [C, direct_conversation(CID, DAN), D, C]
        assert [listed.conversation for listed in await world.relay.listed(ANN, PHONE, wanted)] == [C]
        assert await world.relay.listed(ANN, PHONE, []) == []


async def test_people_share_what_both_are_in() -> None:
    async with open_world() as world:
        group = await world.make_group(BOB)
        await world.say(CID, direct_conversation(CID, DAN))
        assert await world.relay.sharing(ANN, [BOB, CID, DAN]) == {BOB}
        assert await world.relay.groups_of(BOB) == [group_of(group.conversation)]
        await world.user_groups.remove(ANN_PHONE, group_of(group.conversation), BOB)
        assert await world.relay.sharing(ANN, [BOB]) == frozenset()
        assert await world.relay.groups_of(BOB) == []


async def test_a_stranger_is_no_reader() -> None:
    async with open_world() as world:
        await world.say(ANN, C)
        refusals = []
        for conversation in (C, D, direct_conversation(CID, DAN)):
            with pytest.raises(Rejected) as refused:
                await world.relay.reader(CID, conversation)
            refusals.append((refused.value.code, refused.value.message, refused.value.field))
        assert set(refusals) == {("not_found", "no such conversation", None)}


# ---- limits


async def test_nobody_gets_more_conversations_than_a_user_may_have() -> None:
    async with open_world(Limits(conversations_per_user=2)) as world:
        await world.say(ANN, C)
        group = await world.make_group(BOB)
        with pytest.raises(Rejected, match="at most 2 conversations") as refused:
            await world.say(ANN, direct_conversation(ANN, CID))
        assert refused.value.code == "conflict"
        assert await world.listed(CID) == []
        # What is there already goes on, and ends.
        await world.say(BOB, C)
        await world.user_groups.remove(ANN_PHONE, group_of(group.conversation), BOB)
        await world.user_groups.add(ANN_PHONE, group_of(group.conversation), [NewMember(BOB)])


# ---- pending changes


@pytest.mark.parametrize("step", ["append", "confirm"])
async def test_the_first_message_of_two_whose_owner_died(step: Any) -> None:
    async with open_world() as world:
        world.owner.dies_before = step
        with pytest.raises(Unavailable):
            await world.say(ANN, C)
        is_in_log = step == "confirm"
        for user in (ANN, BOB):
            assert [listed.head for listed in await world.listed(user)] == ([1] if is_in_log else [])
            assert (await world.stores.relay.row(user, C)) == (
                Row(C, 1, 1, 0, 0, 0, False) if is_in_log else Row(C, 0, 0, 0, 0, 0, False, 1, 1)
            )
        assert await world.say(ANN, C) == (2 if is_in_log else 1)
        assert len(await world.listed(BOB)) == 1


async def test_an_addition_that_was_never_appended_is_forgotten_once_another_entry_stands_there() -> None:
    async with open_world() as world:
        group = await world.make_group(BOB)
        world.owner.dies_before = "append"
        with pytest.raises(Unavailable):
            await world.user_groups.add(ANN_PHONE, group_of(group.conversation), [NewMember(CID)])
        assert await world.listed(CID) == []
        with pytest.raises(Rejected):
            await world.relay.reader(CID, group.conversation)
        assert await world.stores.relay.row(CID, group.conversation) is not None
        await world.say(ANN, group.conversation)
        assert await world.listed(CID) == []
        assert await world.stores.relay.row(CID, group.conversation) is None


async def test_an_addition_that_is_in_the_log_is_confirmed_by_looking() -> None:
    async with open_world() as world:
        group = await world.make_group(BOB)
        world.owner.dies_before = "confirm"
        with pytest.raises(Unavailable):
            await world.user_groups.add(ANN_PHONE, group_of(group.conversation), [NewMember(CID)])
        [listed] = await world.listed(CID)
        assert (listed.first, listed.head, listed.role, listed.members) == (2, 2, "member", 3)
        assert await world.relay.groups_of(CID) == [group_of(group.conversation)]


async def test_the_addition_of_somebody_else_at_that_seq_confirms_nothing() -> None:
    async with open_world() as world:
        group = await world.make_group(BOB)
        await world.relay.prepare([RowChange(DAN, group.conversation, 2, 2)])
        await world.user_groups.add(ANN_PHONE, group_of(group.conversation), [NewMember(CID)])
        assert await world.listed(DAN) == []


async def test_a_removal_that_is_prepared_bounds_at_once_and_ends_with_what_the_log_says() -> None:
    async with open_world() as world:
        group = await world.make_group(BOB)
        name = group.conversation
        world.owner.dies_before = "append"
        with pytest.raises(Unavailable):
            await world.user_groups.remove(ANN_PHONE, group_of(name), BOB)
        assert await world.relay.reader(BOB, name) == Reader(BOB, 1, 2)
        await world.say(ANN, name)
        assert await world.relay.reader(BOB, name) == Reader(BOB, 1, 0)
        [listed] = await world.listed(BOB)
        assert (listed.head, listed.role) == (2, "member")
        world.owner.dies_before = "confirm"
        with pytest.raises(Unavailable):
            await world.user_groups.remove(ANN_PHONE, group_of(name), BOB)
        await world.say(ANN, name)
        assert await world.relay.reader(BOB, name) == Reader(BOB, 1, 3)
        [listed] = await world.listed(BOB)
        assert (listed.head, listed.role) == (3, "none")


async def test_a_change_that_was_not_confirmed_is_not_lost_under_the_next() -> None:
    async with open_world() as world:
        group = await world.make_group()
        name = group.conversation
        world.owner.dies_before = "confirm"
        with pytest.raises(Unavailable):
            await world.user_groups.add(ANN_PHONE, group_of(name), [NewMember(BOB)])
        await world.say(ANN, name)
        await world.user_groups.remove(ANN_PHONE, group_of(name), BOB)
        assert await world.relay.reader(BOB, name) == Reader(BOB, 2, 4)


class _Racing:
    """A log in which something happens just before heads are read."""

    def __init__(self, world: World, happen: Any) -> None:
        self._world = world
        self._happen = happen
        self.entry = world.group_message.entry

    async def heads(self, queries: Sequence[HeadQuery]) -> list[HeadState]:
        if self._happen is not None:
            happen, self._happen = self._happen, None
            await happen()
        return await self._world.group_message.heads(queries)


async def test_a_removal_that_races_with_a_listing_bounds_it() -> None:
    async with open_world() as world:
        group = await world.make_group(BOB)
        name = group.conversation

        async def remove_and_go_on() -> None:
            await world.user_groups.remove(ANN_PHONE, group_of(name), BOB)
            await world.say(ANN, name, "about Bob")

        racing = RelayService(
            world.stores.relay,
            message=world.message,
            group_message=_Racing(world, remove_and_go_on),
            groups=world.groups,
            people=world.people,
            limits=world.limits,
        )
        [listed] = await racing.listing(BOB, PHONE)
        assert (listed.head, listed.role) == (2, "none")


# ---- against the log

_PEOPLE = (BOB, CID)


@settings(max_examples=25)
@given(
    story=st.lists(
        st.tuples(
            st.sampled_from(["add", "remove", "text"]),
            st.sampled_from(_PEOPLE),
            st.sampled_from([None, None, "append", "confirm", "follow"]),
            st.booleans(),
        ),
        max_size=14,
    )
)
async def test_whatever_dies_a_row_is_what_the_log_says(story: Sequence[tuple[str, UserId, Any, bool]]) -> None:
    async with open_world() as world:
        group = await world.make_group()
        name = group.conversation
        for what, user, death, looks in story:
            world.owner.dies_before = death
            try:
                match what:
                    case "add":
                        await world.user_groups.add(ANN_PHONE, group_of(name), [NewMember(user)])
                    case "remove":
                        await world.user_groups.remove(ANN_PHONE, group_of(name), user)
                    case _:
                        await world.say(ANN, name)
            except (Unavailable, Rejected):
                pass
            world.owner.dies_before = None
            if looks:
                await _assert_bounds(world, name)
        await world.say(ANN, name)  # the log passes what is pending
        await _assert_bounds(world, name)


async def _assert_bounds(world: World, name: Any) -> None:
    """Each may read from its last join to its removal, and nothing where it never joined."""
    entries = await world.group_message.read(name, 0, 0, 1_000)
    for user in _PEOPLE:
        first = last = 0
        for each in entries:
            if each.kind == "member":
                body = msgspec.json.decode(each.body, type=MemberBody)
                if user in body.added:
                    first, last = each.seq, 0
                if user in body.removed:
                    last = each.seq
        listed = await world.relay.listed(user, PHONE, [name])
        if not first:
            assert listed == []
            continue
        reader = await world.relay.reader(user, name)
        head = entries[-1].seq
        assert (reader.first, min(reader.last or head, head)) == (first, last or head)
        assert (listed[0].first, listed[0].head) == (first, last or head)
        assert listed[0].role == ("none" if last else "member")


async def test_listings_of_many_conversations_ask_for_heads_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecars.relay.service._HEADS_PER_CALL", 2)
    async with open_world() as world:
        await world.message.claim(C, 1)
        for number in range(5):
            await world.make_group(BOB)
            await world.say(ANN, C, str(number))
        assert len(await world.listed(ANN)) == 6
