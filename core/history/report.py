"""The command `trimaran check FILE...`: reads histories from files, says what was checked and what is broken.

Each violation comes with the lines that prove it. The only part of the checker that opens files. Files are read twice
or three times, never into memory, so a pipe is refused.
"""

import os
import stat
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import TextIO

import msgspec

from core.history import checker
from core.history.records import BadHistory, Line, Where, read
from core.history.verdict import Invariant, Statistics, Verdict

WHOLE = 0
BROKEN = 1
BAD_INPUT = 2
"""Exit codes. A history too thin to decide every promise is bad input: it must not pass for a whole one."""

QUOTED_CHARACTERS = 240
"""So much of a line is quoted as evidence: a read back can be long."""


class Files:
    """A history in files, read anew by each iteration."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = paths

    def __iter__(self) -> Iterator[Line]:
        for path in self._paths:
            with open(path, "rb") as file:
                yield from read(file, path)


def check(paths: Sequence[str | os.PathLike[str]], out: TextIO, *, as_json: bool = False) -> int:
    """Check the histories in these files together and write the report to `out`.

    Returns: the exit code - 0 whole, 1 broken, 2 for input that is unreadable, no history, or too thin to decide.
    """
    names = [os.fspath(path) for path in paths]
    try:
        _refuse_unreadable(names)
        verdict = checker.check(Files(names))
        if verdict.statistics.events == 0:
            raise _Unusable(f"no events in {', '.join(names) or 'no files'}; expected a history, one event a line")
        quotes = _quote(verdict)
    except (BadHistory, _Unusable) as error:
        return _refuse(str(error), out, as_json)
    except OSError as error:
        return _refuse(f"{error.filename}: {error.strerror}; expected a readable file", out, as_json)
    if as_json:
        out.write(_json(verdict, quotes))
    else:
        out.writelines(f"{line}\n" for line in _lines(names, verdict, quotes))
    if verdict.counts:
        return BROKEN
    return BAD_INPUT if verdict.undecided else WHOLE


class _Unusable(Exception):
    """The input cannot be a history."""


def _refuse_unreadable(names: Sequence[str]) -> None:
    for name in names:
        if not stat.S_ISREG(os.stat(name).st_mode):
            raise _Unusable(f"{name}: not a regular file; expected one that can be read twice")
    if len({os.path.realpath(name) for name in names}) < len(names):
        raise _Unusable("the same file is named twice; each line counts once")


def _refuse(what: str, out: TextIO, as_json: bool) -> int:
    out.write(msgspec.json.encode({"error": what}).decode() + "\n" if as_json else f"trimaran check: {what}\n")
    return BAD_INPUT


def _quote(verdict: Verdict) -> dict[Where, str]:
    """The text of the lines that violations name, cut to a length that can be read."""
    wanted: defaultdict[str, set[int]] = defaultdict(set)
    for violation in verdict.violations:
        for where in violation.evidence:
            wanted[where.path].add(where.line)
    quotes: dict[Where, str] = {}
    for path, numbers in wanted.items():
        with open(path, "rb") as file:
            for number, line in enumerate(file, start=1):
                if number in numbers:
                    text = line[: QUOTED_CHARACTERS * 4].decode(errors="replace").strip()
                    quotes[Where(path, number)] = text[:QUOTED_CHARACTERS] + "…" * (len(text) > QUOTED_CHARACTERS)
    return quotes


def _lines(names: Sequence[str], verdict: Verdict, quotes: dict[Where, str]) -> Iterable[str]:
    counted = verdict.statistics
    yield f"trimaran check: {_number(counted.events, 'event')} in {_number(len(names), 'file')}"
    yield from (f"  {line}" for line in _counts(counted))
    yield ""
    for invariant in Invariant:
        broken = verdict.counts[invariant]
        holds = "not decided everywhere" if verdict.undecided else "holds"
        state = f"BROKEN, {_number(broken, 'time')}" if broken else holds
        yield f"  {invariant} {invariant.promise:<14}{state}"
    for violation in verdict.violations:
        yield ""
        yield f"{violation.invariant} {violation.invariant.promise}: {violation.conversation}: {violation.what}"
        yield from (f"    {where}: {quotes.get(where, '')}" for where in violation.evidence)
    dropped = verdict.counts.total() - len(verdict.violations)
    if dropped:
        yield from ("", f"... and {dropped:,} more, not shown")
    if verdict.undecided:
        yield from ("", "Not decided:")
        yield from (f"    {conversation}: {what}" for conversation, what in verdict.undecided)
    yield ""
    yield _last_line(verdict)


def _counts(counted: Statistics) -> Iterable[str]:
    refused = ", ".join(f"{code} {number:,}" for code, number in sorted(counted.refused.items())) or "none"
    yield f"{counted.conversations:,} conversations with {counted.entries:,} entries; {counted.reads:,} reads"
    yield (f"{counted.users:,} users on {counted.devices:,} devices; {counted.connections:,} connections, "
           f"{counted.reconnects:,} of them again; {counted.crashes:,} crashes")  # fmt: skip
    yield (f"{counted.sends:,} sends and {counted.retries:,} retries; {counted.acks:,} acks, "
           f"{counted.duplicates:,} of duplicates; refused: {refused}")  # fmt: skip
    yield (f"{counted.applied:,} entries applied, {counted.hidden:,} hidden, {counted.gaps:,} gaps; "
           f"marks shown {counted.marks_seen:,} times")  # fmt: skip


def _last_line(verdict: Verdict) -> str:
    if verdict.counts:
        total = _number(verdict.counts.total(), "violation")
        return f"BROKEN: {total} of {', '.join(sorted(verdict.counts))}"
    if verdict.undecided:
        return "NOT DECIDED: nothing broken was found, but the history is too thin to say that all promises held"
    return "WHOLE: every promise held"


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' * (count != 1)}"


def _json(verdict: Verdict, quotes: dict[Where, str]) -> str:
    answer = {
        "whole": verdict.is_whole,
        "statistics": verdict.statistics,
        "counts": {str(invariant): verdict.counts[invariant] for invariant in Invariant},
        "violations": [
            {
                "invariant": str(violation.invariant),
                "conversation": violation.conversation,
                "what": violation.what,
                "evidence": [
                    {"path": where.path, "line": where.line, "text": quotes.get(where, "")}
                    for where in violation.evidence
                ],
            }
            for violation in verdict.violations
        ],
        "undecided": [{"conversation": conversation, "what": what} for conversation, what in verdict.undecided],
    }
    return msgspec.json.encode(answer).decode() + "\n"
