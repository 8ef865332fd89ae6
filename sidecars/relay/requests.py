"""What users do with their lists by REST and gRPC."""

from heapq import merge
from itertools import islice
from typing import Final, Protocol

from core.base.errors import Rejected, not_found
from core.base.ids import ConversationId, DeviceId, UserId, is_group
from core.base.records import Entry, Listed
from sidecars.relay.service import Position, RelayService, position_of

SEQ_MAX: Final = (1 << 63) - 1


class Reading(Protocol):
    """Where the entries of one kind of conversation are read: a message or group_message service."""

    async def read(self, conversation: ConversationId, after: int, up_to: int, limit: int) -> list[Entry]:
        """Raw entries after `after` up to `up_to`, by rising seq, at most `limit`."""


class Door(Protocol):
    """The way to the node of a user's slot, the only writer of its watermarks: a router's door."""

    async def mark(self, user: UserId, device: DeviceId, conversation: ConversationId, delivered: int) -> None:
        """Move a device's cursor as its own `mark` would; the bounds have been checked. Durable on return."""

    async def relist(self, user: UserId, conversation: ConversationId) -> None:
        """The user's row changed (muted): show it to the user's sessions."""


class UserRelay:
    """What users do with their lists by REST and gRPC."""

    def __init__(self, relay: RelayService, door: Door, *, message: Reading, group_message: Reading) -> None:
        self._relay = relay
        self._door = door
        self._message = message
        self._group_message = group_message

    async def conversations(self, user: UserId, device: DeviceId, after: Position | None, limit: int) -> list[Listed]:
        """The next `limit` conversations after a position, newest first.

        One that moves up while the list is paged through is not seen again here; frames tell of it.
        """
        listing = await self._relay.listing(user, device)
        if after is not None:
            listing = [listed for listed in listing if position_of(listed) < after]
        return listing[:limit]

    async def pending(self, user: UserId, device: DeviceId, limit: int) -> tuple[list[Entry], bool]:
        """The oldest entries that were not yet given to this device, and whether there are more.

        Each conversation's entries come by rising seq; between conversations their times decide, for presentation.
        Entries that the user may not see are left out. Cursors stay: only a mark moves them.
        """
        waiting = [listed for listed in await self._relay.listing(user, device) if listed.delivered < listed.head]
        # One entry each fills the answer already; the rest has its turn when these were marked.
        chosen = waiting[-(limit + 1) :]
        lists = [await self._after_cursor(user, listed, limit + 1) for listed in chosen]
        messages = list(islice(merge(*lists, key=lambda entry: (entry.time_ms, entry.conversation)), limit + 1))
        return messages[:limit], len(messages) > limit or len(chosen) < len(waiting)

    async def mark_delivered(self, user: UserId, device: DeviceId, conversation: ConversationId, seq: int) -> None:
        """Move this device's cursor. Raises: Rejected (not_found; bad_request for what is above the head)."""
        listed = await self._relay.listed(user, device, [conversation])
        if not listed:
            raise not_found("conversation")
        if seq > listed[0].head:
            raise Rejected("bad_request", "seq: there is no such message yet", field="seq")
        await self._door.mark(user, device, conversation, seq)

    async def mute(self, user: UserId, conversation: ConversationId, *, muted: bool) -> None:
        """Mute or unmute a conversation. Raises: Rejected (not_found)."""
        await self._relay.set_muted(user, conversation, muted=muted)
        await self._door.relist(user, conversation)

    async def _after_cursor(self, user: UserId, listed: Listed, limit: int) -> list[Entry]:
        """Up to `limit` visible entries that the device lacks; `listed.head` is within the user's bounds."""
        reading = self._group_message if is_group(listed.conversation) else self._message
        found: list[Entry] = []
        after = listed.delivered
        while len(found) < limit and after < listed.head:
            entries = await reading.read(listed.conversation, after, listed.head, limit)
            found += [entry for entry in entries if entry.hidden_from != user]
            after = entries[-1].seq if entries else listed.head
        return found[:limit]
