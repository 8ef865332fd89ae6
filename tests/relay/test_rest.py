"""REST of the relay service: the list in pages, what is pending for a device, marks, mute."""

from typing import Any

import pytest

from core.base.ids import direct_conversation, group_of
from sidecars.group.requests import Caller
from tests.contracts.people import ANN, BOB, CID, DAN, C, D
from tests.group.world import LAPTOP, NOBODY, PHONE, World, open_world

LIST = "/relay-service/conversations"
PENDING = "/relay-service/pending"
DELIVERED = "/relay-service/delivered"


async def pending(world: World, query: str = "") -> tuple[list[tuple[str, int]], bool]:
    """What Bob's phone lacks: (conversation, seq)s, and whether there is more."""
    answer = await world.rest(BOB, "GET", PENDING + query)
    assert answer.status == 200, answer.body
    return [(each["conversation"], each["seq"]) for each in answer.json["messages"]], answer.json["more"]


async def mark(world: World, conversation: str, seq: int) -> None:
    answer = await world.rest(BOB, "POST", DELIVERED, {"conversation": conversation, "seq": seq})
    assert (answer.status, answer.body) == (204, b"")


# ---- the list


async def test_the_list_says_what_the_frame_says() -> None:
    async with open_world() as world:
        await world.say(ANN, C)
        [listed] = (await world.rest(BOB, "GET", LIST)).json["conversations"]
        last = listed.pop("last")
        assert (last["seq"], last["body"]) == (1, {"text": "hello"})
        assert listed == {
            "conversation": C,
            "first": 1,
            "head": 1,
            "delivered": 0,
            "read": 0,
            "unread": 1,
            "title": "Ann",
            "role": "member",
            "members": 2,
            "muted": False,
            "peer": {"user": ANN, "name": "Ann", "delivered": 0, "read": 0},
        }


async def test_the_list_comes_in_pages_newest_first() -> None:
    async with open_world() as world:
        made = [(await world.make_group(BOB)).conversation for _ in range(5)]
        found: list[str] = []
        page: dict[str, Any] = {}
        query = "?limit=2"
        for _ in range(3):
            page = (await world.rest(BOB, "GET", LIST + query)).json
            found += [listed["conversation"] for listed in page["conversations"]]
            query = f"?limit=2&cursor={page.get('cursor', '')}"
        assert found == made[::-1]
        assert "cursor" not in page


async def test_a_cursor_of_somebody_else_or_of_ones_own_making_is_refused() -> None:
    async with open_world() as world:
        for _ in range(3):
            await world.make_group(BOB)
        cursor = (await world.rest(ANN, "GET", f"{LIST}?limit=1")).json["cursor"]
        for user, text in [(BOB, cursor), (ANN, cursor[:-2]), (ANN, "WzAsIngiXQ"), (ANN, "%00"), (ANN, "x" * 2_000)]:
            answer = await world.rest(user, "GET", f"{LIST}?cursor={text}")
            assert (answer.status, answer.json["field"]) == (422, "cursor")
        assert (await world.rest(ANN, "GET", f"{LIST}?limit=1&cursor={cursor}")).status == 200


@pytest.mark.parametrize("path", [LIST, PENDING])
@pytest.mark.parametrize("limit", ["-1", "0", "1000000000", "ten", "1.5", "", "%F0%9F%91%8D"])
async def test_a_limit_out_of_bounds_is_refused(path: str, limit: str) -> None:
    async with open_world() as world:
        answer = await world.rest(ANN, "GET", f"{path}?limit={limit}")
        assert (answer.status, answer.json["field"]) == (422, "limit")


# ---- pending


async def test_what_a_device_was_not_given_comes_oldest_first_until_it_is_marked() -> None:
    async with open_world() as world:
        other = direct_conversation(BOB, CID)
        await world.say(ANN, C)
        await world.say(CID, other)
        await world.say(ANN, C)
        expected = [(C, 1), (other, 1), (C, 2)]
        assert await pending(world) == (expected, False)
        assert await pending(world, "?limit=2") == (expected[:2], True)
        await mark(world, C, 1)
        assert await pending(world) == (expected[1:], False)
        await mark(world, C, 2)
        await mark(world, other, 1)
        assert await pending(world) == ([], False)


async def test_nothing_is_left_out_when_the_limit_is_smaller_than_the_number_of_conversations() -> None:
    async with open_world() as world:
        expected: set[tuple[str, int]] = set()
        for _ in range(5):
            name = (await world.make_group(BOB)).conversation
            await world.say(ANN, name)
            expected |= {(name, 1), (name, 2)}
        given: list[tuple[str, int]] = []
        more = True
        while more:
            messages, more = await pending(world, "?limit=2")
            for conversation, seq in messages:
                await mark(world, conversation, seq)
            given += messages
        assert set(given) == expected
        assert len(given) == len(expected)


