"""REST of the group service, after protocol.md."""

from msgspec import Struct
from quart import Blueprint, Response

from core.base.ids import GroupId, group_of
from core.base.limits import KIB, PULL_LIMIT, PULL_LIMIT_MAX, Limits
from core.base.records import GroupState, History, Role
from core.rules.names import CHANGE_GROUP, CHANGE_MEMBERS, END_GROUP, INVITE, SEE_GROUP, SIGNED_IN, START
from sidecars.group.requests import Caller, NewMember, UserGroups
from sidecars.ports.http import body, caller, cursor, make_cursor, no_content, query_int, reply, route


class MemberWish(Struct):
    """A user to be added."""

    user: str
    role: Role = "member"


class CreateGroup(Struct):
    """Body of POST /groups."""

    name: str
    members: list[MemberWish] = []
    history: History = "joined"


class ChangeGroup(Struct):
    """Body of PATCH /groups/{id}."""

    name: str | None = None
    history: History | None = None


class AddMembers(Struct):
    """Body of POST /groups/{id}/members."""

    members: list[MemberWish]


class ChangeMember(Struct):
    """Body of PATCH /groups/{id}/members/{user}."""

    role: Role


class CreateInvite(Struct):
    """Body of POST /groups/{id}/invites."""

    expires_in_s: int | None = None
    uses: int | None = None


def routes(groups: UserGroups, limits: Limits) -> Blueprint:
    """All paths below /group-service."""
    blueprint = Blueprint("group", __name__, url_prefix="/group-service")
    # A list of members at its limit must fit: what is too long then is told so, not cut off by its bytes.
    members_bytes = 64 * KIB + 128 * limits.group_members
    _add_groups(blueprint, groups, members_bytes)
    _add_members(blueprint, groups, members_bytes)
    _add_invites(blueprint, groups)
    return blueprint


def _add_groups(blueprint: Blueprint, groups: UserGroups, members_bytes: int) -> None:
    @route(blueprint, "POST", "/groups", rule=START)
    async def create() -> Response:
        wish = await body(CreateGroup, limit=members_bytes)
        state = await groups.create(_caller(), wish.name, _members(wish.members), wish.history)
        return reply(_shown(state), 201)

    @route(blueprint, "GET", "/groups", rule=SIGNED_IN)
    async def mine() -> Response:
        limit = query_int("limit", PULL_LIMIT, 1, PULL_LIMIT_MAX)
        states, more_after = await groups.mine(caller().user, cursor(GroupId), limit)
        answer: dict[str, object] = {"groups": [_shown(state) for state in states]}
        if more_after is not None:
            answer["cursor"] = make_cursor(more_after)
        return reply(answer)

    @route(blueprint, "GET", "/groups/<group>", rule=SEE_GROUP)
    async def show(group: str) -> Response:
        return reply(_shown(await groups.group(caller().user, group)))

    @route(blueprint, "PATCH", "/groups/<group>", rule=CHANGE_GROUP)
    async def change(group: str) -> Response:
        wish = await body(ChangeGroup)
        return reply(_shown(await groups.change(_caller(), group, wish.name, wish.history)))

    @route(blueprint, "DELETE", "/groups/<group>", rule=END_GROUP)
    async def delete(group: str) -> Response:
        await groups.delete(_caller(), group)
        return no_content()


def _add_members(blueprint: Blueprint, groups: UserGroups, members_bytes: int) -> None:
    @route(blueprint, "POST", "/groups/<group>/members", rule=CHANGE_MEMBERS)
    async def add(group: str) -> Response:
        wish = await body(AddMembers, limit=members_bytes)
        return reply(_shown(await groups.add(_caller(), group, _members(wish.members))))

    @route(blueprint, "PATCH", "/groups/<group>/members/<user>", rule=CHANGE_GROUP)
    async def set_role(group: str, user: str) -> Response:
        wish = await body(ChangeMember)
        return reply(_shown(await groups.set_role(_caller(), group, user, wish.role)))

    @route(blueprint, "DELETE", "/groups/<group>/members/<user>", rule=CHANGE_MEMBERS)
    async def remove(group: str, user: str) -> Response:
        await groups.remove(_caller(), group, user)
        return no_content()


def _add_invites(blueprint: Blueprint, groups: UserGroups) -> None:
    @route(blueprint, "POST", "/groups/<group>/invites", rule=INVITE)
    async def invite(group: str) -> Response:
        wish = await body(CreateInvite)
        return reply({"code": await groups.invite(_caller(), group, wish.expires_in_s, wish.uses)}, 201)

    @route(blueprint, "POST", "/invites/<code>/accept", rule=INVITE)
    async def accept(code: str) -> Response:
        return reply(_shown(await groups.accept(_caller(), code)))


def _caller() -> Caller:
    who = caller()
    return Caller(who.user, who.device)


def _members(wishes: list[MemberWish]) -> list[NewMember]:
    return [NewMember(wish.user, wish.role) for wish in wishes]


def _shown(state: GroupState) -> dict[str, object]:
    return {
        "id": group_of(state.conversation),
        "conversation": state.conversation,
        "name": state.name,
        "history": state.history,
        "members": [{"user": user, "role": role} for user, role in state.members.items()],
        "created_ms": state.created_ms,
    }
