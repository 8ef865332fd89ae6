"""The router: what each frame, answer and tick does. Synchronous and pure; the reactor above it and the links below it do all the waiting.

It wires the parts - arrivals, feeds, owner, delivery, marks, presence - and holds what concerns a connection as such: its limits, its life,
the dispatch of its frames. Between a frame's arrival and the flush at the end of the turn there is no await and no queue between tasks.
"""

from collections.abc import Sequence
from functools import partial
from typing import Final, assert_never

from core.base.clock import Clock
from core.base.errors import Close, Overloaded, Rejected, TrimaranError, not_found
from core.base.ids import (
    ClientId,
    ConversationId,
    DeviceId,
    IdSource,
    SessionId,
    UserId,
    direct_conversation,
    direct_users,
    is_group,
    parse_conversation,
)
from core.base.limits import ABUSE_REFUSALS, FRAMES_HELD_MAX, PULLS_WAITING_MAX, TOKEN_EXPIRY_CHECK_S, Limits
from core.base.metrics import Metrics
from core.base.rates import TokenBucket
from core.base.records import REF_KINDS, Entry, PageQuery, Reader, RowChange, Send
from core.base.timers import TimerWheel
from core.base.tokens import Claims
from core.protocol.bodies import check_body
from core.protocol.commands import (
    KINDS,
    AnyCommand,
    Bye,
    Hello,
    MarkCommand,
    Ping,
    Pull,
    Renew,
    SendCommand,
    Typing,
    Watch,
    decode,
    named,
)
from core.protocol.envelope import behind_frames_json, encode, error_json
from core.protocol.frames import text_frame
from core.protocol.handshake import Accepted, Refused, Request, has_token_in_url, origin_allowed
from core.router.admission import Admission
from core.router.arrivals import Arrivals
from core.router.conversations import Conversation, Reply
from core.router.delivery import Delivery
from core.router.feed import Feed
from core.router.marks import Marks
from core.router.outbox import Outbox
from core.router.owner import Owner
from core.router.ports import Logs, People, Relay, Tokens
from core.router.presence import Presences
from core.router.replies import SessionReply
from core.router.sessions import Roster, Session, User
from core.rules import names as rules

FRAME_RULES: Final = {
    Hello: rules.SESSION,
    Renew: rules.SESSION,
    SendCommand: rules.SEND,
    MarkCommand: rules.MARK,
    Pull: rules.READ,
    Typing: rules.TYPE,
    Watch: rules.WATCH,
    Ping: rules.SESSION,
    Bye: rules.SESSION,
}
"""The rule that guards each frame."""

_NEEDS_LISTING: Final = (SendCommand, MarkCommand, Pull, Typing, Watch)
"""Frames that wait until hello is answered: before that nobody knows what their user may do."""


