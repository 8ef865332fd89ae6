"""What users do with groups: checked for shape here, decided by the owner of the group's log, answered by the projection.

A change is a `member` or `group` entry with its author in `by`. Who is not a member is told the same as of a group that
does not exist. Rights are asked of the rules before the owner is troubled, and by the owner again, in log order.
"""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Final, NamedTuple, Protocol

import msgspec

from core.base.clock import Clock
from core.base.errors import Rejected, TrimaranError, not_found
from core.base.ids import ClientId, DeviceId, GroupId, IdSource, UserId, group_conversation, is_uuid, parse_uuid
from core.base.limits import Limits
from core.base.records import GroupBody, GroupState, History, Kind, MemberBody, Role, Send, Sent
from core.rules.groups import may_change_group, may_change_members, may_invite
from sidecars.group.service import GroupService
from sidecars.ports.groups import GroupStore, Invite
from sidecars.ports.users import Account

NAME_CHARS_MAX: Final = 100
INVITE_S: Final = 7 * 86_400
INVITE_S_MAX: Final = 365 * 86_400
INVITE_USES_MAX: Final = 100_000
_DELETE_TRIES: Final = 4  # members may come and go while a group is deleted; faster than this they do not
_ANY_NUMBER: Final = -1


class Caller(NamedTuple):
    """Who asks, on which device."""

    user: UserId
    device: DeviceId


class NewMember(NamedTuple):
    """Someone to be added."""

    user: str
    role: Role = "member"


class Owner(Protocol):
    """The way to the node that owns a conversation: a router's door."""

    async def submit(self, send: Send) -> Sent:
        """Have a send appended; returns when it is in the log. Raises: any TrimaranError."""


class People(Protocol):
    """What groups ask of the user service."""

    async def users(self, users: Iterable[UserId]) -> Sequence[Account]:
        """The accounts of users; those that do not exist are left out."""


class Lists(Protocol):
    """What groups ask of relay."""

    async def groups_of(self, user: UserId) -> list[GroupId]:
        """The groups that a user is a member of."""


