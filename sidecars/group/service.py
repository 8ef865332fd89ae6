"""The group service: the projection of the groups' logs.

A group's membership commits in its log, and this follows it: what it missed - an entry that nobody told it of, a crash
between append and projection - it reads from the log. A state is always the fold of the log up to its seq.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import Final, Protocol

from msgspec.structs import replace

from core.base.errors import Unavailable
from core.base.ids import ConversationId, GroupId, UserId, group_conversation, group_of
from core.base.limits import CONVERSATIONS_LOADED_MAX
from core.base.records import Entry, GroupState, HeadQuery, HeadState, Reader
from core.rules import membership
from sidecars.ports.groups import GroupStore

_READ_LIMIT: Final = 500  # entries of one read of the log
_WRITE_DOWN_EVERY: Final = 200  # entries without a change that are looked through before the store is told
_WHOLE_LOG: Final = Reader(UserId(""), first=1)


class Log(Protocol):
    """Where the groups' logs are read: the group_message service."""

    async def read(self, conversation: ConversationId, after: int, up_to: int, limit: int) -> list[Entry]:
        """Raw entries after `after` up to `up_to` (0: the head), by rising seq, at most `limit`."""

    async def heads(self, queries: Sequence[HeadQuery]) -> list[HeadState]:
        """Where each conversation stands, in the order asked."""


class GroupService:
    """Groups as their logs say."""

    def __init__(self, store: GroupStore, log: Log) -> None:
        self._store = store
        self._log = log
        # How far each group's log is known to change nothing after the stored seq: (stored seq, looked through up to).
        # It goes with that stored state alone: another task may have stored a later one meanwhile.
        self._seen: dict[GroupId, tuple[int, int]] = {}

    async def state(self, group: GroupId) -> GroupState | None:
        """A group as of the head of its log; None for one that never was."""
        state = await self._read_on(group, await self._store.state(group))
        return state if state.seq else None

    async def states(self, groups: Sequence[GroupId]) -> list[GroupState]:
        """Several groups as of the heads of their logs, those that exist, in any order."""
        stored = {group_of(state.conversation): state for state in await self._store.states(groups)}
        heads = await self._log.heads([HeadQuery(group_conversation(group), _WHOLE_LOG, 0) for group in groups])
        found = []
        for group, head in zip(groups, heads):
            state = self._looked_through(group, stored.get(group))
            if state.seq < head.head:
                state = await self._read_on(group, stored.get(group))
            if state.seq:
                found.append(state)
        return found

    async def follow(self, entries: Sequence[Entry]) -> None:
        """Apply `member` and `group` entries (rising per conversation); what is missing between them is read."""
        for conversation, following in groupby(entries, lambda entry: entry.conversation):
            await self._follow(group_of(conversation), list(following))

    async def _follow(self, group: GroupId, entries: list[Entry]) -> None:
        stored = await self._store.state(group)
        state = self._looked_through(group, stored)
        for entry in entries:
            if entry.seq <= state.seq:
                continue
            if entry.seq > state.seq + 1:
                state = await self._fold(state, entry.seq - 1)
            if entry.seq != state.seq + 1:
                raise Unavailable("the group's log is behind its owner")
            state = membership.after(state, entry)
        await self._keep(state, stored)

    async def _read_on(self, group: GroupId, stored: GroupState | None) -> GroupState:
        state = await self._fold(self._looked_through(group, stored), 0)
        await self._keep(state, stored)
        return state

    def _looked_through(self, group: GroupId, stored: GroupState | None) -> GroupState:
        """The stored state, as of the seq up to which its log is known to change nothing."""
        state = stored or membership.no_group(group_conversation(group))
        stored_seq, seen_seq = self._seen.get(group, (0, 0))
        return replace(state, seq=seen_seq) if stored_seq == state.seq else state

    async def _fold(self, state: GroupState, up_to: int) -> GroupState:
        """Apply the log after `state.seq` up to `up_to` (0: the head)."""
        while True:
            entries = await self._log.read(state.conversation, state.seq, up_to, _READ_LIMIT)
            for entry in entries:
                state = membership.after(state, entry)
            if len(entries) < _READ_LIMIT:
                return state

    async def _keep(self, state: GroupState, stored: GroupState | None) -> None:
        """Write down what changed, or that much was looked through."""
        if not state.seq:
            return
        stored_seq = stored.seq if stored is not None else 0
        if stored is None or state.seq - stored_seq >= _WRITE_DOWN_EVERY or replace(stored, seq=state.seq) != state:
            await self._store.put(state)
            stored_seq = state.seq
        if len(self._seen) >= CONVERSATIONS_LOADED_MAX:
            self._seen.clear()
        self._seen[group_of(state.conversation)] = (stored_seq, state.seq)
