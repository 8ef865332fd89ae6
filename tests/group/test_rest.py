"""REST of the group service: who may do what with a group, and what strangers are told."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.base.ids import UserId
from core.base.limits import Limits
from sidecars.group.requests import INVITE_S, NAME_CHARS_MAX
from tests.contracts.people import ANN, BOB, CID, DAN, uuid
from tests.group.world import NOBODY, World, open_world

GROUPS = "/group-service/groups"
MISSING = f"{GROUPS}/{uuid(77)}"


async def make(world: World, **roles: str) -> str:
    """Ann's group, with others in roles; its path."""
    names = {"bob": BOB, "cid": CID, "dan": DAN}
    members = [{"user": names[name], "role": role} for name, role in roles.items()]
    answer = await world.rest(ANN, "POST", GROUPS, {"name": "Rowing", "members": members})
    assert answer.status == 201, answer.body
    return f"{GROUPS}/{answer.json['id']}"


def roles_in(group: Any) -> dict[UserId, str]:
    return {each["user"]: each["role"] for each in group["members"]}


# ---- making and seeing


async def test_a_group_is_made_with_its_members_and_they_find_it_in_their_lists() -> None:
    async with open_world() as world:
        members = [{"user": BOB}, {"user": CID, "role": "reader"}]
        answer = await world.rest(ANN, "POST", GROUPS, {"name": " Rowing ", "members": members, "history": "shared"})
        assert answer.status == 201
        group = answer.json
        assert group["conversation"] == f"g:{group['id']}"
        assert (group["name"], group["history"]) == ("Rowing", "shared")
        assert group["created_ms"] == world.clock.wall_ms()
        assert roles_in(group) == {ANN: "owner", BOB: "member", CID: "reader"}
        for user in (ANN, BOB, CID):
            assert (await world.rest(user, "GET", GROUPS)).json == {"groups": [group]}
            assert (await world.rest(user, "GET", f"{GROUPS}/{group['id']}")).json == group
        assert (await world.rest(DAN, "GET", GROUPS)).json == {"groups": []}
        [first] = await world.group_message.read(group["conversation"], 0, 0, 10)
        assert (first.kind, first.sender, first.texts) == ("member", ANN, 0)


@pytest.mark.parametrize(
    ("wish", "status", "field"),
    [
        ({"members": []}, 422, "name"),
        ({"name": "  ", "members": []}, 422, "name"),
        ({"name": "x" * (NAME_CHARS_MAX + 1)}, 422, "name"),
        ({"name": "a\nb"}, 422, "name"),
        ({"name": 5}, 422, "name"),
        ({"name": "A", "members": "all"}, 422, "members"),
        ({"name": "A", "members": [{"user": "bob"}]}, 422, "members"),
        ({"name": "A", "members": [{"user": BOB}, {"user": BOB}]}, 422, "members"),
        ({"name": "A", "members": [{"user": ANN, "role": "reader"}]}, 422, "members"),
        ({"name": "A", "members": [{"user": BOB, "role": "king"}]}, 422, "members[0].role"),
        ({"name": "A", "members": [{"user": NOBODY}]}, 404, "members"),
        ({"name": "A", "history": "none"}, 422, "history"),
        ({"name": "A", "members": [{"user": uuid(number)} for number in range(200, 206)]}, 409, "members"),
    ],
)
async def test_a_group_that_cannot_be_is_refused_and_leaves_nothing(wish: object, status: int, field: str) -> None:
    async with open_world(Limits(group_members=5)) as world:
        answer = await world.rest(ANN, "POST", GROUPS, wish)
        assert (answer.status, answer.json["field"]) == (status, field), answer.body
        assert await world.listed(ANN) == []


async def test_who_makes_a_group_may_name_itself_as_its_owner() -> None:
    async with open_world() as world:
        answer = await world.rest(ANN, "POST", GROUPS, {"name": "A", "members": [{"user": ANN, "role": "owner"}]})
        assert roles_in(answer.json) == {ANN: "owner"}


