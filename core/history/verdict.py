"""What a check says: violations, what could not be decided, and counts. `Findings` collects the first two."""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from core.history.records import Where

VIOLATIONS_KEPT_MAX = 50
"""Violations kept of each invariant with their evidence; the rest is only counted."""


class Invariant(StrEnum):
    """The promises that a history of clients can decide."""

    I1 = "I1"
    I2 = "I2"
    I3 = "I3"
    I4 = "I4"
    I5 = "I5"
    I6 = "I6"
    I7 = "I7"
    I8 = "I8"

    @property
    def promise(self) -> str:
        """The invariant in two words."""
        return _TITLES[self]


_TITLES = {
    Invariant.I1: "durable",
    Invariant.I2: "once",
    Invariant.I3: "dense",
    Invariant.I4: "same order",
    Invariant.I5: "sender order",
    Invariant.I6: "no phantom",
    Invariant.I7: "complete",
    Invariant.I8: "monotone",
}


class Violation(NamedTuple):
    """One broken promise: where it broke, how, and the lines that prove it."""

    invariant: Invariant
    conversation: str
    what: str
    evidence: tuple[Where, ...]


class Undecided(NamedTuple):
    """Something that the history is too thin to decide."""

    conversation: str
    what: str


@dataclass(slots=True)
class Statistics:
    """How much was looked at: a check of nothing finds nothing."""

    events: int = 0
    conversations: int = 0
    entries: int = 0
    users: int = 0
    devices: int = 0
    sends: int = 0
    retries: int = 0
    acks: int = 0
    duplicates: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    applied: int = 0
    hidden: int = 0
    gaps: int = 0
    marks_seen: int = 0
    reads: int = 0
    connections: int = 0
    reconnects: int = 0
    crashes: int = 0


@dataclass(slots=True)
class Verdict:
    """The outcome of a check."""

    violations: list[Violation]
    counts: Counter[Invariant]
    """All violations of each invariant, those not kept included."""
    undecided: list[Undecided]
    statistics: Statistics

    @property
    def is_whole(self) -> bool:
        """Every promise was decided, and held."""
        return not self.counts and not self.undecided


class Findings:
    """Collects what the parts of the checker find."""

    def __init__(self) -> None:
        self.violations: list[Violation] = []
        self.counts: Counter[Invariant] = Counter()
        self.undecided: list[Undecided] = []

    def broken(self, invariant: Invariant, conversation: str, what: str, *evidence: Where) -> None:
        """A promise is broken; the same line twice in the evidence is kept once."""
        self.counts[invariant] += 1
        if self.counts[invariant] <= VIOLATIONS_KEPT_MAX:
            self.violations.append(Violation(invariant, conversation, what, tuple(dict.fromkeys(evidence))))

    def unclear(self, conversation: str, what: str) -> None:
        """Something cannot be decided."""
        self.undecided.append(Undecided(conversation, what))
