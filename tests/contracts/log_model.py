"""A log as a list: the naive model that the suites compare stores with. Slow, and plain enough to be right."""

from dataclasses import dataclass, field
from typing import Any

import msgspec

from core.base.ids import ConversationId
from core.base.records import (
    EMPTY_BODY,
    Append,
    Appended,
    Conflict,
    Duplicate,
    Edited,
    Entry,
    HeadQuery,
    HeadState,
    Outcome,
    Page,
    PageEntry,
    PageQuery,
    Reaction,
    Reader,
)


@dataclass
class LogModel:
    """One conversation."""

    conversation: ConversationId
    epoch: int = 0
    log: list[Entry] = field(default_factory=list)

    @property
    def head(self) -> int:
        return len(self.log)

    def append(self, item: Append) -> Outcome:
        if not self.epoch or item.epoch != self.epoch or item.head != self.head:
            return Conflict(self.conversation, self.head, self.epoch)
        for new in item.entries:
            for old in self.log:
                if (old.sender, old.client_id) == (new.sender, new.client_id):
                    return Duplicate(self.conversation, new.sender, new.client_id, old.seq)
        self.log.extend(item.entries)
        for new in item.entries:
            if new.kind == "delete" and self._is_text_before(new):
                self._empty(new.ref)
                for old in self.log:
                    if old.kind == "edit" and old.ref == new.ref:
                        self._empty(old.seq)
            if new.kind == "edit" and self._is_text_before(new) and self.log[new.ref - 1].is_emptied:
                self._empty(new.seq)
        return Appended(self.conversation, self.head)

    def _is_text_before(self, entry: Entry) -> bool:
        return 0 < entry.ref < entry.seq and self.log[entry.ref - 1].kind == "text"

    def _empty(self, seq: int) -> None:
        self.log[seq - 1] = msgspec.structs.replace(self.log[seq - 1], body=EMPTY_BODY, is_emptied=True)

    # ---- reading

    def page(self, query: PageQuery) -> Page:
        first, head = self._bounds(query.reader)
        seqs = range(first, head + 1)
        if query.after is not None:
            covered = self._take([seq for seq in seqs if seq > query.after], query.reader, query.limit)
            more = bool(covered) and covered[-1] < head
        elif query.before is not None:
            covered = self._take([seq for seq in reversed(seqs) if seq < query.before], query.reader, query.limit)
            more = bool(covered) and covered[-1] > first
        else:
            assert query.around is not None
            centre = min(max(query.around, first), max(head, first))
            older = self._take([seq for seq in reversed(seqs) if seq < centre], query.reader, query.limit // 2)
            given = sum(self._sees(query.reader, seq) for seq in older)
            newer = self._take([seq for seq in seqs if seq >= centre], query.reader, query.limit - given)
            covered = older + newer
            more = bool(covered) and (min(covered) > first or max(covered) < head)
        covered = sorted(covered)
        entries = tuple(self._as_seen(query.reader, seq) for seq in covered if self._sees(query.reader, seq))
        skip: list[tuple[int, int]] = []
        for seq in covered:
            if not self._sees(query.reader, seq):
                joins = skip and skip[-1][1] == seq - 1
                skip = [*skip[:-1], (skip[-1][0], seq)] if joins else [*skip, (seq, seq)]
        return Page(self.conversation, entries, first, head, more, tuple(skip))

    def head_state(self, query: HeadQuery) -> HeadState:
        first, head = self._bounds(query.reader)
        seen = [seq for seq in range(max(first, head - 99), head + 1) if self._sees(query.reader, seq)]
        unread = self._texts(head) - self._texts(min(query.read, head))
        last = self._as_seen(query.reader, seen[-1]) if seen else None
        return HeadState(self.conversation, head, max(unread, 0), last)

    def _bounds(self, reader: Reader) -> tuple[int, int]:
        return max(reader.first, 1), min(self.head, reader.last or self.head)

    def _texts(self, seq: int) -> int:
        return self.log[seq - 1].texts if seq else 0

    def _sees(self, reader: Reader, seq: int) -> bool:
        return self.log[seq - 1].hidden_from != reader.user

    def _take(self, seqs: list[int], reader: Reader, limit: int) -> list[int]:
        """The seqs up to the one with which `limit` visible ones are there."""
        taken: list[int] = []
        for seq in seqs:
            if sum(self._sees(reader, old) for old in taken) == limit:
                break
            taken.append(seq)
        return taken

    def _as_seen(self, reader: Reader, seq: int) -> PageEntry:
        text = self.log[seq - 1]
        if text.kind != "text" or text.is_emptied:
            return PageEntry(text)
        edited: Edited | None = None
        present: set[tuple[str, str]] = set()
        for entry in self.log[: reader.last or self.head]:
            if entry.ref != seq or entry.seq < seq or entry.hidden_from == reader.user:
                continue
            if entry.kind == "edit":
                edited = Edited(entry.seq, entry.body, entry.time_ms)
            elif entry.kind == "reaction":
                body: dict[str, Any] = msgspec.json.decode(entry.body)
                change = present.add if body.get("on", True) else present.discard
                change((body["emoji"], entry.sender))
        reactions = [
            Reaction(emoji, sum(e == emoji for e, _ in present), (emoji, reader.user) in present)
            for emoji in sorted({emoji for emoji, _ in present})
        ]
        return PageEntry(text, edited, tuple(reactions))