async def test_the_list_of_groups_comes_in_pages() -> None:
    async with open_world() as world:
        made = [(await make(world, bob="member")).rpartition("/")[2] for _ in range(5)]
        found: list[str] = []
        page: dict[str, Any] = {}
        query = "?limit=2"
        for _ in range(3):
            page = (await world.rest(BOB, "GET", GROUPS + query)).json
            found += [group["id"] for group in page["groups"]]
            query = f"?limit=2&cursor={page.get('cursor', '')}"
        assert found == made
        assert "cursor" not in page
        other = await world.rest(ANN, "GET", f"{GROUPS}?limit=2")
        stolen = await world.rest(BOB, "GET", f"{GROUPS}?cursor={other.json['cursor']}")
        assert (stolen.status, stolen.json["field"]) == (422, "cursor")


# ---- changing


async def test_admins_rename_and_members_do_not() -> None:
    async with open_world() as world:
        group = await make(world, bob="admin", cid="member")
        answer = await world.rest(BOB, "PATCH", group, {"name": "Sailing"})
        assert (answer.status, answer.json["name"], answer.json["history"]) == (200, "Sailing", "joined")
        answer = await world.rest(BOB, "PATCH", group, {"history": "shared"})
        assert (answer.json["name"], answer.json["history"]) == ("Sailing", "shared")
        for wish in ({"name": "Mine"}, {"history": "joined"}, {}):
            answer = await world.rest(CID, "PATCH", group, wish)
            assert (answer.status, answer.json["code"]) == (403, "forbidden")
        assert (await world.rest(BOB, "PATCH", group, {})).status == 400
        assert (await world.rest(BOB, "PATCH", group, {"name": ""})).status == 422
        assert (await world.rest(BOB, "PATCH", group, {"history": "all"})).status == 422


async def test_members_are_added_promoted_and_removed() -> None:
    async with open_world() as world:
        group = await make(world, bob="member")
        answer = await world.rest(ANN, "POST", f"{group}/members", {"members": [{"user": CID, "role": "admin"}]})
        assert (answer.status, roles_in(answer.json)) == (200, {ANN: "owner", BOB: "member", CID: "admin"})
        again = await world.rest(ANN, "POST", f"{group}/members", {"members": [{"user": CID}]})
        assert (again.status, again.json["code"]) == (409, "conflict")
        answer = await world.rest(CID, "PATCH", f"{group}/members/{BOB}", {"role": "reader"})
        assert roles_in(answer.json)[BOB] == "reader"
        assert (await world.rest(CID, "PATCH", f"{group}/members/{BOB}", {"role": "owner"})).status == 403
        assert (await world.rest(CID, "DELETE", f"{group}/members/{ANN}")).status == 403
        assert (await world.rest(BOB, "DELETE", f"{group}/members/{CID}")).status == 403
        answer = await world.rest(CID, "DELETE", f"{group}/members/{BOB}")
        assert (answer.status, answer.body) == (204, b"")
        assert roles_in((await world.rest(ANN, "GET", group)).json) == {ANN: "owner", CID: "admin"}
        for user in (BOB, NOBODY, "nobody"):
            assert (await world.rest(ANN, "DELETE", f"{group}/members/{user}")).status == 404
            assert (await world.rest(ANN, "PATCH", f"{group}/members/{user}", {"role": "member"})).status == 404


async def test_everyone_may_leave_but_the_last_owner() -> None:
    async with open_world() as world:
        group = await make(world, bob="reader")
        answer = await world.rest(ANN, "DELETE", f"{group}/members/{ANN}")
        assert (answer.status, answer.json["code"]) == (409, "conflict")
        assert (await world.rest(ANN, "PATCH", f"{group}/members/{ANN}", {"role": "admin"})).status == 409
        assert (await world.rest(BOB, "DELETE", f"{group}/members/{BOB}")).status == 204
        assert (await world.rest(BOB, "GET", group)).status == 404
        await world.rest(ANN, "POST", f"{group}/members", {"members": [{"user": BOB, "role": "owner"}]})
        assert (await world.rest(ANN, "DELETE", f"{group}/members/{ANN}")).status == 204
        assert (await world.rest(ANN, "GET", GROUPS)).json == {"groups": []}


