"""Writes a history: the harness around a client calls `record` with each event.

It owns the order of the lines and nothing else: times are passed in with the events, the file is opened and closed by
the caller.
"""

import hashlib
from typing import Protocol

import msgspec

from core.history.records import Event, encode


class ByteSink(Protocol):
    """The part of a binary file that a recorder needs."""

    def write(self, data: bytes, /) -> object: ...

    def flush(self) -> object: ...


class Recorder:
    """Writes each event as one whole line, flushed: a process that is killed leaves whole lines but for the last."""

    def __init__(self, out: ByteSink) -> None:
        self._out = out

    def record(self, event: Event) -> None:
        """Write one event; it is out of this process when the call returns."""
        self._out.write(encode(event))
        self._out.flush()


def body_digest(body: object) -> str | None:
    """A digest for the `body` fields, equal for JSON values that are equal; None for an empty body.

    Keys are sorted and whitespace is left out, so a client that kept the bytes must parse them first.
    """
    if body == {}:
        return None
    return hashlib.blake2b(msgspec.json.encode(body, order="deterministic"), digest_size=16).hexdigest()
