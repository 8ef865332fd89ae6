"""The router's `Relay` over the relay, user and group services."""

from collections.abc import Sequence
from functools import partial
from typing import Final

from core.base.ids import ConversationId, DeviceId, UserId
from core.base.records import Entry, Listed, Mark, Person, RowChange
from core.links.link import Link
from core.links.services import GroupService, RelayService, UserService
from core.router.ports import Then


class RelayLink:
    """Fulfils `core.router.ports.Relay`."""

    def __init__(self, link: Link, *, relay: RelayService, group: GroupService, user: UserService) -> None:
        self._link: Final = link
        self._relay: Final = relay
        self._group: Final = group
        self._user: Final = user

    def arrive(self, user: UserId, device: DeviceId, then: Then[tuple[Person | None, list[Listed]]]) -> None:
        """Who connects, then its list: a device that is not one is not made known."""
        self._link.ask(partial(self._arrive, user, device), then)

    async def _arrive(self, user: UserId, device: DeviceId) -> tuple[Person | None, list[Listed]]:
        person = await self._user.person(user, device)
        if person is None or not person.is_active:
            return person, []
        return person, await self._relay.listing(user, device)

    def listed(
        self, user: UserId, device: DeviceId, conversations: Sequence[ConversationId], then: Then[list[Listed]]
    ) -> None:
        """Some conversations as they stand now."""
        self._link.ask(partial(self._relay.listed, user, device, conversations), then)

    def prepare(self, changes: Sequence[RowChange], then: Then[None]) -> None:
        """Rows before entries."""
        self._link.ask(partial(self._relay.prepare, changes), then)

    def committed(self, entries: Sequence[Entry], changes: Sequence[RowChange], then: Then[None]) -> None:
        """Rows confirmed, projection following."""
        self._link.ask(partial(self._committed, entries, changes), then)

    async def _committed(self, entries: Sequence[Entry], changes: Sequence[RowChange]) -> None:
        if changes:
            await self._relay.confirm(changes)
        followed = [entry for entry in entries if entry.kind in ("member", "group")]
        if followed:
            await self._group.follow(followed)

    def merge(self, marks: Sequence[Mark], then: Then[None]) -> None:
        """Watermarks."""
        self._link.ask(partial(self._relay.merge, marks), then)
