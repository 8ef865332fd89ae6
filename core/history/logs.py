"""The truth of a history: each conversation's log as the final reads found it (I2 and I3 are decided on it alone).

Filled in the checker's first pass, then `settle`d; the second pass holds everything that clients saw against it.
Memory is proportional to the entries, never to head or to the ranges a line claims: those numbers come from outside
and may be anything.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from core.history.membership import Membership, membership_of
from core.history.records import Blocked, Entry, ReadBack, Where
from core.history.verdict import Findings, Invariant

Range = tuple[int, int]


class Kept(NamedTuple):
    """An entry and the line of the final read that showed it first."""

    entry: Entry
    where: Where


class Span(NamedTuple):
    """A range of seqs, both ends included, and the line that tells of it."""

    first: int
    last: int
    where: Where


@dataclass(slots=True)
class Log:
    """One conversation."""

    conversation: str
    history: Literal["joined", "shared"] = "joined"
    entries: dict[int, Kept] = field(default_factory=dict)
    head: int = 0
    head_where: Where | None = None
    """None: no final read told of this conversation."""
    head_at_s: float | None = None
    """The earliest time at which anyone knew the head entry, or was about to send it: filled in the second pass."""
    told: list[Span] = field(default_factory=list)
    """What final reads tell of: their ranges without what was skipped in them."""
    withheld: defaultdict[str, list[Span]] = field(default_factory=lambda: defaultdict(list))
    """Per user: what came as hidden or as a skip range."""
    blocks: defaultdict[tuple[str, str], list[Blocked]] = field(default_factory=lambda: defaultdict(list))

    order: list[int] = field(default_factory=list)
    membership: Membership = field(default_factory=lambda: Membership({}, "joined"))
    is_whole: bool = False
    """The final reads account for 1..head: membership can be read off it."""
    by_client_id: dict[tuple[str, str], int] = field(default_factory=dict)
    edits: defaultdict[int, set[str | None]] = field(default_factory=lambda: defaultdict(set))
    deleted: set[int] = field(default_factory=set)
    hidden_from: dict[tuple[str, int], Where] = field(default_factory=dict)
    """(user, seq) of entries inside the user's memberships that came as hidden at least once."""

    def add(self, read: ReadBack, where: Where) -> None:
        """Learn from a final read; of two that disagree the first is the truth, the second pass reports the other."""
        for entry in read.entries:
            self.entries.setdefault(entry.seq, Kept(entry, where))
        self.told += [Span(*told, where) for told in outside(sorted(read.skip), read.after + 1, read.until)]
        if self.head_where is None or read.head > self.head:
            self.head, self.head_where = read.head, where

    def settle(self, findings: Findings) -> None:
        """Derive all that the second pass asks for, and decide I2 and I3 of the log itself."""
        self.order = sorted(self.entries)
        if self.head_where is None:
            findings.unclear(self.conversation, "no final read tells of it: nothing about it can be decided")
            return
        self._decide_dense(findings, self.head_where)
        self.membership = membership_of(
            self.conversation, (self.entries[seq].entry for seq in self.order), self.history
        )
        for seq in self.order:
            self._index(seq, findings)
        for user, spans in self.withheld.items():
            for span in spans:
                for seq in self.between(span.first, span.last):
                    if self.membership.may_see(user, seq):
                        self.hidden_from.setdefault((user, seq), span.where)

    def _decide_dense(self, findings: Findings, head_where: Where) -> None:
        """I3: exactly 1..head. What a final read tells of and lacks is a hole; what none tells of is a question."""
        self.is_whole = True
        for first, last in outside(((seq, seq) for seq in self.order), 1, self.head):
            told = overlap(self.told, first, last)
            for hole in told:
                findings.broken(Invariant.I3, self.conversation,
                                f"{seqs(hole.first, hole.last)} missing below head {self.head}",
                                hole.where, head_where)  # fmt: skip
            for unseen in outside(((hole.first, hole.last) for hole in told), first, last):
                self.is_whole = False
                findings.unclear(self.conversation, f"{seqs(*unseen)} not shown to any final reader")

    def _index(self, seq: int, findings: Findings) -> None:
        entry, where = self.entries[seq]
        if entry.sender is not None and entry.client_id is not None:
            first = self.by_client_id.setdefault((entry.sender, entry.client_id), seq)
            if first != seq:
                findings.broken(Invariant.I2, self.conversation,
                                f"client_id {entry.client_id} of {entry.sender} has two seqs, {first} and {seq}",
                                self.entries[first].where, where)  # fmt: skip
        if entry.ref is not None and entry.kind == "edit":
            self.edits[entry.ref].add(entry.body)
        if entry.ref is not None and entry.kind == "delete":
            self.deleted.add(entry.ref)

    def between(self, first: int, last: int) -> Sequence[int]:
        """The seqs that the log has in this range, rising."""
        return self.order[bisect_left(self.order, first) : bisect_right(self.order, last)]

    def is_emptied(self, entry: Entry) -> bool:
        """Whether a deletion empties this entry, or, being an edit, the one it edits."""
        return entry.seq in self.deleted or (entry.kind == "edit" and entry.ref in self.deleted)

    def is_hidden(self, user: str, seq: int) -> bool:
        """Whether this entry must not be shown to a member, because of a block that held at its append."""
        entry = self.entries[seq].entry
        if entry.hidden_for is not None:
            return user in entry.hidden_for
        return any(first <= seq <= last for first, last in self._blocked_ranges(user, entry.sender))

    def may_be_hidden(self, user: str, seq: int) -> bool:
        """Whether a block explains that this entry was withheld from a member."""
        entry = self.entries[seq].entry
        if entry.hidden_for is not None:
            return user in entry.hidden_for
        return entry.sender is not None and (user, entry.sender) in self.blocks

    def _blocked_ranges(self, user: str, peer: str | None) -> Iterable[Range]:
        """Where a block held for certain: above the head seen after its answer, up to the one seen before its end."""
        since: int | None = None
        for block in self.blocks.get((user, peer), ()) if peer is not None else ():
            if block.on and since is None:
                since = block.head + 1
            elif not block.on and since is not None:
                yield since, block.head
                since = None
        if since is not None:
            yield since, self.head


def outside(rising: Iterable[Range], first: int, last: int) -> Iterator[Range]:
    """The ranges of first..last that other ranges, sorted by their first, leave out."""
    expected = first
    for begins, ends in rising:
        if begins > last:
            break
        if begins > expected:
            yield expected, begins - 1
        expected = max(expected, ends + 1)
    if expected <= last:
        yield expected, last


def overlap(spans: Iterable[Span], first: int, last: int) -> list[Span]:
    """What spans and a range have in common, merged where spans overlap; each with the line it starts in."""
    merged: list[Span] = []
    for span in sorted(spans):
        low, high = max(span.first, first), min(span.last, last)
        if low > high:
            continue
        if merged and low <= merged[-1].last + 1:
            merged[-1] = merged[-1]._replace(last=max(merged[-1].last, high))
        else:
            merged.append(Span(low, high, span.where))
    return merged


def seqs(first: int, last: int) -> str:
    """A range in words."""
    return f"seq {first}" if first == last else f"seqs {first}..{last}"
