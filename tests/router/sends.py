"""What the tests of sends say and hear."""

from typing import Any

from core.base.ids import direct_conversation
from tests.router.world import (
    ANN,
    BOB,
    Connection,
    client_id,
)

TALK = direct_conversation(ANN, BOB)


def say(connection: Connection, number: int, text: str = "hi", **fields: Any) -> None:
    """Send a text to BOB, or whatever `fields` say."""
    target = {} if "conversation" in fields or "to" in fields else {"to": BOB}
    body = {} if "body" in fields else {"body": {"text": text}}
    connection.say(type="send", id=number, client_id=client_id(number), **target, **body, **fields)


def acks(connection: Connection) -> list[tuple[int, int, bool]]:
    return [(frame["id"], frame["seq"], frame["duplicate"]) for frame in connection.take("ack")]


def errors(connection: Connection) -> list[tuple[str, str | None]]:
    return [(frame["code"], frame.get("field")) for frame in connection.take("error")]
