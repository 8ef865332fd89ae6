"""The checker: two passes over a history, one verdict.

The first pass learns the truth - the logs as the final reads found them, crashes, blocks, when faults were over. The
second holds every line against it, so that a violation is found at the line that shows it and names it. Both are one
look at each line; memory is proportional to the entries and sends, not to the deliveries. Clocks order nothing,
except the 5 s of I7 and the 2 s of I8.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import inf
from typing import assert_never

from core.history.devices import Devices
from core.history.logs import Log, Span
from core.history.marks import Marks
from core.history.records import (
    Acked,
    Applied,
    BadHistory,
    Blocked,
    Connected,
    Crash,
    DeviceRecord,
    Disconnected,
    Ended,
    Event,
    Gap,
    Group,
    Healed,
    Hidden,
    Line,
    Listed,
    Marked,
    MarksSeen,
    ReadBack,
    Refused,
    Sent,
    Skipped,
    Synced,
    Where,
)
from core.history.sends import Sends
from core.history.sight import Sight
from core.history.verdict import Findings, Statistics, Verdict


class Logs(dict[str, Log]):
    """The logs by conversation; one that nobody read at the end is there too, without a head."""

    def __missing__(self, conversation: str) -> Log:
        log = self[conversation] = Log(conversation)
        return log


@dataclass(slots=True)
class Truth:
    """What the first pass learns."""

    logs: Logs = field(default_factory=Logs)
    crashes_at_s: list[float] = field(default_factory=list)
    healed_at_s: float | None = None
    ended_at_s: float | None = None
    first_at_s: float = inf
    last_at_s: float = -inf

    def learn(self, event: Event, where: Where) -> None:
        """Take in one line, of any type."""
        self.first_at_s = min(self.first_at_s, event.at_s)
        self.last_at_s = max(self.last_at_s, event.at_s)
        match event:
            case ReadBack() | Hidden() | Skipped() | Applied():
                self._learn_of_entries(event, where)
            case Blocked():
                self.logs[event.conversation].blocks[event.user, event.peer].append(event)
            case Group():
                # Where a policy changed, an entry may have been seen under either: the wider one is what can be held.
                if event.history == "shared":
                    self.logs[event.conversation].history = "shared"
            case Crash():
                self.crashes_at_s.append(event.at_s)
            case Healed():
                self.healed_at_s = max(event.at_s, self.healed_at_s or event.at_s)
            case Ended():
                self.ended_at_s = max(event.at_s, self.ended_at_s or event.at_s)
            case Sent() | Acked() | Refused() | Listed() | Gap() | Marked() | MarksSeen():
                # Named, so there must be a final read of it.
                self.logs[event.conversation]
            case Connected() | Synced() | Disconnected():
                pass
            case _:
                assert_never(event)

    def _learn_of_entries(self, event: ReadBack | Hidden | Skipped | Applied, where: Where) -> None:
        log = self.logs[event.conversation]
        match event:
            case Applied():
                if event.entry.kind == "hidden":
                    raise BadHistory(where, "an entry of kind hidden; expected an event `hidden` for it, not `applied`")
            case Hidden():
                log.withheld[event.user].append(Span(event.seq, event.seq, where))
            case Skipped():
                log.withheld[event.user].append(_span(event.from_seq, event.to_seq, where))
            case ReadBack():
                if any(entry.kind == "hidden" for entry in event.entries):
                    raise BadHistory(where, "an entry of kind hidden; expected it in `skip`, not in `entries`")
                spans = [_span(first, last, where) for first, last in event.skip]
                if event.user is not None:
                    log.withheld[event.user] += spans
                if event.final:
                    log.add(event, where)


def _span(first: int, last: int, where: Where) -> Span:
    if first > last:
        raise BadHistory(where, f"a range from {first} to {last}; expected the lower seq first")
    return Span(first, last, where)


def check(history: Iterable[Line]) -> Verdict:
    """Decide I1-I8 for a history.

    `history` is iterated over twice, so it must be a collection (or a reader of files), not an iterator.

    Raises:
        BadHistory: if the lines contradict each other in a way that only a faulty recorder can produce.
    """
    assert iter(history) is not history, "a history is read twice"
    findings = Findings()
    truth = _learn(history)
    for log in truth.logs.values():
        log.settle(findings)
    statistics = _Judge(truth, findings).judge(history)
    return Verdict(findings.violations, findings.counts, findings.undecided, statistics)


def _learn(history: Iterable[Line]) -> Truth:
    truth = Truth()
    for where, event in history:
        truth.learn(event, where)
    return truth


class _Judge:
    """The second pass: gives each line to the parts that it concerns."""

    def __init__(self, truth: Truth, findings: Findings) -> None:
        self._truth = truth
        self._logs = truth.logs
        self._sight = Sight(findings)
        self._sends = Sends(truth.logs, findings)
        self._devices = Devices(truth.logs, findings)
        self._marks = Marks(truth.logs, truth.crashes_at_s, findings)
        self._statistics = Statistics()

    def judge(self, history: Iterable[Line]) -> Statistics:
        """Look at every line once, then decide what needed all of them."""
        for where, event in history:
            self._statistics.events += 1
            match event:
                case Sent() | Acked() | Refused():
                    self._on_send(event, where)
                case Applied() | Hidden() | Skipped():
                    self._on_applied(event, where)
                case Connected() | Disconnected() | Listed() | Synced() | Gap():
                    self._on_connection(event, where)
                case Marked():
                    self._marks.on_marked(event, where)
                case MarksSeen():
                    self._statistics.marks_seen += 1
                    self._marks.on_marks_seen(event, where)
                case ReadBack():
                    self._statistics.reads += 1
                    self._sight.read_back(self._logs[event.conversation], event, where)
                    self._devices.on_read_back(event, where)
                case Crash():
                    self._statistics.crashes += 1
                case Blocked() | Group() | Healed() | Ended():
                    pass
                case _:
                    assert_never(event)
            if isinstance(event, DeviceRecord):
                self._devices.device(event.device, event.user, where)
        self._finish()
        return self._statistics

    def _on_send(self, event: Sent | Acked | Refused, where: Where) -> None:
        counted = self._statistics
        match event:
            case Sent():
                counted.sends += not event.retry
                counted.retries += event.retry
                self._sends.on_sent(event, where)
            case Acked():
                counted.acks += 1
                counted.duplicates += event.duplicate
                self._sends.on_acked(event, where)
                device = self._devices.device(event.device, event.user, where)
                self._devices.on_acked(device, event.conversation, event.seq, where)
                self._knew(event.conversation, event.seq, event.at_s)
            case Refused():
                counted.refused[event.code] += 1
                self._sends.on_refused(event, where)

    def _on_applied(self, event: Applied | Hidden | Skipped, where: Where) -> None:
        log = self._logs[event.conversation]
        match event:
            case Applied():
                self._statistics.applied += 1
                first = last = event.entry.seq
                self._sight.shown(log, event.user, event.entry, where)
            case Hidden() | Skipped():
                self._statistics.hidden += 1
                first, last = (event.seq, event.seq) if isinstance(event, Hidden) else (event.from_seq, event.to_seq)
                self._sight.withheld(log, event.user, first, last, where)
            case _:
                assert_never(event)
        device = self._devices.device(event.device, event.user, where)
        self._devices.on_applied(device, event.conversation, first, last, event.at_s, where)
        self._knew(event.conversation, last, event.at_s)

    def _on_connection(self, event: Connected | Disconnected | Listed | Synced | Gap, where: Where) -> None:
        match event:
            case Connected():
                self._statistics.connections += 1
                self._devices.on_connected(event, where)
            case Disconnected():
                self._devices.on_disconnected(event, where)
            case Listed():
                self._devices.on_listed(event, where)
                self._marks.on_listed(event, where)
            case Gap():
                self._statistics.gaps += 1
            case Synced():
                pass

    def _knew(self, conversation: str, seq: int, at_s: float) -> None:
        """Someone knew the head entry by now: the last append was no later."""
        log = self._logs[conversation]
        if seq == log.head and (log.head_at_s is None or at_s < log.head_at_s):
            log.head_at_s = at_s

    def _finish(self) -> None:
        for log in self._logs.values():
            if log.head_at_s is None and log.head in log.entries:
                log.head_at_s = self._sends.last_transmission_at_s(log, log.entries[log.head].entry)
        self._sends.finish()
        truth = self._truth
        # Without the markers there were no faults, and the history ends with its last line.
        healed_at_s = truth.first_at_s if truth.healed_at_s is None else truth.healed_at_s
        ended_at_s = truth.last_at_s if truth.ended_at_s is None else truth.ended_at_s
        self._devices.finish(healed_at_s, ended_at_s)
        self._marks.finish()
        counted, devices = self._statistics, self._devices.devices
        counted.conversations = len(self._logs)
        counted.entries = sum(len(log.entries) for log in self._logs.values())
        counted.devices = len(devices)
        counted.users = len({device.user for device in devices.values()})
        counted.reconnects = sum(max(len(device.used) - 1, 0) for device in devices.values())