class Router:
    """One node's router. It is the reactor's application; what does not come from a socket calls the methods under "from elsewhere"."""

    def __init__(
        self,
        *,
        clock: Clock,
        ids: IdSource,
        limits: Limits,
        node: str,
        epoch: int,
        tokens: Tokens,
        logs: Logs,
        relay: Relay,
        people: People,
        metrics: Metrics,
        allowed_origins: frozenset[str] = frozenset(),
    ) -> None:
        self._clock: Final = clock
        self._ids: Final = ids
        self._limits: Final = limits
        self._logs: Final = logs
        self._relay: Final = relay
        self._allowed_origins: Final = allowed_origins
        self.metrics: Final = metrics
        self.roster: Final = Roster()
        now_s = clock.monotonic_s()
        self._handshakes: Final = TokenBucket(limits.handshakes_per_s, max(limits.handshakes_per_s, 1), now_s)
        self._deadlines: Final[TimerWheel[Session]] = TimerWheel(now_s)
        self.owner: Final = Owner(
            clock=clock,
            epoch=epoch,
            logs=logs,
            relay=relay,
            admission=Admission(limits),
            on_committed=self._on_committed,
        )
        self.marks: Final = Marks(clock, relay, self.roster, self.owner, self.metrics)
        self.presence: Final = Presences(clock, limits, people, self.roster, self.metrics)
        self._delivery: Final = Delivery(
            self.roster, self.metrics, feed_of=self._feed_of, on_own_send=self.marks.own_send
        )
        self._arrivals: Final = Arrivals(
            clock=clock,
            limits=limits,
            node=node,
            tokens=tokens,
            relay=relay,
            roster=self.roster,
            feed_of=self._feed_of,
            on_live=self._on_live,
        )

    # ---- the reactor's application

    def on_upgrade(self, request: Request, peer: str) -> Accepted | Refused:
        """Origin, admission, Authorization; no token in the URL, ever."""
        if has_token_in_url(request):
            return Refused(400, "a token in the URL is refused: send it in hello, or as Authorization")
        if not origin_allowed(request.headers.get("origin"), request.headers.get("host"), self._allowed_origins):
            return Refused(403, "this origin is not allowed", "forbidden")
        now_s = self._clock.monotonic_s()
        if not self._handshakes.take(now_s):
            wait_s = 1 + self._ids.random.randrange(5)
            return Refused(503, "too many connections at once", "unavailable", retry_after_s=wait_s)
        authorization = request.headers.get("authorization")
        if authorization is None:
            return Accepted()
        scheme, _, token = authorization.partition(" ")
        try:
            if scheme.lower() != "bearer":
                raise Rejected("unauthenticated", "Authorization must be Bearer")
            return Accepted(self._arrivals.verify(token.strip()))
        except Rejected as error:
            challenge = (("WWW-Authenticate", "Bearer"),)
            return Refused(401, error.message, "unauthenticated", headers=challenge)

    def on_open(self, accepted: Accepted, outbox: Outbox) -> Session:
        """A connection that has not said hello."""
        now_s = self._clock.monotonic_s()
        bucket = TokenBucket(self._limits.frames_per_s, self._limits.frames_burst, now_s)
        session = Session(SessionId(self._ids.uuid7()), outbox, bucket, now_s)
        if isinstance(accepted.context, Claims):
            session.claims = accepted.context
        self._deadlines.add(now_s + self._limits.hello_s, session)
        self.metrics.connections += 1
        return session

    def on_text(self, session: Session, payload: bytes) -> None:
        """A frame from a client. Whatever is wrong with it is answered, and the connection lives."""
        now_s = self._clock.monotonic_s()
        if not session.frames.take(now_s):
            self._on_too_many(session, payload, session.frames.wait_s(now_s))
            return
        if session.abuse and session.frames.is_half_full(now_s):
            session.abuse = 0
        try:
            command = decode(payload)
            if session.user is None:
                self._first(session, command)
            elif session.is_live or not isinstance(command, _NEEDS_LISTING):
                self._dispatch(session, command, now_s)
            else:
                self._hold(session, command, len(payload))
        except TrimaranError as error:
            frame = named(payload)
            session.outbox.push(text_frame(error_json(error, frame.id, frame.client_id)))
            if session.user is None and frame.type != "hello":
                session.outbox.close(Close.NO_HELLO, "the first frame must be hello")

    def on_drained(self, session: Session) -> None:
        """The session can be given more."""
        behind, session.behind = session.behind, None
        if behind:
            self.metrics.behind += 1
            for frame in behind_frames_json(behind.items(), self._limits.server_frame_bytes):
                session.outbox.push(text_frame(frame))
        if session.feed is not None:
            session.feed.step()

    def on_closed(self, session: Session, code: int) -> None:
        """The connection is gone, whatever the code."""
        self.metrics.connections -= 1
        session.is_closed = True
        session.held.clear()
        was_live, session.is_live = session.is_live, False
        self.presence.on_closed(session)
        user = session.user
        if user is None:
            return
        self.roster.leave(session)
        if not user.sessions:
            if was_live or user.left_s is not None or user.is_listed:
                self.presence.on_left(user, is_bye=session.is_leaving)
            else:
                self.roster.forget(user)

    def on_tick(self, now_s: float) -> None:
        """Deadlines: hello, tokens, sends, graces."""
        for session in self._deadlines.take_due(now_s):
            if not session.is_closed and session.outbox.closing is None:
                self._check_deadlines(session, now_s)
        self.owner.on_tick(now_s)
        self.presence.on_tick(now_s)
        self._arrivals.on_tick()

    def end_turn(self) -> None:
        """Hand in what the turn has gathered: one append call for all conversations, one batch of marks."""
        self.owner.end_turn()
        self.marks.end_turn(self._clock.monotonic_s())
        self.presence.end_turn()

    # ---- from elsewhere: through the inbox

    def submit(self, send: Send, reply: Reply) -> None:
        """A send by REST, gRPC or a service. Raises: Overloaded, Unavailable."""
        self.owner.admit(send, reply)

    def revoke(self, user_id: UserId, device: DeviceId) -> None:
        """A device was signed out: close its sockets."""
        user = self.roster.users.get(user_id)
        for session in user.sessions if user is not None else ():
            if session.device == device:
                session.outbox.close(Close.SESSION_REVOKED, "this device was signed out")

    def block_changed(self, one: UserId, other: UserId) -> None:
        """Who of two users blocks the other has changed."""
        self.owner.refresh(direct_conversation(one, other))
        self.presence.on_changed(one)
        self.presence.on_changed(other)

    def privacy_changed(self, user_id: UserId) -> None:
        """What others may know of a user has changed."""
        self.presence.on_changed(user_id)

    def relist(self, user_id: UserId, conversation: ConversationId) -> None:
        """How a user lists a conversation has changed."""
        user = self.roster.users.get(user_id)
        if user is not None and conversation in user.rows:
            user.to_list.add(conversation)
            self._arrivals.relist(user)

    def statistics(self) -> dict[str, int]:
        """Sizes of what the router holds."""
        return {"users": len(self.roster.users), "sessions": self.roster.sessions, **self.owner.statistics()}

    # ---- a connection's life

    def _check_deadlines(self, session: Session, now_s: float) -> None:
        if session.user is None:
            session.outbox.close(Close.NO_HELLO, f"no hello within {self._limits.hello_s} s")
            return
        assert session.claims is not None
        left_s = (session.claims.expires_ms - self._clock.wall_ms()) / 1_000
        if left_s <= 0:
            session.outbox.close(Close.TOKEN_EXPIRED, "the access token has expired: refresh it, and connect again")
        else:
            self._deadlines.add(now_s + min(left_s, TOKEN_EXPIRY_CHECK_S), session)

    def _on_too_many(self, session: Session, payload: bytes, wait_s: float) -> None:
        session.abuse += 1
        if session.abuse > ABUSE_REFUSALS:
            session.outbox.close(Close.ABUSE, "too many frames, and no end")
            return
        frame = named(payload)
        error = Overloaded("too many frames", retry_after_s=round(wait_s + 0.05, 2))
        session.outbox.push(text_frame(error_json(error, frame.id, frame.client_id)))

    def _first(self, session: Session, command: AnyCommand) -> None:
        if not isinstance(command, Hello):
            raise Rejected("unauthenticated", "the first frame must be hello")
        self._arrivals.hello(session, command)

    def _hold(self, session: Session, command: AnyCommand, size: int) -> None:
        if len(session.held) >= FRAMES_HELD_MAX or session.held_bytes + size > self._limits.outbox_bytes:
            raise Overloaded("too many frames before welcome")
        session.held.append(command)
        session.held_bytes += size

    def _on_live(self, session: Session, user: User) -> None:
        """Hello is answered: what came meanwhile is done now, in order."""
        self.presence.on_arrived(user)
        now_s = self._clock.monotonic_s()
        held, session.held = session.held, []
        for command in held:
            try:
                self._dispatch(session, command, now_s)
            except TrimaranError as error:
                client_id = command.client_id if isinstance(command, SendCommand) else None
                session.outbox.push(text_frame(error_json(error, command.id, client_id)))

    def _feed_of(self, session: Session) -> Feed:
        if session.feed is None:
            session.feed = Feed(
                session,
                self._logs,
                bytes_max=self._limits.server_frame_bytes,
                on_done=_end_feed,
                on_replayed=self._on_replayed,
            )
        return session.feed

    def _on_replayed(self, entries: int) -> None:
        self.metrics.replayed += entries

    # ---- frames

    def _dispatch(self, session: Session, command: AnyCommand, now_s: float) -> None:
        match command:
            case SendCommand():
                self._send(session, command, now_s)
            case MarkCommand():
                self._mark(session, command)
            case Pull():
                self._pull(session, command)
            case Typing():
                self._typing(session, command)
            case Watch():
                self.presence.watch(session, [UserId(user) for user in command.users])
            case Ping():
                pong = {"type": "pong", "id": command.id, "time_ms": self._clock.wall_ms()}
                session.outbox.push(text_frame(encode(pong)))
            case Renew():
                session.outbox.push(text_frame(self._arrivals.renew(session, command)))
            case Hello():
                raise Rejected("bad_request", "hello was said already: who you are does not change")
            case Bye():
                session.is_leaving = True
                session.outbox.close(Close.NORMAL, "bye")
            case _:
                assert_never(command)

    def _send(self, session: Session, command: SendCommand, now_s: float) -> None:
        bucket = session.sends
        assert bucket is not None
        assert session.claims is not None
        if not bucket.take(now_s):
            self.metrics.sends["rate_limited"] += 1
            raise Overloaded("too many sends", retry_after_s=round(bucket.wait_s(now_s) + 0.05, 2))
        sender = session.claims.user
        conversation = self._target(session, command, sender)
        kind = KINDS[command.kind]
        if command.ref == 0 and kind in REF_KINDS:
            raise Rejected("bad_request", f"ref is missing: a {kind} is about a message", field="ref")
        body = check_body(kind, command.body, self._limits.body_bytes)
        assert session.user is not None
        row = session.user.rows.get(conversation)
        if command.ref and row is not None and command.ref < row.first:
            raise Rejected("not_found", "ref names no message of this conversation", field="ref")
        client_id = ClientId(command.client_id)
        send = Send(conversation, sender, session.device, client_id, kind, body, command.ref, command.retry)
        self.owner.admit(send, SessionReply(session, command.id, send, self.metrics, self._clock, now_s))

    def _target(self, session: Session, command: SendCommand, sender: UserId) -> ConversationId:
        """The conversation that a send is for. Raises: Rejected."""
        if (command.to is None) == (command.conversation is None):
            raise Rejected("bad_request", "expected conversation or to, one of them", field="conversation")
        if command.to is not None:
            return direct_conversation(sender, UserId(command.to))
        conversation = parse_conversation(command.conversation or "")
        if is_group(conversation):
            # Strangers get no further than this: nothing is loaded for them.
            assert session.user is not None
            if conversation not in session.user.rows:
                raise not_found("conversation")
        elif sender not in direct_users(conversation):
            raise not_found("conversation")
        return conversation

    def _row_of(self, session: Session, text: str) -> tuple[ConversationId, Reader]:
        """A conversation that the session's user may read, and its bounds. Raises: Rejected (not_found)."""
        conversation = parse_conversation(text)
        assert session.user is not None
        reader = session.user.reader(conversation)
        if reader is None:
            raise not_found("conversation")
        return conversation, reader

    def _mark(self, session: Session, command: MarkCommand) -> None:
        conversation, _ = self._row_of(session, command.conversation)
        if command.delivered is None and command.read is None:
            raise Rejected("bad_request", "expected delivered, read, or both", field="delivered")
        assert session.user is not None
        self.marks.mark(session.user, session.device, conversation, command.delivered, command.read)

    def _pull(self, session: Session, command: Pull) -> None:
        conversation, reader = self._row_of(session, command.conversation)
        if (command.after is None) == (command.before is None):
            raise Rejected("bad_request", "expected after or before, one of them", field="after")
        feed = self._feed_of(session)
        if feed.pages_waiting >= PULLS_WAITING_MAX:
            raise Overloaded("too many pulls wait for their answer")
        query = PageQuery(conversation, reader, command.limit, after=command.after, before=command.before)
        feed.page(command.id, query)
        feed.step()

    def _typing(self, session: Session, command: Typing) -> None:
        conversation, reader = self._row_of(session, command.conversation)
        tell = partial(self._on_typing, reader.user, is_on=command.on)
        self.owner.with_loaded(conversation, tell)

    def _on_typing(self, user_id: UserId, conversation: Conversation, *, is_on: bool) -> None:
        self.presence.typing(user_id, conversation, is_on=is_on)

    # ---- entries

    def _on_committed(
        self, conversation: Conversation, entry: Entry, reply: Reply | None, changes: Sequence[RowChange]
    ) -> None:
        sending = reply.session if isinstance(reply, SessionReply) else None
        self._delivery.deliver(conversation, entry, sending, changes)
        if changes or entry.kind in ("member", "group"):
            self._relay.committed((entry,), changes, partial(self._on_rows_changed, conversation, entry, changes))

    def _on_rows_changed(
        self, conversation: Conversation, entry: Entry, changes: Sequence[RowChange], error: TrimaranError | None
    ) -> None:
        """Rows and projection are as of a change: those it concerns are told. (After an error too: the listing reads the log.)"""
        concerned = dict.fromkeys([*conversation.members, *(change.user for change in changes)])
        for user_id in concerned:
            user = self.roster.users.get(user_id)
            if user is not None:
                user.to_list.add(entry.conversation)
                self._arrivals.relist(user)
        self.presence.on_contacts_changed({change.user for change in changes}, concerned)


def _end_feed(session: Session) -> None:
    session.feed = None
