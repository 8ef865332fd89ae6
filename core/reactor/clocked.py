"""What happens because time passed; once a second, and by the clock that was passed in."""

from core.base.limits import CLOSE_LINGER_S, REQUEST_HEAD_S
from core.reactor.shared import Shared, overdue


def look_at_clock(shared: Shared) -> None:
    """Ping or give up whoever was silent, and end whatever waited too long."""
    now_s = shared.now_s
    for connection in shared.heartbeats.take_due(now_s):
        connection.on_heartbeat(now_s)
    for half_open in overdue(shared.half_open, now_s - REQUEST_HEAD_S):
        half_open.on_overdue()
    for connection in overdue(shared.blocked, now_s - shared.limits.outbox_stuck_s):
        connection.on_stuck()
    for connection in overdue(shared.closing, now_s - CLOSE_LINGER_S):
        connection.abort()
    for lingering in overdue(shared.lingering, now_s - CLOSE_LINGER_S):
        lingering.abort()
