"""An application that says everything back, for the tests of the reactor, and writes down what it was told."""

import socket
from typing import Any

from core.base.errors import Overloaded
from core.protocol.frames import text_frame
from core.protocol.handshake import Accepted, Refused, Request
from core.router.outbox import Outbox


class Echo:
    """Its sessions are the outboxes."""

    def __init__(self) -> None:
        self.requests: list[tuple[Request, str]] = []
        self.decision: Accepted | Refused = Accepted("claims")
        self.accepted: list[Accepted] = []
        self.sessions: list[Outbox] = []
        self.texts: list[bytes] = []
        self.closed: list[int] = []
        self.drained = 0
        self.ticks = 0
        self.turns = 0
        self.fail_in: str | None = None

    def on_upgrade(self, request: Request, peer: str) -> Accepted | Refused:
        self._fail("on_upgrade")
        self.requests.append((request, peer))
        return self.decision

    def on_open(self, accepted: Accepted, outbox: Outbox) -> Outbox:
        self._fail("on_open")
        self.accepted.append(accepted)
        self.sessions.append(outbox)
        return outbox

    def on_text(self, session: Outbox, payload: bytes) -> None:
        self._fail("on_text")
        self.texts.append(payload)
        session.push(text_frame(payload))

    def on_drained(self, session: Outbox) -> None:
        self._fail("on_drained")
        self.drained += 1

    def on_closed(self, session: Outbox, code: int) -> None:
        self.closed.append(code)
        self._fail("on_closed")

    def on_tick(self, now_s: float) -> None:
        self.ticks += 1
        self._fail("on_tick")

    def end_turn(self) -> None:
        self.turns += 1
        self._fail("end_turn")

    def _fail(self, where: str) -> None:
        if self.fail_in == where:
            raise RuntimeError(f"planted in {where}")


def refuse_all(sock: socket.socket, head: bytes, address: Any) -> None:
    """A taker of other connections that takes none."""
    raise Overloaded("nobody else is here", retry_after_s=7.0)
