"""The answer to a send from a socket: an ack or an error on the session that sent it."""

from typing import Final

from core.base.clock import Clock
from core.base.errors import TrimaranError
from core.base.metrics import Metrics
from core.base.records import Send, Sent
from core.protocol.commands import FrameId
from core.protocol.envelope import ack_json, error_json
from core.protocol.frames import text_frame
from core.router.sessions import Session


class SessionReply:
    """Fulfils `Reply`; `session` is not pushed the entry that it is told of here."""

    __slots__ = ("_came_s", "_clock", "_frame_id", "_metrics", "_send", "session")

    def __init__(
        self, session: Session, frame_id: FrameId, send: Send, metrics: Metrics, clock: Clock, came_s: float
    ) -> None:
        self.session: Final = session
        self._frame_id = frame_id
        self._send = send
        self._metrics = metrics
        self._clock = clock
        self._came_s = came_s

    def sent(self, sent: Sent) -> None:
        """Ack."""
        self._metrics.sends["duplicate" if sent.duplicate else "ok"] += 1
        self._metrics.ack_seconds.observe(self._clock.monotonic_s() - self._came_s)
        self.session.outbox.push(text_frame(ack_json(sent, self._frame_id)))

    def refused(self, error: TrimaranError) -> None:
        """Error."""
        self._metrics.sends[error.code] += 1
        self.session.outbox.push(text_frame(error_json(error, self._frame_id, self._send.client_id)))
