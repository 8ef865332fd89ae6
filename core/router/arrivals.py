"""A device comes online: hello, who it is, what it has missed; and what changes in its list later.

The session is registered first and the listing read after, so that nothing falls between (rule 7): what is appended meanwhile is noted as
`early`. From the moment the listing is there every live entry goes through the session's feed until `synced`.
"""

from collections.abc import Callable
from functools import partial
from typing import Final

from core.base.clock import Clock
from core.base.errors import Close, Rejected, TrimaranError
from core.base.ids import ConversationId, DeviceId
from core.base.limits import REPLAY_EACH_LIMIT, REPLAY_LIMIT_MAX, Limits
from core.base.rates import TokenBucket
from core.base.records import Listed, Person
from core.base.tokens import Claims, TokenExpired
from core.protocol.commands import FrameId, Hello, Renew
from core.protocol.envelope import encode, error_json, listed_json, listing_frames_json
from core.protocol.frames import text_frame
from core.router import since
from core.router.feed import Feed
from core.router.ports import Relay, Tokens
from core.router.sessions import Roster, Row, Session, User

FEATURES: Final = ("replay", "since", "renew", "watch", "typing", "marks", "reactions", "edits", "notes")


class Arrivals:
    """Lets sessions in."""

    def __init__(
        self,
        *,
        clock: Clock,
        limits: Limits,
        node: str,
        tokens: Tokens,
        relay: Relay,
        roster: Roster,
        feed_of: Callable[[Session], Feed],
        on_live: Callable[[Session, User], None],
    ) -> None:
        self._clock: Final = clock
        self._limits: Final = limits
        self._node: Final = node
        self._tokens: Final = tokens
        self._relay: Final = relay
        self._roster: Final = roster
        self._feed_of: Final = feed_of
        self._on_live: Final = on_live
        self._failed: set[User] = set()  # to be listed again at the next tick
        self._welcome_limits: Final = {
            name: getattr(limits, name)
            for name in (
                "sends_per_s",
                "sends_burst",
                "frames_per_s",
                "frames_burst",
                "frame_bytes",
                "body_bytes",
                "server_frame_bytes",
                "devices_per_user",
                "connections_per_user",
                "watched_users",
                "group_members",
                "conversations_per_user",
                "hello_s",
                "heartbeat_s",
                "image_bytes",
                "audio_bytes",
                "video_bytes",
                "file_bytes",
                "quota_bytes",
            )
        }

    # ---- hello

    def verify(self, token: str) -> Claims:
        """Whose token it is. Raises: Rejected (unauthenticated)."""
        return self._tokens.verify(token, self._clock.wall_ms())

    def hello(self, session: Session, hello: Hello) -> None:
        """Answer the first frame: by closing, or later by welcome, listing, replay and `synced`."""
        try:
            claims = self._claims(session, hello)
        except Rejected as error:
            is_expired = isinstance(error, TokenExpired)
            self._refuse(session, hello.id, error, Close.TOKEN_EXPIRED if is_expired else Close.UNAUTHENTICATED)
            return
        session.claims = claims
        for older in self._sessions_of(claims):
            older.outbox.close(Close.REPLACED, "a newer connection of this device")
        others = self._roster.users.get(claims.user)
        if others is not None and len(others.sessions) >= self._limits.connections_per_user:
            open_ones = sum(each.outbox.closing is None for each in others.sessions)
            if open_ones >= self._limits.connections_per_user:
                most = f"a user has at most {self._limits.connections_per_user} connections"
                self._refuse(session, hello.id, Rejected("rate_limited", most), Close.POLICY_VIOLATION)
                return
        user = self._roster.enter(session, claims.user)
        session.sends = user.sends.get(claims.device)  # the device's: a new connection fills no bucket
        if session.sends is None:
            bucket = TokenBucket(self._limits.sends_per_s, self._limits.sends_burst, self._clock.monotonic_s())
            session.sends = user.sends[claims.device] = bucket
        self._relay.arrive(claims.user, claims.device, partial(self._on_arrived, session, hello))

    def _claims(self, session: Session, hello: Hello) -> Claims:
        claims = session.claims if hello.token is None else self.verify(hello.token)
        if claims is None:
            raise Rejected("unauthenticated", "token is missing: an access token is expected", field="token")
        if session.claims is not None and (session.claims.user, session.claims.device) != (claims.user, claims.device):
            raise Rejected("unauthenticated", "token and Authorization are of different devices", field="token")
        if hello.device is not None and hello.device != claims.device:
            raise Rejected("unauthenticated", "device must be the token's", field="device")
        return claims

    def _sessions_of(self, claims: Claims) -> list[Session]:
        user = self._roster.users.get(claims.user)
        return [each for each in user.sessions if each.device == claims.device] if user is not None else []

    def _refuse(self, session: Session, frame_id: FrameId, error: TrimaranError, close_code: int) -> None:
        session.outbox.push(text_frame(error_json(error, frame_id)))
        session.outbox.close(close_code, error.message)

    def _on_arrived(
        self, session: Session, hello: Hello, answer: tuple[Person | None, list[Listed]] | TrimaranError
    ) -> None:
        user = session.user
        if session.is_closed or user is None or session.outbox.closing is not None:
            return
        if isinstance(answer, TrimaranError):
            self._refuse(session, hello.id, answer, Close.OVERLOADED)
            return
        person, listing = answer
        if person is None or not person.is_active:
            error = Rejected("unauthenticated", "this device was signed out, or the account is closed")
            self._refuse(session, hello.id, error, Close.SESSION_REVOKED)
            return
        user.name = person.name
        self._take_over(user, listing)
        session.is_live = True
        session.outbox.push(text_frame(self._welcome(session, hello.id)))
        self._feed(session, hello, listing)
        self._on_live(session, user)

    def _take_over(self, user: User, listing: list[Listed]) -> None:
        for listed in listing:
            user.rows.setdefault(listed.conversation, Row()).merge(listed)
        user.is_listed = True
        changes, user.early_changes = user.early_changes, []
        for change in changes:
            user.rows.setdefault(change.conversation, Row()).change(change)
            user.to_list.add(change.conversation)
        heads, user.early = user.early, {}
        for conversation, head in heads.items():
            row = user.rows.get(conversation)
            if row is not None:
                row.head = max(row.head, head)

    def _feed(self, session: Session, hello: Hello, listing: list[Listed]) -> None:
        user = session.user
        assert user is not None
        feed = self._feed_of(session)
        known = since.known(hello.since)
        digests: list[bytes] = []
        untold = {conversation for conversation, row in user.rows.items() if row.first}
        for listed in listing:
            row = user.rows[listed.conversation]
            if row.is_newer_than(listed):
                continue  # told anew, below
            untold.discard(listed.conversation)
            lacks = listed.delivered < row.last
            told = listed_json(listed)
            digests.append(since.digest(told))
            if lacks or digests[-1] not in known:
                feed.listing.append(told)
            if lacks:
                feed.replay(listed.conversation, listed.delivered, hello.replay_each)
        feed.answer_hello(since.make(digests), min(hello.replay, REPLAY_LIMIT_MAX))
        if not feed.listing:  # one frame all the same: that there is nothing to tell
            session.outbox.push(text_frame(listing_frames_json([], self._limits.server_frame_bytes)[0]))
        for conversation in untold:  # the membership changed after the listing was read
            feed.hold(conversation)
        user.to_list |= untold | session.missed
        feed.step()
        self.relist(user)

    def _welcome(self, session: Session, frame_id: FrameId) -> bytes:
        claims = session.claims
        assert claims is not None
        fields = {
            "type": "welcome",
            "user": claims.user,
            "device": claims.device,
            "session": session.id,
            "node": self._node,
            "heartbeat_s": self._limits.heartbeat_s,
            "expires_ms": claims.expires_ms,
            "time_ms": self._clock.wall_ms(),
            "limits": self._welcome_limits,
            "features": FEATURES,
        }
        if frame_id is not None:
            fields["id"] = frame_id
        return encode(fields)

    def renew(self, session: Session, renew: Renew) -> bytes:
        """A newer token of the same user and device. Raises: Rejected."""
        claims = self.verify(renew.token)
        old = session.claims
        assert old is not None
        if (claims.user, claims.device) != (old.user, old.device):
            raise Rejected("unauthenticated", "token is not of this user and device", field="token")
        if claims.expires_ms > old.expires_ms:
            session.claims = claims
        else:
            claims = old
        return encode({"type": "renewed", "id": renew.id, "expires_ms": claims.expires_ms})

    # ---- later

    def on_tick(self) -> None:
        """Try again what could not be listed."""
        failed, self._failed = self._failed, set()
        for user in failed:
            self.relist(user)

    def relist(self, user: User) -> None:
        """Tell the user's sessions of the conversations in `to_list`, as they stand now; one call at a time per user."""
        for session in user.sessions:
            if not session.is_live:
                session.missed |= user.to_list
        if user.is_relisting or not user.to_list or not user.is_listed:
            return
        sessions = [session for session in user.sessions if session.is_live]
        if not sessions:
            user.to_list.clear()
            return
        conversations = sorted(user.to_list)
        user.to_list.clear()
        user.is_relisting = True
        waiting = {session.device for session in sessions}
        for device in sorted(waiting):
            self._relay.listed(
                user.id, device, conversations, partial(self._on_relisted, user, device, conversations, waiting)
            )

    def _on_relisted(
        self,
        user: User,
        device: DeviceId,
        conversations: list[ConversationId],
        waiting: set[DeviceId],
        listing: list[Listed] | TrimaranError,
    ) -> None:
        waiting.discard(device)
        if isinstance(listing, TrimaranError):
            user.to_list.update(conversations)
            self._failed.add(user)
        else:
            for listed in listing:
                user.rows.setdefault(listed.conversation, Row()).merge(listed)
            for session in user.sessions:
                if session.is_live and session.device == device:
                    self._tell(session, user, conversations, listing)
        if not waiting:
            user.is_relisting = False
            if user.to_list and not isinstance(listing, TrimaranError):
                self.relist(user)

    def _tell(self, session: Session, user: User, conversations: list[ConversationId], listing: list[Listed]) -> None:
        feed = self._feed_of(session)
        for listed in listing:
            cursor = max(listed.delivered, user.rows[listed.conversation].first - 1)
            feed.told(listed.conversation, listed_json(listed), cursor, REPLAY_EACH_LIMIT)
        for conversation in set(conversations).difference(listed.conversation for listed in listing):
            feed.release(conversation)
        feed.step()
