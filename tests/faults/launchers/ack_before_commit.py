"""PLANTED FAULT: the store says that a write is done, and commits it when there is a moment of rest."""

import sys
from collections.abc import Sequence

import apsw

from core.bridge.worker import Call
from sidecars.process.__main__ import main
from sidecars.stores.embedded import database

_rest = database._Writer.rest


def do(self: database._Writer, calls: Sequence[Call[apsw.Connection]]) -> None:
    """Takes the place of the writer's own."""
    done: list[tuple[Call[apsw.Connection], object]] = []
    if not self._connection.in_transaction:
        self._connection.execute("BEGIN IMMEDIATE")
    for call in calls:
        self._do_one(call, done)
    for call, value in done:
        call.succeed(value)


def rest(self: database._Writer) -> bool:
    """Commits first."""
    if self._connection.in_transaction:
        self._connection.execute("COMMIT")
    return _rest(self)


if __name__ == "__main__":
    database._Writer.do = do  # type: ignore[method-assign]
    database._Writer.rest = rest  # type: ignore[method-assign]
    sys.exit(main(["run"]))
