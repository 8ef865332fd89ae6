"""The last_seen service: who is online, who was when, and who may know it.

Online states are in memory and come from the routers, that own them; after a start everybody is offline until a router
reports. Users who do not exist and users who hide are answered alike, after the same look-ups.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Literal, Protocol

from msgspec import Struct

from core.base.errors import Rejected
from core.base.ids import UserId, parse_uuid
from core.base.limits import Limits
from core.base.records import Presence, Watched
from core.rules.presence import may_see_presence
from sidecars.ports.last_seen import LastSeenStore
from sidecars.ports.users import Privacy

State = Literal["online", "offline", "hidden"]

_HIDES: Final = Privacy(last_seen="nobody")
"""Of who does not exist."""


class Seen(Struct, frozen=True, omit_defaults=True):
    """What one user is told about another, as clients see it."""

    user: UserId
    state: State
    last_seen_ms: int = 0


class People(Protocol):
    """What last_seen asks of the user service."""

    async def privacy(self, users: Sequence[UserId]) -> Mapping[UserId, Privacy]:
        """What others may know of users; those that never were are left out."""

    async def blockers(self, user: UserId, others: Sequence[UserId]) -> frozenset[UserId]:
        """Which of `others` have blocked `user`."""

    async def blocked(self, user: UserId, others: Sequence[UserId]) -> frozenset[UserId]:
        """Which of `others` are blocked by `user`."""


class Contacts(Protocol):
    """What last_seen asks of relay."""

    async def sharing(self, user: UserId, others: Sequence[UserId]) -> frozenset[UserId]:
        """Which of `others` share a conversation with a user now."""


class LastSeenService:
    """Presence and last activity, with privacy."""

    def __init__(self, store: LastSeenStore, *, people: People, contacts: Contacts, limits: Limits) -> None:
        self._store = store
        self._people = people
        self._contacts = contacts
        self._limits = limits
        self._online: set[UserId] = set()  # bounded by the connections that routers hold

    async def report(self, changes: Sequence[Presence]) -> None:
        """Users came online or went offline; the newest state of each is the last in `changes`."""
        for change in changes:
            if change.is_online:
                self._online.add(change.user)
            else:
                self._online.discard(change.user)
        await self._store.note([(change.user, change.at_ms) for change in changes])

    async def watched(self, watcher: UserId, users: Sequence[UserId]) -> list[Watched]:
        """For each user what the watcher may know, by privacy, blocks and shared conversations; in the order asked."""
        privacy = await self._people.privacy([watcher, *users])
        apart = await self._people.blockers(watcher, users) | await self._people.blocked(watcher, users)
        contacts = await self._contacts.sharing(watcher, users)
        last = await self._store.last(users)
        own = privacy.get(watcher, _HIDES).last_seen
        watched = []
        for user, last_ms in zip(users, last):
            may_see = user == watcher or may_see_presence(
                own, privacy.get(user, _HIDES).last_seen, is_contact=user in contacts, is_blocked=user in apart
            )
            watched.append(Watched(user, may_see, last_ms if may_see else 0))
        return watched

    async def seen(self, watcher: UserId, users: Sequence[str]) -> list[Seen]:
        """What a user is told of others, in the order asked. Raises: Rejected (bad_request)."""
        if len(users) > self._limits.watched_users:
            raise Rejected("bad_request", f"ids: expected at most {self._limits.watched_users}", field="ids")
        wanted = [UserId(parse_uuid(user, "ids")) for user in users]
        return [self._shown(watched) for watched in await self.watched(watcher, wanted)]

    def statistics(self) -> dict[str, int]:
        """How many users are online."""
        return {"users_online": len(self._online)}

    def _shown(self, watched: Watched) -> Seen:
        if not watched.may_see:
            return Seen(watched.user, "hidden")
        return Seen(watched.user, "online" if watched.user in self._online else "offline", watched.last_seen_ms)
