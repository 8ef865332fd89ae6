"""Marks as they were shown (I8): they rise, `read <= delivered <= head`, and are marks that their user made.

A shown `read` never falls, whatever crashes: the server stores it before it shows it. A shown `delivered`, and a
device's own cursor, may fall back to what it was 2 s before a crash. So a value may be taken back only if it was
shown within 2 s of a crash that came before the fall.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf

from core.history.logs import Log
from core.history.records import Listed, Marked, MarksSeen, Where
from core.history.verdict import Findings, Invariant

FALLS_BACK_S = 2.0
"""I8: so much of delivered may a crash cost."""


@dataclass(slots=True)
class Shown:
    """A value, and when it was shown for the first and the last time in a row."""

    value: int
    first_at_s: float
    last_at_s: float
    where: Where


@dataclass(slots=True)
class Highest:
    """The highest value, and the line that has it."""

    value: int = 0
    where: Where | None = None

    def raise_to(self, value: int | None, where: Where) -> None:
        """Merge with max."""
        if value is not None and value > self.value:
            self.value, self.where = value, where


class Marks:
    """Follows every mark that any device was shown."""

    def __init__(self, logs: Mapping[str, Log], crashes_at_s: Sequence[float], findings: Findings) -> None:
        self._logs = logs
        self._crashes_at_s = sorted(crashes_at_s)
        self._findings = findings
        self._rising: defaultdict[tuple[str, str, str, str], list[Shown]] = defaultdict(list)
        """By (device that saw it, conversation, user, name of the mark): rising, as far down as a crash can excuse."""
        self._marked: defaultdict[tuple[str, str, str], Highest] = defaultdict(Highest)
        self._shown: defaultdict[tuple[str, str, str], Highest] = defaultdict(Highest)
        """The highest marked and shown ones by (conversation, user, name of the mark)."""

    def on_marked(self, marked: Marked, where: Where) -> None:
        """A device is about to send a mark."""
        self._marked[marked.conversation, marked.user, "read"].raise_to(marked.read, where)
        for value in (marked.delivered, marked.read):
            self._marked[marked.conversation, marked.user, "delivered"].raise_to(value, where)

    def on_marks_seen(self, seen: MarksSeen, where: Where) -> None:
        """A device was shown a user's marks."""
        if seen.delivered is not None:
            self._shown[seen.conversation, seen.of, "delivered"].raise_to(seen.delivered, where)
            self._rise(seen.device, seen.conversation, seen.of, "delivered", seen.delivered, seen.at_s, where)
        if seen.read is not None:
            self._shown[seen.conversation, seen.of, "read"].raise_to(seen.read, where)
            self._rise(seen.device, seen.conversation, seen.of, "read", seen.read, seen.at_s, where)
        if seen.delivered is not None and seen.read is not None and seen.read > seen.delivered:
            what = f"{seen.of} was shown with read {seen.read} above delivered {seen.delivered}"
            self._findings.broken(Invariant.I8, seen.conversation, what, where)

    def on_listed(self, listed: Listed, where: Where) -> None:
        """A device was told its own cursor."""
        self._rise(listed.device, listed.conversation, listed.user, "cursor", listed.cursor, listed.at_s, where)
        if listed.cursor > listed.head:
            what = f"a device's cursor {listed.cursor} was listed above head {listed.head}"
            self._findings.broken(Invariant.I8, listed.conversation, what, where)

    def _rise(self, device: str, conversation: str, of: str, name: str, value: int, at_s: float, where: Where) -> None:
        shown = self._rising[device, conversation, of, name]
        taken_back: Shown | None = None
        while shown and shown[-1].value > value:
            one = shown.pop()
            if taken_back is None and (name == "read" or not self._is_excused(one, at_s)):
                taken_back = one
        if taken_back is not None:
            what = f"{name} of {of} was shown as {taken_back.value}, then as {value}"
            self._findings.broken(Invariant.I8, conversation, what, taken_back.where, where)
        if shown and shown[-1].value == value:
            shown[-1].last_at_s = at_s
            return
        if shown and not self._is_excused(shown[-1], inf):
            del shown[:-1]  # Whatever falls below those falls below this one, and that is never excused.
        shown.append(Shown(value, at_s, at_s, where))

    def _is_excused(self, one: Shown, fell_at_s: float) -> bool:
        """Whether a value was shown only within 2 s of a crash before the fall; first and last stand for all."""
        return all(
            self._has_crash(at_s - FALLS_BACK_S, min(at_s + FALLS_BACK_S, fell_at_s))
            for at_s in (one.first_at_s, one.last_at_s)
        )

    def _has_crash(self, from_s: float, to_s: float) -> bool:
        return bisect_left(self._crashes_at_s, from_s) < bisect_right(self._crashes_at_s, to_s)

    def finish(self) -> None:
        """Decide what needs the whole history: no shown mark above the head, and none that its user did not make."""
        own: defaultdict[tuple[str, str], int] = defaultdict(int)
        for log in self._logs.values():
            for seq in log.order:
                own[log.conversation, log.entries[seq].entry.sender or ""] = seq
        for (conversation, of, name), shown in self._shown.items():
            log = self._logs[conversation]
            if log.head_where is None or shown.where is None:
                continue
            if shown.value > log.head:
                what = f"{name} of {of} was shown as {shown.value}, above head {log.head}"
                self._findings.broken(Invariant.I8, conversation, what, shown.where, log.head_where)
                continue
            marked = self._marked[conversation, of, name]
            joined = max((window.first for window in log.membership.windows(of)), default=0)
            if log.is_whole and shown.value > max(marked.value, own[conversation, of], joined):
                what = f"{name} of {of} was shown as {shown.value}, but marked no higher than {marked.value}"
                self._findings.broken(Invariant.I8, conversation, what, shown.where, *filter(None, [marked.where]))