async def test_an_owner_ends_the_group_for_all() -> None:
    async with open_world() as world:
        group = await make(world, bob="admin", cid="member")
        code = (await world.rest(ANN, "POST", f"{group}/invites", {})).json["code"]
        assert (await world.rest(BOB, "DELETE", group)).status == 403
        assert (await world.rest(ANN, "DELETE", group)).status == 204
        for user in (ANN, BOB, CID):
            assert (await world.rest(user, "GET", group)).status == 404
            [listed] = await world.listed(user)
            assert (listed.role, listed.head) == ("none", 2)
        assert (await world.rest(DAN, "POST", f"/group-service/invites/{code}/accept")).status == 404


async def test_a_group_holds_no_more_than_its_limit() -> None:
    async with open_world(Limits(group_members=2)) as world:
        group = await make(world, bob="member")
        answer = await world.rest(ANN, "POST", f"{group}/members", {"members": [{"user": CID}]})
        assert (answer.status, answer.json["code"]) == (409, "conflict")
        code = (await world.rest(ANN, "POST", f"{group}/invites", {"uses": 1})).json["code"]
        assert (await world.rest(CID, "POST", f"/group-service/invites/{code}/accept")).status == 409
        await world.rest(BOB, "DELETE", f"{group}/members/{BOB}")
        assert (await world.rest(CID, "POST", f"/group-service/invites/{code}/accept")).status == 200


# ---- strangers

_REQUESTS: list[tuple[str, str, object]] = [
    ("GET", "", None),
    ("PATCH", "", {"name": "Mine"}),
    ("PATCH", "", {}),
    ("DELETE", "", None),
    ("POST", "/members", {"members": [{"user": DAN, "role": "owner"}]}),
    ("POST", "/members", {"members": []}),
    ("POST", "/members", {"members": [{"user": NOBODY}]}),
    ("PATCH", f"/members/{DAN}", {"role": "owner"}),
    ("PATCH", f"/members/{ANN}", {"role": "reader"}),
    ("DELETE", f"/members/{ANN}", None),
    ("DELETE", f"/members/{DAN}", None),
    ("POST", "/invites", {"uses": 1}),
    ("POST", "/invites", {"uses": -1}),
]


@pytest.mark.parametrize(("method", "rest", "wish"), _REQUESTS)
async def test_a_stranger_is_told_what_one_is_told_of_a_group_that_does_not_exist(
    method: str, rest: str, wish: object
) -> None:
    async with open_world() as world:
        group = await make(world, bob="member")
        before = await world.rest(ANN, "GET", group)
        for stranger in (DAN, NOBODY):
            answer = await world.rest(stranger, method, group + rest, wish)
            assert (answer.status, answer.json["code"]) == (404, "not_found")
            assert answer == await world.rest(stranger, method, MISSING + rest, wish)
            assert answer == await world.rest(stranger, method, f"{GROUPS}/'--{rest}", wish)
        assert before == await world.rest(ANN, "GET", group)


@pytest.mark.parametrize(("method", "rest", "wish"), _REQUESTS)
async def test_one_who_was_removed_is_a_stranger(method: str, rest: str, wish: object) -> None:
    async with open_world() as world:
        group = await make(world, dan="admin")
        await world.rest(ANN, "DELETE", f"{group}/members/{DAN}")
        answer = await world.rest(DAN, method, group + rest, wish)
        assert answer == await world.rest(DAN, method, MISSING + rest, wish)


# ---- invites


async def test_an_invite_lets_its_holder_in_for_its_uses() -> None:
    async with open_world() as world:
        group = await make(world, bob="admin")
        answer = await world.rest(BOB, "POST", f"{group}/invites", {"uses": 1})
        assert answer.status == 201
        accept = f"/group-service/invites/{answer.json['code']}/accept"
        answer = await world.rest(CID, "POST", accept)
        assert (answer.status, roles_in(answer.json)[CID]) == (200, "member")
        assert (await world.rest(DAN, "POST", accept)).status == 404
        entries = await world.group_message.read(answer.json["conversation"], 0, 0, 10)
        assert (entries[-1].sender, entries[-1].kind) == (CID, "member")