class UserGroups:
    """Groups in the hands of their members. Each method may raise `Rejected`, or `Unavailable`."""

    def __init__(
        self,
        groups: GroupService,
        invites: GroupStore,
        owner: Owner,
        *,
        people: People,
        lists: Lists,
        clock: Clock,
        ids: IdSource,
        limits: Limits,
    ) -> None:
        self._groups = groups
        self._invites = invites
        self._owner = owner
        self._people = people
        self._lists = lists
        self._clock = clock
        self._ids = ids
        self._limits = limits

    # ---- groups

    async def create(self, caller: Caller, name: str, members: Sequence[NewMember], history: History) -> GroupState:
        """Make a group, with the caller as its owner."""
        name = _checked_name(name)
        added = self._checked_members(members)
        if added.setdefault(caller.user, "owner") != "owner":
            raise Rejected("bad_request", "members: who makes a group is its owner", field="members")
        self._check_size(len(added))
        await self._check_exist(added)
        body = MemberBody(caller.user, added=tuple(added), roles=_roles(added), name=name, history=history)
        return await self._change(caller, GroupId(self._ids.uuid7()), "member", body)

    async def mine(self, user: UserId, after: GroupId | None, limit: int) -> tuple[list[GroupState], GroupId | None]:
        """The groups that a user is a member of, oldest first: the next `limit`, and after which to go on (or None)."""
        wanted = sorted(group for group in await self._lists.groups_of(user) if after is None or group > after)
        found = [state for state in await self._groups.states(wanted[:limit]) if user in state.members]
        found.sort(key=lambda state: state.conversation)
        return found, wanted[limit - 1] if len(wanted) > limit else None

    async def group(self, user: UserId, group: str) -> GroupState:
        """A group that the user is a member of."""
        state = await self._groups.state(GroupId(group)) if is_uuid(group) else None
        if state is None or user not in state.members:
            raise not_found("group")
        return state

    async def change(self, caller: Caller, group: str, name: str | None, history: History | None) -> GroupState:
        """Rename a group, or set from where its new members may read."""
        state = await self.group(caller.user, group)
        body = GroupBody(caller.user, name="" if name is None else _checked_name(name), history=history or "")
        _allow(may_change_group(state.members, caller.user, body))
        if name is None and history is None:
            raise Rejected("bad_request", "expected a name or a history to change")
        return await self._change(caller, GroupId(group), "group", body)

    async def delete(self, caller: Caller, group: str) -> None:
        """End a group: everyone is removed, and may read up to there."""
        for last_try in (*[False] * (_DELETE_TRIES - 1), True):
            state = await self.group(caller.user, group)
            body = MemberBody(caller.user, removed=sorted(state.members), deleted=True)
            _allow(self._may_change_members(state, caller.user, body))
            try:
                await self._change(caller, GroupId(group), "member", body)
            except Rejected as error:
                # Someone came or went between our look and the owner's: all members of that moment must be named.
                if last_try or error.code != "conflict":
                    raise
            else:
                return

    # ---- members

    async def add(self, caller: Caller, group: str, members: Sequence[NewMember]) -> GroupState:
        """Add members."""
        state = await self.group(caller.user, group)
        added = self._checked_members(members)
        if not added:
            raise Rejected("bad_request", "members: expected at least one", field="members")
        body = MemberBody(caller.user, added=tuple(added), roles=_roles(added))
        _allow(self._may_change_members(state, caller.user, body))
        await self._check_exist(added)
        return await self._change(caller, GroupId(group), "member", body)

    async def set_role(self, caller: Caller, group: str, user: str, role: Role) -> GroupState:
        """Give a member another role."""
        state = await self.group(caller.user, group)
        body = GroupBody(caller.user, roles={_member_id(user): role})
        _allow(may_change_group(state.members, caller.user, body))
        return await self._change(caller, GroupId(group), "group", body)

    async def remove(self, caller: Caller, group: str, user: str) -> None:
        """Remove a member; oneself: leave."""
        state = await self.group(caller.user, group)
        body = MemberBody(caller.user, removed=(_member_id(user),))
        _allow(self._may_change_members(state, caller.user, body))
        await self._change(caller, GroupId(group), "member", body)

    # ---- invites

    async def invite(self, caller: Caller, group: str, expires_in_s: int | None, uses: int | None) -> str:
        """A code that lets its holder join, for a time and a number of times (None: a week, any number).

        Only its hash is kept.
        """
        state = await self.group(caller.user, group)
        _allow(may_invite(state.members, caller.user))
        _check_range("expires_in_s", expires_in_s, INVITE_S_MAX)
        _check_range("uses", uses, INVITE_USES_MAX)
        code = self._ids.secret()
        expires_ms = self._clock.wall_ms() + (expires_in_s or INVITE_S) * 1_000
        await self._invites.add_invite(
            Invite(_hash(code), GroupId(group), caller.user, expires_ms, uses or _ANY_NUMBER)
        )
        return code

    async def accept(self, caller: Caller, code: str) -> GroupState:
        """Join by a code. It is good while the one who made it may invite."""
        code_hash = _hash(code)
        invite = await self._invites.take_invite(code_hash, self._clock.wall_ms())
        if invite is None:
            raise not_found("invite")
        try:
            state = await self._groups.state(invite.group)
            if state is None or may_invite(state.members, invite.by) is not None:
                raise not_found("invite")
            body = MemberBody(caller.user, added=(caller.user,))
            return await self._change(caller, invite.group, "member", body, is_invited=True)
        except TrimaranError:
            # Where the outcome is not known it may have been used: better one guest more than a lost invitation.
            await self._invites.return_invite(code_hash)
            raise

    # ---- the way to the log

    async def _change(
        self, caller: Caller, group: GroupId, kind: Kind, body: MemberBody | GroupBody, *, is_invited: bool = False
    ) -> GroupState:
        """Have an entry appended by the owner, who decides; returns the group as of it at least."""
        await self._owner.submit(
            Send(
                group_conversation(group),
                caller.user,
                caller.device,
                ClientId(self._ids.uuid7()),
                kind,
                msgspec.json.encode(body),
                via="invite" if is_invited else "service",
            )
        )
        state = await self._groups.state(group)
        assert state is not None, group
        return state

    def _may_change_members(self, state: GroupState, actor: UserId, body: MemberBody) -> Rejected | None:
        return may_change_members(state.members, actor, body, is_invited=False, members_max=self._limits.group_members)

    def _checked_members(self, members: Sequence[NewMember]) -> dict[UserId, Role]:
        """Members to be added, in order: no more than a group may have, none twice."""
        self._check_size(len(members))
        found: dict[UserId, Role] = {}
        for user, role in members:
            name = UserId(parse_uuid(user, "members"))
            if name in found:
                raise Rejected("bad_request", f"members: {name} is there twice", field="members")
            found[name] = role
        return found

    def _check_size(self, count: int) -> None:
        most = self._limits.group_members
        if count > most:
            raise Rejected("conflict", f"a group has at most {most} members", field="members")

    async def _check_exist(self, users: Mapping[UserId, Role]) -> None:
        if {account.id for account in await self._people.users(users)} != users.keys():
            raise Rejected("not_found", "members: no such user", field="members")


def _allow(refusal: Rejected | None) -> None:
    if refusal is not None:
        raise refusal


def _roles(members: Mapping[UserId, Role]) -> dict[UserId, Role]:
    """As a MemberBody has them: `member` is understood."""
    return {user: role for user, role in members.items() if role != "member"}


def _member_id(user: str) -> UserId:
    if not is_uuid(user):
        raise not_found("member")
    return UserId(user)


def _check_range(field: str, value: int | None, most: int) -> None:
    if value is not None and not 1 <= value <= most:
        raise Rejected("bad_request", f"{field}: expected an integer from 1 to {most}", field=field)


def _checked_name(name: str) -> str:
    """A group's name without blanks around it. Raises: Rejected (bad_request)."""
    name = name.strip()
    if not 1 <= len(name) <= NAME_CHARS_MAX:
        raise Rejected("bad_request", f"name: expected 1 to {NAME_CHARS_MAX} characters", field="name")
    if any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in name):
        raise Rejected("bad_request", "name: expected one line without control characters", field="name")
    return name


def _hash(code: str) -> str:
    return sha256(code.encode()).hexdigest()
