"""The message service: the logs of direct conversations. group_message is the same for groups.

It decides nothing: only the owner of a conversation knows who may append, and the store judges head and epoch.
"""

from collections.abc import Sequence

from core.base.errors import Overloaded, Unavailable
from core.base.ids import ClientId, ConversationId, UserId
from core.base.limits import RECENT_ENTRIES
from core.base.records import (
    Append,
    Claimed,
    Entry,
    HeadQuery,
    HeadState,
    Intent,
    Outcome,
    Page,
    PageQuery,
    Refused,
    SlotRow,
    Unknown,
)
from sidecars.ports.message_log import LogReader, MessageLog


class MessageService:
    """The logs of one kind of conversation, on the stores."""

    def __init__(self, log: MessageLog, reader: LogReader) -> None:
        self._log = log
        self._reader = reader

    async def append(self, batch: Sequence[Append]) -> list[Outcome]:
        """Append conditionally, one outcome per item in order, whatever happens: durable, refused, or not known.

        A store says itself what it refused. What it raises leaves the outcome open, but for a queue that was full:
        then nothing was handed over.
        """
        try:
            return await self._log.append(batch)
        except Overloaded as error:
            return [Refused(item.conversation, error.message) for item in batch]
        except Unavailable as error:
            return [Unknown(item.conversation, error.message) for item in batch]

    async def claim(self, conversation: ConversationId, epoch: int) -> Claimed:
        """Fence every lower epoch, then read head and tail serially.

        Raises: Rejected (conflict) if a greater epoch has claimed.
        """
        return await self._log.claim(conversation, epoch, RECENT_ENTRIES)

    async def open_slot(self, slot: int, epoch: int) -> SlotRow:
        """Raise the slot's epoch. Raises: Rejected (conflict) if a greater one is there."""
        return await self._log.open_slot(slot, epoch)

    async def note_intents(self, slot: int, epoch: int, intents: Sequence[Intent]) -> None:
        """Put intents into the slot's index. Raises: Rejected (conflict) if the row's epoch is another."""
        await self._log.note_intents(slot, epoch, intents)

    async def find(self, conversation: ConversationId, sender: UserId, client_id: ClientId) -> Entry | None:
        """The entry of a send that was appended in the last days."""
        return await self._reader.find(conversation, sender, client_id)

    async def entry(self, conversation: ConversationId, seq: int) -> Entry | None:
        """The entry at `seq`; None above the head."""
        return await self._reader.entry(conversation, seq)

    async def read(self, conversation: ConversationId, after: int, up_to: int, limit: int) -> list[Entry]:
        """Raw entries after `after` up to `up_to` (0: the head), by rising seq, at most `limit`."""
        return await self._reader.read(conversation, after, up_to, limit)

    async def page(self, query: PageQuery) -> Page:
        """A page as of now, within the bounds that the query names."""
        return await self._reader.page(query)

    async def heads(self, queries: Sequence[HeadQuery]) -> list[HeadState]:
        """Where each conversation stands for its reader, in the order asked."""
        return await self._reader.heads(queries)
