"""A committed entry goes out: encoded once, to every session of everyone who is a member before or after it.

Each user's row learns the head first, so that whatever else happens to the push - a slow client, a feed in progress - the session is told of
the head and repairs itself by pulling.
"""

from collections.abc import Callable, Sequence
from typing import Final

from core.base.ids import ConversationId, UserId
from core.base.metrics import Metrics
from core.base.records import Entry, RowChange
from core.protocol.envelope import hidden_json, message_json
from core.protocol.frames import text_frame
from core.router.conversations import Conversation
from core.router.feed import Feed
from core.router.sessions import Roster, Row, Session


class Delivery:
    """Pushes entries to the sessions of this node."""

    def __init__(
        self,
        roster: Roster,
        metrics: Metrics,
        *,
        feed_of: Callable[[Session], Feed],
        on_own_send: Callable[[UserId, ConversationId, int], None],
    ) -> None:
        self._users: Final = roster.users
        self._metrics: Final = metrics
        self._feed_of: Final = feed_of
        self._on_own_send: Final = on_own_send

    def deliver(
        self, conversation: Conversation, entry: Entry, sending: Session | None, changes: Sequence[RowChange]
    ) -> None:
        """Push `entry` to everyone but the session that sent it; `conversation` is as of the entry."""
        frame = text_frame(message_json(entry))
        conversation_id, seq = entry.conversation, entry.seq
        for change in changes:
            self._change(change)
        self._on_own_send(entry.sender, conversation_id, seq)
        users = self._users
        pushed = 0
        audience = [*conversation.members, *(change.user for change in changes if not change.first)]
        for user_id in audience:
            user = users.get(user_id)
            if user is None:
                continue
            row = user.rows.get(conversation_id)
            if row is None:
                if not user.is_listed:
                    user.early[conversation_id] = max(seq, user.early.get(conversation_id, 0))
                continue
            if row.removal and row.removal != seq:
                continue
            row.head = max(row.head, seq)
            shown = frame
            if user_id == entry.hidden_from:
                shown = text_frame(hidden_json(conversation_id, seq))
            for session in user.sessions:
                if session is sending:
                    if session.feed is not None:
                        session.feed.acked(conversation_id, seq)
                elif session.push_entry(conversation_id, seq, shown):
                    pushed += 1
        self._metrics.deliveries += pushed
        self._metrics.fanout_members.observe(len(audience))

    def _change(self, change: RowChange) -> None:
        """A membership began or ended. Who was added is told of the conversation first, and then given its entries."""
        user = self._users.get(change.user)
        if user is None:
            return
        if not user.is_listed:
            user.early_changes.append(change)
            return
        row = user.rows.setdefault(change.conversation, Row())
        row.change(change)
        if change.first:
            for session in user.sessions:
                if session.is_live:
                    self._feed_of(session).hold(change.conversation)
