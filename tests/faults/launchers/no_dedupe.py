"""PLANTED FAULT: neither the owner nor the store looks whether a `client_id` was appended before."""

import sys
from typing import Any

import apsw

from core.router.conversations import Conversation
from sidecars.process.__main__ import main
from sidecars.stores.embedded import database, log

_connect = database._Writer._connect


def connect(self: database._Writer) -> apsw.Connection:
    """A connection to a store whose index does not insist on `client_id`s being different."""
    connection = _connect(self)
    connection.execute("DROP INDEX IF EXISTS entry_client_id")
    return connection


def sent_as(_conversation: Conversation, *_send: object) -> None:
    """The owner has no memory."""


async def find(_log: log.EmbeddedLog, *_send: Any) -> None:
    """Nor has the store."""


if __name__ == "__main__":
    database._Writer._connect = connect  # type: ignore[method-assign]
    Conversation.sent_as = sent_as  # type: ignore[assignment, method-assign]
    log.EmbeddedLog.find = find  # type: ignore[assignment, method-assign]
    log._BY_CLIENT_ID = "SELECT NULL WHERE ? IS NULL AND ? IS NULL AND ? IS NULL"  # type: ignore[misc]
    sys.exit(main(["run"]))
