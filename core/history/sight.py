"""What a reader was shown, against the log: content (I4), and right to see it (I6).

Used for every entry that a device applied or a read gave, whatever the order it came in.
"""

from itertools import pairwise

from core.history.logs import Kept, Log, seqs
from core.history.records import Entry, ReadBack, Where
from core.history.verdict import Findings, Invariant


class Sight:
    """Judges entries one by one; remembers only the bodies of entries that the log has lost to a deletion."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._bodies_before_deletion: dict[tuple[str, int], tuple[str, Where]] = {}

    def shown(self, log: Log, user: str | None, entry: Entry, where: Where) -> None:
        """An entry was shown to a user; None is the store itself."""
        if log.head_where is None:
            return
        kept = log.entries.get(entry.seq)
        if kept is None:
            self._without_entry(log, entry, where)
            return
        self._decide_same(log, kept, entry, where)
        if user is not None and log.is_whole:
            self._decide_may_see(log, user, entry.seq, where)

    def withheld(self, log: Log, user: str, first: int, last: int, where: Where) -> None:
        """A user was told to count a range as applied: each of it must be outside its memberships, or blocked."""
        if not log.is_whole:
            return
        for seq in log.between(first, last):
            if log.membership.may_see(user, seq) and not log.may_be_hidden(user, seq):
                self._findings.broken(
                    Invariant.I6, log.conversation,
                    f"seq {seq} was hidden from {user}, who may see it: a member then, with no block of its sender",
                    where, log.entries[seq].where,
                )  # fmt: skip

    def read_back(self, log: Log, read: ReadBack, where: Where) -> None:
        """A read must account for each seq of its range that its reader may see, in rising order."""
        for entry in read.entries:
            self.shown(log, read.user, entry, where)
        if read.user is not None:
            for first, last in read.skip:
                self.withheld(log, read.user, first, last, where)
        given = [entry.seq for entry in read.entries]
        if any(a >= b for a, b in pairwise(given)):
            self._findings.broken(Invariant.I3, log.conversation, f"a read gave its seqs as {_short(given)}", where)
        if given and not (read.after < min(given) and max(given) <= read.until):
            what = f"a read of {seqs(read.after + 1, read.until)} gave {_short(given)}"
            self._findings.broken(Invariant.I3, log.conversation, what, where)
        if log.head_where is None or not log.is_whole:
            return
        self._decide_read_dense(log, read, given, where)
        self._decide_head(log, read, log.head_where, where)

    def _without_entry(self, log: Log, entry: Entry, where: Where) -> None:
        what = f"seq {entry.seq} ({entry.client_id} of {entry.sender}) was shown, but the log does not have it"
        self._findings.broken(Invariant.I6, log.conversation, what, where, *[log.head_where] if log.head_where else [])

    def _decide_same(self, log: Log, kept: Kept, entry: Entry, where: Where) -> None:
        for name in ("sender", "client_id", "kind", "ref"):
            mine, logs = getattr(entry, name), getattr(kept.entry, name)
            if mine != logs:
                what = f"at seq {entry.seq} one saw {name} {mine}, the log has {logs}"
                self._findings.broken(Invariant.I4, log.conversation, what, where, kept.where)
                return
        against = self._body_contradicts(log, kept, entry, where)
        if against is not None:
            what = f"at seq {entry.seq} one saw body {entry.body}, another {kept.entry.body}"
            self._findings.broken(Invariant.I4, log.conversation, what, where, against)

    def _body_contradicts(self, log: Log, kept: Kept, entry: Entry, where: Where) -> Where | None:
        """The line that saw another body; None if they agree. A page shows a text as edits and deletions left it."""
        body, edits = entry.body, log.edits.get(entry.seq, set())
        if body == kept.entry.body or body in edits:
            return None
        is_emptied = log.is_emptied(kept.entry)
        if body is None:
            return None if is_emptied else kept.where
        if kept.entry.body is not None or not is_emptied:
            return kept.where
        if None in edits:
            return None  # An edit that the deletion emptied too: it may have been this body.
        first, seen_at = self._bodies_before_deletion.setdefault((log.conversation, entry.seq), (body, where))
        return seen_at if first != body and first not in edits else None

    def _decide_may_see(self, log: Log, user: str, seq: int, where: Where) -> None:
        if not log.membership.may_see(user, seq):
            windows = ", ".join(f"{w.first}..{w.last or 'now'}" for w in log.membership.windows(user)) or "never"
            what = f"seq {seq} was shown to {user}, a member in {windows}"
            self._findings.broken(Invariant.I6, log.conversation, what, where, log.entries[seq].where)
        elif log.is_hidden(user, seq):
            what = f"seq {seq} was shown to {user}, who had blocked its sender"
            self._findings.broken(Invariant.I6, log.conversation, what, where, log.entries[seq].where)
        elif (user, seq) in log.hidden_from and log.may_be_hidden(user, seq):
            what = f"seq {seq} was shown to {user}, from whom it was hidden elsewhere"
            self._findings.broken(Invariant.I6, log.conversation, what, where, log.hidden_from[user, seq])

    def _decide_read_dense(self, log: Log, read: ReadBack, given: list[int], where: Where) -> None:
        given = sorted(given)
        for first, last in read.skip:
            given += log.between(first, last)
        told = set(given)
        for seq in log.between(read.after + 1, read.until):
            if seq not in told and (read.user is None or log.membership.may_see(read.user, seq)):
                what = f"a read of {seqs(read.after + 1, read.until)} leaves out seq {seq}"
                self._findings.broken(Invariant.I3, log.conversation, what, where, log.entries[seq].where)

    def _decide_head(self, log: Log, read: ReadBack, head_where: Where, where: Where) -> None:
        """A reader is told no head above its removal; in the end, all are told the same."""
        limit = log.membership.last_visible(read.user) if read.user is not None else None
        if limit is not None and read.head > limit:
            what = f"{read.user}, removed at seq {limit}, was told head {read.head}" if limit else (
                f"{read.user}, who never was a member, was told head {read.head}")  # fmt: skip
            self._findings.broken(Invariant.I6, log.conversation, what, where, head_where)
        elif read.head > log.head:
            what = f"a read found head {read.head}, the final one only {log.head}"
            self._findings.broken(Invariant.I1, log.conversation, what, where, head_where)
        elif read.final and read.head < (log.head if limit is None else limit):
            what = f"a final read found head {read.head}, another {log.head}"
            self._findings.broken(Invariant.I1, log.conversation, what, where, head_where)


def _short(given: list[int]) -> str:
    shown = ", ".join(map(str, given[:12]))
    return f"{shown}, ..." if len(given) > 12 else shown