async def test_a_second_device_starts_where_the_user_is() -> None:
    async with open_world() as world:
        for _ in range(3):
            await world.say(ANN, C)
        await mark(world, C, 2)
        answer = await world.rest(BOB, "GET", PENDING, device=LAPTOP)
        assert [each["seq"] for each in answer.json["messages"]] == [3]


async def test_pending_ends_with_the_removal_and_leaves_out_what_is_hidden() -> None:
    async with open_world() as world:
        group = await world.make_group(BOB)
        name = group.conversation
        await world.user_groups.remove(Caller(ANN, PHONE), group_of(name), BOB)
        await world.say(ANN, name)
        assert await pending(world) == ([(name, 1), (name, 2)], False)
        await mark(world, name, 2)
        await world.say(BOB, C)
        world.people.blocks.add((BOB, ANN))
        await world.say(ANN, C, "psst")
        await world.say(ANN, C, "psst")
        await world.say(BOB, C)
        assert await pending(world) == ([(C, 1), (C, 4)], False)
        assert await pending(world, "?limit=1") == ([(C, 1)], True)


async def test_a_deleted_message_is_pending_without_its_words() -> None:
    async with open_world() as world:
        await world.say(ANN, C, "secret")
        wish = {"client_id": world.ids.uuid7(), "kind": "delete", "ref": 1}
        url = f"/message-service/conversations/{C}/messages"
        assert (await world.rest(ANN, "POST", url, wish)).status == 201
        messages = (await world.rest(BOB, "GET", PENDING)).json["messages"]
        assert [(each["kind"], each["body"], each.get("deleted", False)) for each in messages] == [
            ("text", {}, True),
            ("delete", {}, False),
        ]


# ---- marks


@pytest.mark.parametrize("seq", [0, -1, 2**63, 1.5, "9", None, True])
async def test_a_mark_that_is_no_seq_is_refused(seq: object) -> None:
    async with open_world() as world:
        await world.say(ANN, C)
        answer = await world.rest(BOB, "POST", DELIVERED, {"conversation": C, "seq": seq})
        assert (answer.status, answer.json["field"]) == (422, "seq")


async def test_a_mark_above_the_head_is_refused_and_one_that_goes_back_has_no_effect() -> None:
    async with open_world() as world:
        for _ in range(3):
            await world.say(ANN, C)
        await mark(world, C, 3)
        answer = await world.rest(BOB, "POST", DELIVERED, {"conversation": C, "seq": 4})
        assert (answer.status, answer.json["field"]) == (422, "seq")
        await mark(world, C, 1)
        [listed] = await world.listed(BOB)
        assert listed.delivered == 3


async def test_one_who_was_removed_marks_up_to_the_removal() -> None:
    async with open_world() as world:
        group = await world.make_group(BOB)
        await world.user_groups.remove(Caller(ANN, PHONE), group_of(group.conversation), BOB)
        await world.say(ANN, group.conversation)
        await mark(world, group.conversation, 2)
        answer = await world.rest(BOB, "POST", DELIVERED, {"conversation": group.conversation, "seq": 3})
        assert answer.status == 422


# ---- mute


async def test_a_conversation_is_muted_for_its_user_alone_and_the_sessions_are_told() -> None:
    async with open_world() as world:
        await world.say(ANN, C)
        for method, expected in (("PUT", True), ("PUT", True), ("DELETE", False)):
            assert (await world.rest(BOB, method, f"{LIST}/{C}/mute")).status == 204
            assert [listed.muted for listed in await world.listed(BOB)] == [expected]
            assert [listed.muted for listed in await world.listed(ANN)] == [False]
        assert world.door.relisted == [(BOB, C)] * 3


# ---- strangers


async def test_a_stranger_cannot_tell_what_exists() -> None:
    async with open_world() as world:
        group = await world.make_group(BOB)
        await world.say(ANN, C)
        missing = direct_conversation(CID, NOBODY)
        for stranger in (CID, DAN):
            for real, unreal in ((C, missing), (group.conversation, D), (C, D)):
                for method in ("PUT", "DELETE"):
                    answer = await world.rest(stranger, method, f"{LIST}/{real}/mute")
                    assert (answer.status, answer.json["code"]) == (404, "not_found")
                    assert answer == await world.rest(stranger, method, f"{LIST}/{unreal}/mute")
                for seq in (1, 2, 100):
                    answer = await world.rest(stranger, "POST", DELIVERED, {"conversation": real, "seq": seq})
                    assert (answer.status, answer.json["code"]) == (404, "not_found")
                    wish = {"conversation": unreal, "seq": seq}
                    assert answer == await world.rest(stranger, "POST", DELIVERED, wish)
        assert world.door.relisted == []


@pytest.mark.parametrize("conversation", ["", "x", f"d:{BOB}:{ANN}", 5, None])
async def test_what_names_no_conversation_is_refused(conversation: object) -> None:
    async with open_world() as world:
        answer = await world.rest(ANN, "POST", DELIVERED, {"conversation": conversation, "seq": 1})
        assert (answer.status, answer.json["field"]) == (422, "conversation")
