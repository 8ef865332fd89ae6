"""Watermarks: a device's cursor moves by its mark alone, merged by max and stored by relay in batches, one a second at most.

What is shown to others was stored first. Losing the last second of marks costs a repetition, never a message: clients repeat their marks after
each hello.
"""

from typing import Final, Protocol

from core.base.clock import Clock
from core.base.errors import Rejected, TrimaranError, not_found
from core.base.ids import ConversationId, UserId, is_group
from core.base.limits import MARKS_INTERVAL_S, SMALL_GROUP_MEMBERS
from core.base.metrics import Metrics
from core.base.records import Mark
from core.protocol.envelope import marks_json
from core.protocol.frames import text_frame
from core.router.conversations import Conversation
from core.router.owner import Owner
from core.router.ports import Relay
from core.router.sessions import Roster, Row, User


class MarkReply(Protocol):
    """Who waits for a mark from elsewhere to be stored."""

    def sent(self, sent: bool) -> None:
        """It is."""

    def refused(self, error: TrimaranError) -> None:
        """It is not yet."""


class Marks:
    """Merges the marks of this node's users and tells of them."""

    def __init__(self, clock: Clock, relay: Relay, roster: Roster, owner: Owner, metrics: Metrics) -> None:
        self._clock: Final = clock
        self._relay: Final = relay
        self._roster: Final = roster
        self._owner: Final = owner
        self._metrics: Final = metrics
        self._dirty: dict[tuple[UserId, str, ConversationId], tuple[int, int]] = {}
        self._storing: list[Mark] = []
        self._replies: list[MarkReply] = []  # of marks that wait for the next batch
        self._answering: list[MarkReply] = []  # of the batch that is out
        self._next_s = 0.0

    def mark(
        self, user: User, device: str, conversation: ConversationId, delivered: int | None, read: int | None
    ) -> None:
        """A device says what it has, and what was read. Raises: Rejected for what it cannot have."""
        row = user.rows.get(conversation)
        if row is None:
            raise not_found("conversation")
        for name, seq in (("delivered", delivered), ("read", read)):
            if seq is not None and seq > row.last:
                raise Rejected("bad_request", f"{name} is above the head, {row.last}", field=name)
        self._merge(user, device, conversation, row, max(delivered or 0, read or 0), read or 0)

    def mark_for(
        self, user_id: UserId, device: str, conversation: ConversationId, delivered: int, reply: MarkReply
    ) -> None:
        """The same from elsewhere, for a user that need not be here; the caller has checked the bounds."""
        user = self._roster.users.get(user_id)
        row = user.rows.get(conversation) if user is not None else None
        if row is not None:
            row.delivered = max(row.delivered, delivered)
        self._add((user_id, device, conversation), delivered, 0)
        self._replies.append(reply)

    def own_send(self, user_id: UserId, conversation: ConversationId, seq: int) -> None:
        """An own send moves the own `read`, and no device's cursor; also of a user that is not here, and sent by REST."""
        user = self._roster.users.get(user_id)
        row = user.rows.get(conversation) if user is not None else None
        if row is not None:
            if seq <= row.read:
                return
            row.read = seq
        self._add((user_id, "", conversation), 0, seq)

    def end_turn(self, now_s: float) -> None:
        """Hand in what has gathered, unless a batch is out or was just now."""
        if not self._dirty or self._storing or now_s < self._next_s:
            return
        self._next_s = now_s + MARKS_INTERVAL_S
        self._storing = [
            Mark(user, device, conversation, delivered, read)
            for (user, device, conversation), (delivered, read) in self._dirty.items()
        ]
        self._dirty.clear()
        self._answering, self._replies = self._replies, []
        self._relay.merge(self._storing, self._on_merged)

    def _merge(
        self, user: User, device: str, conversation: ConversationId, row: Row, delivered: int, read: int
    ) -> None:
        row.delivered = max(row.delivered, delivered)
        row.read = max(row.read, read)
        self._add((user.id, device, conversation), delivered, read)

    def _add(self, key: tuple[UserId, str, ConversationId], delivered: int, read: int) -> None:
        old_delivered, old_read = self._dirty.get(key, (0, 0))
        self._dirty[key] = (max(old_delivered, delivered), max(old_read, read))

    def _on_merged(self, error: TrimaranError | None) -> None:
        self._next_s = self._clock.monotonic_s() + MARKS_INTERVAL_S  # what is told now is not told again within it
        marks, self._storing = self._storing, []
        replies, self._answering = self._answering, []
        if error is not None:
            for mark in marks:  # next time, with what has come since
                self._add((mark.user, mark.device, mark.conversation), mark.delivered, mark.read)
            for reply in replies:
                reply.refused(error)
            return
        for reply in replies:
            reply.sent(True)
        stored: dict[tuple[UserId, ConversationId], tuple[int, int]] = {}
        for mark in marks:
            delivered, read = stored.get((mark.user, mark.conversation), (0, 0))
            stored[mark.user, mark.conversation] = max(delivered, mark.delivered), max(read, mark.read)
        for (user_id, conversation), (delivered, read) in stored.items():
            user = self._roster.users.get(user_id)
            row = user.rows.get(conversation) if user is not None else None
            if row is not None:
                row.told_delivered = max(row.told_delivered, delivered)
                row.told_read = max(row.told_read, read)
                self._tell(user_id, conversation, row.told_delivered, row.told_read)

    def _tell(self, user_id: UserId, conversation: ConversationId, delivered: int, read: int) -> None:
        """Tell the user's own devices everywhere, and others where the conversation is small enough."""
        shown = max(delivered, read)
        own = text_frame(marks_json(conversation, [(user_id, 0 if is_group(conversation) else shown, read)]))
        self._push(own, [user_id])
        try:
            self._owner.with_loaded(conversation, lambda loaded: self._tell_others(loaded, user_id, own))
        except TrimaranError:
            self._metrics.shed["marks"] += 1

    def _tell_others(self, conversation: Conversation, user_id: UserId, frame: bytes) -> None:
        if user_id not in conversation.members or conversation.blocked_by:
            return
        if len(conversation.members) <= SMALL_GROUP_MEMBERS:
            self._push(frame, [member for member in conversation.members if member != user_id])

    def _push(self, frame: bytes, users: list[UserId]) -> None:
        for session in self._roster.live_sessions(users):
            if not session.push_hint(frame):
                self._metrics.shed["marks"] += 1