async def test_a_member_does_not_use_an_invite_up() -> None:
    async with open_world() as world:
        group = await make(world, bob="member")
        code = (await world.rest(ANN, "POST", f"{group}/invites", {"uses": 1})).json["code"]
        accept = f"/group-service/invites/{code}/accept"
        assert (await world.rest(BOB, "POST", accept)).status == 409
        assert (await world.rest(CID, "POST", accept)).status == 200


async def test_an_invite_ends_with_its_time() -> None:
    async with open_world() as world:
        group = await make(world)
        short = (await world.rest(ANN, "POST", f"{group}/invites", {"expires_in_s": 60})).json["code"]
        usual = (await world.rest(ANN, "POST", f"{group}/invites", {})).json["code"]
        world.clock.advance(60)
        assert (await world.rest(BOB, "POST", f"/group-service/invites/{short}/accept")).status == 404
        world.clock.advance(INVITE_S - 61)
        assert (await world.rest(BOB, "POST", f"/group-service/invites/{usual}/accept")).status == 200
        world.clock.advance(1)
        assert (await world.rest(CID, "POST", f"/group-service/invites/{usual}/accept")).status == 404


async def test_an_invite_ends_with_the_rights_of_who_made_it() -> None:
    async with open_world() as world:
        group = await make(world, bob="admin")
        code = (await world.rest(BOB, "POST", f"{group}/invites", {})).json["code"]
        await world.rest(ANN, "DELETE", f"{group}/members/{BOB}")
        for user in (BOB, CID):
            assert (await world.rest(user, "POST", f"/group-service/invites/{code}/accept")).status == 404


async def test_only_owners_and_admins_invite() -> None:
    async with open_world() as world:
        group = await make(world, bob="member", cid="reader")
        for user in (BOB, CID):
            assert (await world.rest(user, "POST", f"{group}/invites", {})).status == 403


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"uses": 0}, "uses"),
        ({"uses": -1}, "uses"),
        ({"uses": "one"}, "uses"),
        ({"uses": 10**9}, "uses"),
        ({"expires_in_s": 0}, "expires_in_s"),
        ({"expires_in_s": 10**12}, "expires_in_s"),
        ({"expires_in_s": 1.5}, "expires_in_s"),
    ],
)
async def test_an_invite_has_bounds(wish: object, field: str) -> None:
    async with open_world() as world:
        group = await make(world)
        answer = await world.rest(ANN, "POST", f"{group}/invites", wish)
        assert (answer.status, answer.json["field"]) == (422, field)


@pytest.mark.parametrize("code", ["x", "0" * 64, "%00", "'; DELETE FROM group_invite; --", "x" * 2_000])
async def test_a_code_that_was_never_given_out_is_not_found(code: str) -> None:
    async with open_world() as world:
        answer = await world.rest(BOB, "POST", f"/group-service/invites/{code}/accept")
        assert (answer.status, answer.json["detail"]) == (404, "no such invite")


async def test_the_store_does_not_know_the_code() -> None:
    async with open_world() as world:
        group = await make(world)
        code = (await world.rest(ANN, "POST", f"{group}/invites", {})).json["code"]
        assert await world.stores.groups.take_invite(code, world.clock.wall_ms()) is None


# ---- races


async def test_a_group_whose_members_change_while_it_is_deleted_ends_for_all_of_them() -> None:
    async with open_world() as world:
        group = await make(world, bob="admin")
        real = world.groups.state
        stale = [await real(group.rpartition("/")[2])]  # type: ignore[arg-type]
        await world.rest(BOB, "POST", f"{group}/members", {"members": [{"user": CID}]})

        async def state(name: Any) -> Any:
            return stale.pop() if stale else await real(name)

        world.groups.state = state  # type: ignore[method-assign, assignment]
        assert (await world.rest(ANN, "DELETE", group)).status == 204
        [listed] = await world.listed(CID)
        assert listed.role == "none"


@settings(max_examples=30)
@given(name=st.text(max_size=120))
async def test_any_text_as_a_name_is_kept_or_refused(name: str) -> None:
    async with open_world() as world:
        answer = await world.rest(ANN, "POST", GROUPS, {"name": name})
        if answer.status == 201:
            assert answer.json["name"] == name.strip()
        else:
            assert answer.status in (400, 422)
