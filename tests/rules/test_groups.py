"""Who may do what with a group: every role against every action, and the last owner."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.base.errors import Rejected
from core.base.ids import UserId
from core.base.records import GroupBody, MemberBody, Role
from core.rules.groups import may_change_group, may_change_members, may_invite
from tests.contracts.people import ANN, BOB, CID, DAN, uuid

ROLES: tuple[Role, ...] = get_args(Role)
EVE = UserId(uuid(5))
# One of each role, and a second owner, so that no rule about the last owner interferes.
MEMBERS: dict[UserId, Role] = {ANN: "owner", BOB: "admin", CID: "member", DAN: "reader", EVE: "owner"}
ACTORS: dict[str, UserId] = {"owner": ANN, "admin": BOB, "member": CID, "reader": DAN, "": UserId(uuid(9))}
NEW = UserId(uuid(10))


def told(refused: Rejected | None) -> str:
    """`ok`, or the code of the refusal."""
    return "ok" if refused is None else refused.code


def change_members(actor: UserId, change: MemberBody, members_max: int = 1_000) -> str:
    return told(may_change_members(MEMBERS, actor, change, is_invited=False, members_max=members_max))


@pytest.mark.parametrize(
    ("role", "expected"),
    [("owner", "ok"), ("admin", "ok"), ("member", "forbidden"), ("reader", "forbidden"), ("", "not_found")],
)
def test_owners_and_admins_rename_set_the_history_and_invite(role: str, expected: str) -> None:
    actor = ACTORS[role]
    assert told(may_change_group(MEMBERS, actor, GroupBody(actor, name="Sailing"))) == expected
    assert told(may_change_group(MEMBERS, actor, GroupBody(actor, history="shared"))) == expected
    assert told(may_invite(MEMBERS, actor)) == expected


@pytest.mark.parametrize("new_role", ROLES)
@pytest.mark.parametrize("old_role", ROLES)
@pytest.mark.parametrize("role", ACTORS)
def test_owners_change_every_role_and_admins_those_below_them(role: str, old_role: Role, new_role: Role) -> None:
    others: dict[Role, UserId] = {"owner": EVE, "admin": UserId(uuid(11)), "member": NEW, "reader": UserId(uuid(12))}
    target = others[old_role]
    members = {**MEMBERS, target: old_role}
    actor = ACTORS[role]
    below = {"member", "reader"}
    match role:
        case "owner":
            expected = "ok"
        case "admin":
            expected = "ok" if {old_role, new_role} <= below else "forbidden"
        case "":
            expected = "not_found"
        case _:
            expected = "forbidden"
    assert told(may_change_group(members, actor, GroupBody(actor, roles={target: new_role}))) == expected


@pytest.mark.parametrize("new_role", ROLES)
@pytest.mark.parametrize("role", ACTORS)
def test_owners_add_in_every_role_and_admins_below_themselves(role: str, new_role: Role) -> None:
    actor = ACTORS[role]
    match role:
        case "owner":
            expected = "ok"
        case "admin":
            expected = "ok" if new_role in {"member", "reader"} else "forbidden"
        case "":
            expected = "not_found"
        case _:
            expected = "forbidden"
    assert change_members(actor, MemberBody(actor, added=(NEW,), roles={NEW: new_role})) == expected


@pytest.mark.parametrize("removed", ROLES)
@pytest.mark.parametrize("role", ACTORS)
def test_owners_remove_everyone_and_admins_those_below_them(role: str, removed: Role) -> None:
    others: dict[Role, UserId] = {"owner": EVE, "admin": UserId(uuid(11)), "member": NEW, "reader": UserId(uuid(12))}
    members = {**MEMBERS, others[removed]: removed}
    actor = ACTORS[role]
    match role:
        case "owner":
            expected = "ok"
        case "admin":
            expected = "ok" if removed in {"member", "reader"} else "forbidden"
        case "":
            expected = "not_found"
        case _:
            expected = "forbidden"
    change = MemberBody(actor, removed=(others[removed],))
    assert told(may_change_members(members, actor, change, is_invited=False, members_max=9)) == expected


@pytest.mark.parametrize(("role", "expected"), [(role, "not_found" if role == "" else "ok") for role in ACTORS])
def test_every_member_may_leave(role: str, expected: str) -> None:
    assert change_members(ACTORS[role], MemberBody(ACTORS[role], removed=(ACTORS[role],))) == expected


@pytest.mark.parametrize("role", ACTORS)
def test_owners_alone_end_the_group_and_name_all_of_it(role: str) -> None:
    actor = ACTORS[role]
    expected = {"owner": "ok", "": "not_found"}.get(role, "forbidden")
    assert change_members(actor, MemberBody(actor, removed=tuple(MEMBERS), deleted=True)) == expected
    if role == "owner":
        some = tuple(MEMBERS)[1:]
        assert change_members(actor, MemberBody(actor, removed=some, deleted=True)) == "conflict"
        assert change_members(actor, MemberBody(actor, removed=(*MEMBERS, NEW), deleted=True)) == "conflict"
        both = MemberBody(actor, added=(NEW,), removed=tuple(MEMBERS), deleted=True)
        assert change_members(actor, both) == "conflict"


def test_the_last_owner_neither_leaves_nor_steps_down() -> None:
    members: dict[UserId, Role] = {ANN: "owner", BOB: "admin"}
    leave = MemberBody(ANN, removed=(ANN,))
    assert told(may_change_members(members, ANN, leave, is_invited=False, members_max=9)) == "conflict"
    assert told(may_change_group(members, ANN, GroupBody(ANN, roles={ANN: "admin"}))) == "conflict"
    assert told(may_change_group(members, ANN, GroupBody(ANN, roles={ANN: "admin", BOB: "owner"}))) == "ok"
    both = MemberBody(ANN, removed=tuple(MEMBERS)[:1])
    assert told(may_change_members({ANN: "owner"}, ANN, both, is_invited=False, members_max=9)) == "conflict"


def test_what_names_somebody_wrong_is_refused_as_a_whole() -> None:
    assert change_members(ANN, MemberBody(ANN, added=(NEW, BOB))) == "conflict"
    assert change_members(ANN, MemberBody(ANN, removed=(CID, NEW))) == "not_found"
    assert change_members(BOB, MemberBody(BOB, removed=(CID, EVE))) == "forbidden"
    assert told(may_change_group(MEMBERS, ANN, GroupBody(ANN, roles={CID: "admin", NEW: "admin"}))) == "not_found"


def test_a_group_is_full_at_its_limit() -> None:
    assert change_members(ANN, MemberBody(ANN, added=(NEW,)), members_max=len(MEMBERS)) == "conflict"
    assert change_members(ANN, MemberBody(ANN, added=(NEW,)), members_max=len(MEMBERS) + 1) == "ok"
    assert change_members(ANN, MemberBody(ANN, added=(NEW,), removed=(CID,)), members_max=len(MEMBERS)) == "ok"


@pytest.mark.parametrize(
    ("members", "change", "expected"),
    [
        (MEMBERS, MemberBody(NEW, added=(NEW,)), "ok"),
        ({**MEMBERS, NEW: "reader"}, MemberBody(NEW, added=(NEW,)), "conflict"),
        (MEMBERS, MemberBody(NEW, added=(NEW,), roles={NEW: "owner"}), "forbidden"),
        (MEMBERS, MemberBody(NEW, added=(UserId(uuid(11)),)), "forbidden"),
        (MEMBERS, MemberBody(NEW, added=(NEW,), removed=(ANN,)), "forbidden"),
        (MEMBERS, MemberBody(NEW, removed=(ANN,)), "forbidden"),
        ({}, MemberBody(NEW, added=(NEW,)), "not_found"),
        ({UserId(uuid(number)): "owner" for number in range(20, 30)}, MemberBody(NEW, added=(NEW,)), "conflict"),
    ],
)
def test_an_invite_adds_its_holder_alone_as_a_member(
    members: dict[UserId, Role], change: MemberBody, expected: str
) -> None:
    assert told(may_change_members(members, NEW, change, is_invited=True, members_max=10)) == expected


_users = st.sampled_from([*ACTORS.values(), EVE, NEW])
_members = st.dictionaries(_users, st.sampled_from(ROLES), max_size=6)


@given(
    members=_members,
    actor=_users,
    added=st.sets(_users),
    removed=st.sets(_users),
    roles=_members,
    deleted=st.booleans(),
)
def test_no_change_that_is_allowed_leaves_a_living_group_without_an_owner(
    members: dict[UserId, Role],
    actor: UserId,
    added: set[UserId],
    removed: set[UserId],
    roles: dict[UserId, Role],
    deleted: bool,
) -> None:
    change = MemberBody(actor, sorted(added), sorted(removed), roles, deleted=deleted)
    if "owner" in members.values():
        if may_change_members(members, actor, change, is_invited=False, members_max=9) is None and not deleted:
            assert "owner" in {role for user, role in members.items() if user not in removed}
        if may_change_group(members, actor, GroupBody(actor, roles=roles)) is None:
            assert "owner" in {**members, **roles}.values()
