"""Ports of the logs: `MessageLog` decides what is appended, `LogReader` shows it. One table shape serves direct conversations and groups.

The store is the judge: an append is conditional on the head and the epoch, so two owners can never both succeed, whatever they believe
about their leases.
"""

from collections.abc import Sequence
from typing import Protocol

from core.base.ids import ClientId, ConversationId, UserId
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
    SlotRow,
)


class MessageLog(Protocol):
    """The writing side: only routers come here."""

    async def append(self, batch: Sequence[Append]) -> list[Outcome]:
        """Append conditionally; one outcome per item, in order; what is `Appended` is durable on return.

        Applies the effects of an entry in the same transaction: an edit becomes the newest of its `ref`, a deletion empties the bodies of
        its `ref` and of that one's edits, a reaction changes the present reactions. An `Append` is all or nothing, and one item's refusal
        never fails the others. An epoch below the claim's is a `Conflict`, also where the head would fit.
        """

    async def claim(self, conversation: ConversationId, epoch: int, tail: int) -> Claimed:
        """Set the conversation's epoch if it is not lower than the present one, then read head and the newest `tail` entries.

        Raises: Rejected (conflict) if a greater epoch holds it.
        """

    async def open_slot(self, slot: int, epoch: int) -> SlotRow:
        """Raise the slot's epoch, give its row. Raises: Rejected (conflict) if a greater epoch has opened it."""

    async def note_intents(self, slot: int, epoch: int, intents: Sequence[Intent]) -> None:
        """Write intents into the slot's index (the later time wins). Raises: Rejected (conflict) unless `epoch` is the row's."""

    async def intents(self, slot: int, after_ms: int) -> list[Intent]:
        """The intents of a slot not older than `after_ms`."""

    async def move_anchor(self, slot: int, epoch: int, anchor_ms: int) -> None:
        """Move the anchor forward and drop the intents that fell behind. Raises: Rejected (conflict) unless `epoch` is the row's."""


class LogReader(Protocol):
    """The reading side. Readers never wait for the writer."""

    async def read(self, conversation: ConversationId, after: int, up_to: int, limit: int) -> list[Entry]:
        """Raw entries with after < seq <= up_to (up_to 0: the head), by rising seq, at most `limit`."""

    async def entry(self, conversation: ConversationId, seq: int) -> Entry | None:
        """The entry at `seq`; None where there is none."""

    async def find(self, conversation: ConversationId, sender: UserId, client_id: ClientId) -> Entry | None:
        """The entry of a sender's `client_id`; None if it was never appended (kept at least 7 days)."""

    async def page(self, query: PageQuery) -> Page:
        """Entries as of the head in one snapshot, within the reader's bounds.

        Texts carry their newest edit and present reactions; deleted ones are `is_emptied` with an empty body. What `hidden_from` names the
        reader for is left out and named in `skip`. `limit` counts entries that are given. `after`/`before` outside the bounds give an
        empty or clipped page, never an error. `around` centres.
        """

    async def heads(self, queries: Sequence[HeadQuery]) -> list[HeadState]:
        """Where each conversation stands for its reader, in the order asked, without scanning entries."""
