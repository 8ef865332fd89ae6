"""Who is online, who may know it, and who is writing: hints, shed before anything else.

The node of a user's slot knows whether it is online. A session that watches is told of each user at once, and then of changes: `hidden` for
whoever it may not see, whatever that one does. Offline is told after a grace (`bye`: at once), so that a reconnect is not seen. No session gets
more than a few presence frames a second; the newest state wins.
"""

from collections.abc import Collection, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from typing import Final

from core.base.clock import Clock
from core.base.errors import Rejected, TrimaranError
from core.base.ids import ConversationId, UserId
from core.base.limits import PRESENCE_FRAMES_PER_S, PRESENCE_GRACE_S, SMALL_GROUP_MEMBERS, Limits
from core.base.metrics import Metrics
from core.base.rates import TokenBucket
from core.base.records import Presence, Watched
from core.protocol.envelope import presence_json, typing_json
from core.protocol.frames import text_frame
from core.router.conversations import Conversation
from core.router.ports import People
from core.router.sessions import Roster, Session, User
from core.rules.conversations import may_write


class Presences:
    """Presence of this node's users, and what its sessions watch."""

    def __init__(self, clock: Clock, limits: Limits, people: People, roster: Roster, metrics: Metrics) -> None:
        self._clock: Final = clock
        self._limits: Final = limits
        self._people: Final = people
        self._roster: Final = roster
        self._metrics: Final = metrics
        # Who watches whom, and whether it may see; None: not told yet.
        self._watchers: dict[UserId, dict[Session, bool | None]] = {}
        self._leaving: dict[UserId, User] = {}  # in their grace
        self._waiting: set[Session] = set()  # have presence frames that wait for their bucket
        self._changes: list[Presence] = []  # for last_seen, at the end of the turn

    # ---- users come and go

    def on_arrived(self, user: User) -> None:
        """A session of the user is live; it may be one of many."""
        was_away = user.left_s is None and sum(session.is_live for session in user.sessions) == 1
        self._leaving.pop(user.id, None)
        user.left_s = None
        if was_away:
            self._turn(user.id, is_online=True)

    def on_left(self, user: User, *, is_bye: bool) -> None:
        """The last session of the user is gone."""
        now_s = self._clock.monotonic_s()
        user.left_s = now_s - PRESENCE_GRACE_S if is_bye else now_s
        self._leaving[user.id] = user
        if is_bye:
            self._end_grace(user)

    def on_tick(self, now_s: float) -> None:
        """End the graces that are over; give what waited for a bucket."""
        for user in list(self._leaving.values()):
            if user.left_s is not None and now_s - user.left_s >= PRESENCE_GRACE_S:
                self._end_grace(user)
        for session in list(self._waiting):
            self._give(session, now_s)

    def end_turn(self) -> None:
        """Tell last_seen what changed."""
        if self._changes:
            changes, self._changes = self._changes, []
            self._people.report(changes)

    def is_online(self, user_id: UserId) -> bool:
        """Whether the user has a live session, or is in its grace."""
        user = self._roster.users.get(user_id)
        if user is None:
            return False
        return user.id in self._leaving or any(session.is_live for session in user.sessions)

    def _end_grace(self, user: User) -> None:
        self._leaving.pop(user.id, None)
        user.left_s = None  # a session that is on its way is an arrival
        if not user.sessions:
            self._roster.forget(user)
        self._turn(user.id, is_online=False)

    def _turn(self, user_id: UserId, *, is_online: bool) -> None:
        now_ms = self._clock.wall_ms()
        self._changes.append(Presence(user_id, is_online, now_ms))
        watchers = self._watchers.get(user_id)
        if watchers:
            state = ("online", 0) if is_online else ("offline", now_ms)
            frame = text_frame(presence_json(user_id, *state))
            for session, may_see in watchers.items():
                if may_see:
                    self._tell(session, user_id, frame)

    # ---- watching

    def watch(self, session: Session, users: Sequence[UserId]) -> None:
        """Replace whom the session watches. Raises: Rejected if those are too many."""
        if len(users) > self._limits.watched_users:
            raise Rejected(
                "bad_request", f"users has {len(users)}, at most {self._limits.watched_users}", field="users"
            )
        self._unwatch(session)
        session.watched = frozenset(users)
        for user_id in session.watched:
            self._watchers.setdefault(user_id, {})[session] = None
        self._ask(session, list(dict.fromkeys(users)))

    def _ask(self, session: Session, users: list[UserId]) -> None:
        """Ask what the session may see of users whom it watches."""
        if users and session.user is not None:
            self._people.watched(session.user.id, users, partial(self._on_watched, session, users))

    def on_changed(self, user_id: UserId) -> None:
        """What others may see of a user, or it of others, has changed: ask again for all whom that concerns."""
        user = self._roster.users.get(user_id)
        for session in user.sessions if user is not None else ():
            self._ask(session, sorted(session.watched))
        for session in list(self._watchers.get(user_id, ())):
            self._ask(session, [user_id])

    def on_contacts_changed(self, changed: AbstractSet[UserId], members: Collection[UserId]) -> None:
        """`changed` share a conversation with its other `members` now, or no longer."""
        for user_id in changed:
            user = self._roster.users.get(user_id)
            for session in user.sessions if user is not None else ():
                self._ask(session, sorted(session.watched.intersection(members)))
            for session in list(self._watchers.get(user_id, ())):
                if session.user is not None and session.user.id in members:
                    self._ask(session, [user_id])

    def on_closed(self, session: Session) -> None:
        """The session is gone."""
        self._unwatch(session)
        self._waiting.discard(session)

    def _unwatch(self, session: Session) -> None:
        for user_id in session.watched:
            watchers = self._watchers[user_id]
            del watchers[session]
            if not watchers:
                del self._watchers[user_id]
        session.watched = frozenset()
        session.presence.clear()

    def _on_watched(self, session: Session, users: list[UserId], answer: list[Watched] | TrimaranError) -> None:
        if isinstance(answer, TrimaranError):  # presence unknown; chat goes on
            answer = [Watched(user_id, may_see=False) for user_id in users]
        for watched in answer:
            watchers = self._watchers.get(watched.user, {})
            if session not in watchers:
                continue  # closed, or watches others by now
            could_see, watchers[session] = watchers[session], watched.may_see
            if could_see is None:  # the answer to `watch`, which is told in any case and at once
                session.outbox.push(self._state(watched))
            elif could_see != watched.may_see:
                self._tell(session, watched.user, self._state(watched))

    def _state(self, watched: Watched) -> bytes:
        if not watched.may_see:
            return text_frame(presence_json(watched.user, "hidden", 0))
        if self.is_online(watched.user):
            return text_frame(presence_json(watched.user, "online", 0))
        return text_frame(presence_json(watched.user, "offline", watched.last_seen_ms))

    def _tell(self, session: Session, user_id: UserId, frame: bytes) -> None:
        session.presence[user_id] = frame
        self._give(session, self._clock.monotonic_s())

    def _give(self, session: Session, now_s: float) -> None:
        bucket = session.presence_bucket
        if bucket is None:
            bucket = session.presence_bucket = TokenBucket(PRESENCE_FRAMES_PER_S, PRESENCE_FRAMES_PER_S, now_s)
        while session.presence and bucket.take(now_s):
            user_id = next(iter(session.presence))
            if not session.push_hint(session.presence.pop(user_id)):
                self._metrics.shed["presence"] += 1
        if session.presence:
            self._waiting.add(session)
        else:
            self._waiting.discard(session)

    # ---- typing

    def typing(self, user_id: UserId, conversation: Conversation, *, is_on: bool) -> None:
        """Tell the other members, where they are few; never where one has blocked the other."""
        members = conversation.members
        if may_write(members.get(user_id, "")) is not None:
            return
        if len(members) > SMALL_GROUP_MEMBERS or conversation.blocked_by:
            return
        frame = text_frame(typing_json(ConversationId(conversation.id), user_id, is_on=is_on))
        others = (member for member in members if member != user_id)
        for session in self._roster.live_sessions(others):
            if not session.push_hint(frame):
                self._metrics.shed["typing"] += 1
