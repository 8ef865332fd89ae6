"""Rules about groups: who may add, remove, promote, rename and end. Decided by the owner of the group's log, in log order.

A change is judged as a whole against the members at its seq; one part that is not allowed refuses all of it.
"""

from collections.abc import Mapping
from typing import Final

from core.base.errors import Rejected, not_found
from core.base.ids import UserId
from core.base.records import GroupBody, MemberBody, Role

_BELOW_ADMIN: Final = frozenset({"member", "reader"})
_ADMINS: Final = frozenset({"owner", "admin"})


def may_change_group(members: Mapping[UserId, Role], actor: UserId, change: GroupBody) -> Rejected | None:
    """Whether `actor` may rename the group, change its history policy or the roles that `change` names."""
    role = members.get(actor)
    if role is None:
        return not_found("group")
    if role not in _ADMINS:
        return Rejected("forbidden", "only owners and admins may change the group")
    for user, new_role in change.roles.items():
        old_role = members.get(user)
        if old_role is None:
            return not_found("member")
        if role != "owner" and not {old_role, new_role} <= _BELOW_ADMIN:
            return Rejected("forbidden", "only owners may make or unmake owners and admins")
    return _keeps_an_owner({**members, **change.roles})


def may_change_members(
    members: Mapping[UserId, Role], actor: UserId, change: MemberBody, *, is_invited: bool, members_max: int
) -> Rejected | None:
    """Whether `actor` may add and remove whom `change` names. `is_invited`: the group service vouches that `actor` holds an invite."""
    role = members.get(actor)
    if is_invited:
        if not members:  # the group was deleted: nobody comes back into it
            return not_found("invite")
        if role is None and tuple(change.added) == (actor,) and not change.removed and not change.roles:
            return _fits(len(members) + 1, members_max)
        return (
            Rejected("conflict", "you are a member already")
            if role
            else Rejected("forbidden", "an invite adds its holder alone")
        )
    if role is None:
        return not_found("group")
    if change.deleted:
        return _may_delete(members, role, change)
    return (
        _may_add(members, role, change)
        or _may_remove(members, role, actor, change)
        or _fits(len(members) + len(change.added) - len(change.removed), members_max)
    )


def may_invite(members: Mapping[UserId, Role], actor: UserId) -> Rejected | None:
    """Whether `actor` may invite into the group; an invite is good while this holds for who made it."""
    role = members.get(actor)
    if role is None:
        return not_found("group")
    return None if role in _ADMINS else Rejected("forbidden", "only owners and admins may invite")


def _may_delete(members: Mapping[UserId, Role], role: Role, change: MemberBody) -> Rejected | None:
    if role != "owner":
        return Rejected("forbidden", "only owners may delete the group")
    if set(change.removed) != set(members) or change.added:  # each of them must be told, and have the row ended
        return Rejected("conflict", "the members changed in the meantime: repeat")
    return None


def _may_add(members: Mapping[UserId, Role], role: Role, change: MemberBody) -> Rejected | None:
    if not change.added:
        return None
    if role not in _ADMINS:
        return Rejected("forbidden", "only owners and admins may add members")
    for user in change.added:
        if user in members:
            return Rejected("conflict", f"{user} is a member already", field="members")
        if role != "owner" and change.roles.get(user, "member") not in _BELOW_ADMIN:
            return Rejected("forbidden", "only owners may add owners and admins")
    return None


def _may_remove(members: Mapping[UserId, Role], role: Role, actor: UserId, change: MemberBody) -> Rejected | None:
    for user in change.removed:
        removed_role = members.get(user)
        if removed_role is None:
            return not_found("member")
        if user == actor or role == "owner" or (role == "admin" and removed_role in _BELOW_ADMIN):
            continue
        return Rejected("forbidden", "only owners may remove admins, and only admins members")
    if not change.removed:
        return None
    return _keeps_an_owner({user: r for user, r in members.items() if user not in change.removed})


def _keeps_an_owner(members: Mapping[UserId, Role]) -> Rejected | None:
    if "owner" in members.values():
        return None
    return Rejected(
        "conflict", "the last owner cannot leave or step down: make someone else an owner, or delete the group"
    )


def _fits(count: int, members_max: int) -> Rejected | None:
    if count <= members_max:
        return None
    return Rejected("conflict", f"a group has at most {members_max} members")
