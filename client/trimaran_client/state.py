"""The client without its socket: text frames in; events, outcomes and text frames out. Pure and synchronous.

Time comes as an argument, random numbers from the `random.Random` given, so that a run can be repeated bit for bit.
The caller (`chat.py`, or a simulation) makes the connections, hands over what they bring, sends what `take_frames`
gives, and calls `on_timer` when `next_timer_s` says so. After any call there may be frames, events and outcomes to
take.

The life of a connection: `on_connected` (hello) - welcome - conversations, messages, ... - synced - `on_disconnected`.
Marks go out from welcome on; sends and pulls wait for synced, because until then entries arrive by themselves.
"""

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from math import inf
from types import MappingProxyType
from typing import assert_never

import msgspec

from trimaran_client import limits
from trimaran_client.backoff import Again, Over, Reconnecting
from trimaran_client.commands import Bye, Hello, Ping, Renew, TypingCommand, Watch
from trimaran_client.conversation import Conversation
from trimaran_client.errors import ChatError, OutboxInUse, Rejected
from trimaran_client.events import Disconnected, Event, SendFailed
from trimaran_client.frames import (
    Ack,
    BadFrame,
    Behind,
    Conversations,
    ErrorFrame,
    Head,
    Marks,
    Message,
    Moved,
    Notification,
    Page,
    Pong,
    Presence,
    Renewed,
    ServerFrame,
    Synced,
    Typing,
    Welcome,
    decode,
)
from trimaran_client.inbox import Inbox
from trimaran_client.outbox import OutboxItem
from trimaran_client.outgoing import Outcome, Outgoing
from trimaran_client.requests import CatchUpAsked, PageAsked, PageWanted, RenewAsked, SendAsked


class Phase(Enum):
    """Where the connection is in its life."""

    OFFLINE = auto()
    GREETING = auto()
    REPLAYING = auto()
    SYNCED = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How this client behaves."""

    auto_mark: bool = True
    """Whether what the application took is marked delivered."""
    replay: int | None = None
    """Entries replayed at most after each hello, in all and (`replay_each`) per conversation; None: the server decides."""
    replay_each: int | None = None
    events_max: int = limits.EVENTS_MAX


class ClientState:
    """All that a client knows and decides."""

    def __init__(
        self,
        rng: random.Random,
        options: Options | None = None,
        *,
        outbox: Iterable[OutboxItem] = (),
        owner: str | None = None,
    ) -> None:
        """`outbox` holds the messages of an earlier run, and `owner` is the user who wrote them."""
        self._options = options or Options()
        self.phase = Phase.OFFLINE
        self.welcome: Welcome | None = None
        """The last one."""
        self.fatal: ChatError | None = None
        """Set when this client must not go on."""
        self.moved: Moved | None = None
        """Set when the server wants this client elsewhere, until `on_connected`."""
        self.is_paused = False
        self.bad_frames = 0

        self._owner = owner
        self._inbox = Inbox(rng, auto_mark=self._options.auto_mark, events_max=self._options.events_max)
        self._out = Outgoing(rng, self._inbox, outbox, owner)
        self._reconnecting = Reconnecting(rng)

        self._watched: tuple[str, ...] = ()
        self._since: str | None = None
        self._heartbeat_s = limits.HEARTBEAT_S
        self._heard_s = -inf
        self._pinged_s: float | None = None

    @property
    def conversations(self) -> Mapping[str, Conversation]:
        """What is known of each conversation, by id."""
        return MappingProxyType(self._inbox.conversations)

    @property
    def user(self) -> str | None:
        """Who this client is; None until that is known."""
        return self._owner

    @property
    def body_bytes_max(self) -> float:
        """The greatest body that the server takes; infinity until it has said so."""
        return self._out.rates.body_bytes

    @property
    def unsent(self) -> int:
        """Messages that wait to be acknowledged."""
        return len(self._out.outbox)

    def statistics(self) -> dict[str, int]:
        """Counts for a look from outside."""
        return {
            "conversations": len(self._inbox.conversations),
            "events_waiting": len(self._inbox.events),
            "events_shed": self._inbox.events.shed,
            "outbox": len(self._out.outbox),
            "unanswered": len(self._out.requests),
            "behind": self._inbox.behind,
            "bad_frames": self.bad_frames,
        }

    # --- the connection ---

    def on_connected(self, token: str, now_s: float) -> None:
        """A connection is open, in place of the earlier one if there was one (`moved`)."""
        self._forget_connection()
        self.phase = Phase.GREETING
        self._heard_s = now_s
        options = self._options
        self._out.urgent.append(
            Hello(token=token, since=self._since, replay=options.replay, replay_each=options.replay_each)
        )

    def on_disconnected(self, code: int | None, reason: str, now_s: float) -> Again | Over:
        """The connection ended; says what to do."""
        self._forget_connection()
        plan = self._reconnecting.on_closed(code, reason, now_s)
        if isinstance(plan, Again):
            self._inbox.events.put(Disconnected(code, reason, plan.delay_s))
        return plan

    def on_dial_failed(self, status: int | None, reason: str, retry_after_s: float | None) -> Again | Over:
        """No connection came about; says what to do."""
        return self._reconnecting.on_dial_failed(status, reason, retry_after_s)

    def _forget_connection(self) -> None:
        self.phase = Phase.OFFLINE
        self.moved = None
        self.is_paused = False
        self._pinged_s = None
        self._inbox.on_disconnected()
        self._out.on_disconnected()

    # --- frames that came ---

    def on_text(self, data: str | bytes, now_s: float) -> None:
        """A text frame came."""
        self._heard_s = now_s
        self._pinged_s = None
        try:
            frame = decode(data)
        except BadFrame:
            # Nothing is lost by leaving it out: a missing entry shows as a gap, and is pulled.
            self.bad_frames += 1
            return
        if frame is not None and (self.phase is not Phase.GREETING or isinstance(frame, Welcome | ErrorFrame)):
            self._on_frame(frame, now_s)

    def _on_frame(self, frame: ServerFrame, now_s: float) -> None:
        match frame:
            case Message():
                self._inbox.on_message(frame, now_s)
            case Ack():
                self._on_ack(frame, now_s)
            case Page():
                self._on_page(frame, now_s)
            case Welcome():
                self._on_welcome(frame, now_s)
            case Conversations(conversations=records):
                self._inbox.on_listed(records, now_s)
            case Synced():
                self._on_synced(frame, now_s)
            case Behind(conversations=heads):
                self._inbox.on_heads(heads, now_s)
            case Marks():
                self._inbox.on_marks(frame)
            case ErrorFrame():
                self._on_error(frame, now_s)
            case Moved():
                self.moved = frame
            case Renewed(id=request):
                self._out.requests.on_answer(request)
            case Typing() | Presence() | Notification():
                self._inbox.events.put(frame)
            case Pong():
                pass
            case _:
                assert_never(frame)

    def _on_welcome(self, welcome: Welcome, now_s: float) -> None:
        if self._owner not in (None, welcome.user):
            self.fatal = OutboxInUse(f"the outbox is {self._owner}'s, and the token is {welcome.user}'s")
            return
        self.welcome, self._owner = welcome, welcome.user
        self.phase = Phase.REPLAYING
        self._out.outbox.set_user(welcome.user)
        self._inbox.on_welcome(welcome.user, now_s)
        self._out.rates.use(welcome.limits)
        self._heartbeat_s = welcome.heartbeat_s or limits.HEARTBEAT_S
        if self._watched:
            self._out.hints["watch"] = Watch(self._watched)
        self._inbox.events.put(welcome)

    def _on_synced(self, synced: Synced, now_s: float) -> None:
        self.phase = Phase.SYNCED
        self._since = synced.since
        self._reconnecting.on_synced(now_s)
        self._inbox.on_synced(synced.pending, now_s)
        self._inbox.events.put(synced)

    def _on_ack(self, ack: Ack, now_s: float) -> None:
        asked = self._out.requests.on_answer(ack.id)
        client_id = ack.client_id or (asked.client_id if isinstance(asked, SendAsked) else "")
        item = self._out.outbox.on_acked(client_id)
        if item is None:
            # Acknowledged before: what the entry says is no longer known here, so it must be pulled if it is missing.
            self._inbox.on_heads([Head(ack.conversation, ack.seq)], now_s)
            return
        self._out.outcomes.append(Outcome(client_id, ack))
        assert self.welcome is not None
        own = Message(
            seq=ack.seq,
            conversation=ack.conversation,
            kind=item.kind,
            sender=self.welcome.user,
            device=self.welcome.device,
            client_id=client_id,
            body=msgspec.json.decode(item.body),
            ref=item.ref,
            time_ms=ack.time_ms,
        )
        self._inbox.on_own(own, now_s)

    def _on_page(self, page: Page, now_s: float) -> None:
        asked = self._out.requests.on_answer(page.id)
        if isinstance(asked, CatchUpAsked):
            self._inbox.on_caught_up(asked.conversation, page, now_s)
        elif isinstance(asked, PageAsked):
            wanted = self._out.pages.remove(asked.ticket)
            if wanted is not None:
                self._out.outcomes.append(Outcome(asked.ticket, self._inbox.dated(page, wanted.conversation)))

    def _on_error(self, frame: ErrorFrame, now_s: float) -> None:
        error = Rejected(frame.code, frame.message, field=frame.field, retry_after_s=frame.retry_after_s)
        asked = self._out.requests.on_answer(frame.id)
        if asked is None and frame.client_id is not None and frame.client_id in self._out.outbox:
            asked = SendAsked(frame.client_id)
        self._out.on_refused(asked, error, now_s)

    # --- what the application asks for ---

    def send(self, item: OutboxItem) -> None:
        """Takes a message, to be transmitted as soon as its turn comes; the outcome's key is its `client_id`.

        Raises:
            OutboxFull: too many wait.
        """
        self._out.outbox.put(item)

    def pull(self, conversation: str, *, after: int | None, before: int | None, limit: int | None) -> int:
        """Asks for a page; the outcome's key is the ticket returned. It moves no cursor."""
        ticket = self._out.requests.new_id()
        self._out.pages.put(ticket, PageWanted(conversation, after, before, limit))
        return ticket

    def cancel_pull(self, ticket: int) -> None:
        """Nobody waits for that page any more."""
        self._out.pages.remove(ticket)

    def mark(self, conversation: str, *, delivered: int | None = None, read: int | None = None, now_s: float) -> None:
        """Raises the marks; what was not applied yet is told when it is.

        Raises:
            Rejected: `not_found`.
        """
        self._inbox.mark(conversation, delivered or 0, read or 0, now_s)

    def typing(self, conversation: str, on: bool) -> None:
        """Says that this user writes; dropped while there is no connection."""
        if self._is_welcome:
            self._out.hints[f"typing {conversation}"] = TypingCommand(conversation, on)

    def watch(self, users: Iterable[str]) -> None:
        """Whose presence is wanted, on this connection and later ones."""
        self._watched = tuple(users)
        if self._is_welcome:
            self._out.hints["watch"] = Watch(self._watched)

    def renew(self, token: str, now_s: float) -> None:
        """Shows a new token to the live connection, if there is one."""
        if self._is_welcome:
            self._out.urgent.append(Renew(self._out.requests.ask(RenewAsked(), now_s), token))

    def say_bye(self) -> None:
        """The last frame of this client."""
        self._forget_connection()
        self._out.urgent.append(Bye())

    @property
    def _is_welcome(self) -> bool:
        return self.phase in (Phase.REPLAYING, Phase.SYNCED)

    # --- what the application takes ---

    @property
    def has_events(self) -> bool:
        """Whether `take_event` gives one."""
        return len(self._inbox.events) > 0

    def take_event(self) -> Event | None:
        """The next event, or None. An entry counts as given once it is settled."""
        return self._inbox.take_event()

    def settle(self, event: Event, now_s: float) -> None:
        """The application is done with an event that it took."""
        if isinstance(event, Message):
            self._inbox.settle(event, now_s)

    def take_outcomes(self) -> list[Outcome]:
        """What became of sends and pulls since the last call."""
        outcomes, self._out.outcomes = self._out.outcomes, []
        return outcomes

    def tell_failed(self, client_id: str, error: Rejected) -> None:
        """Nobody waits for this send: its failure becomes an event."""
        self._inbox.events.put(SendFailed(client_id, error))

    def take_frames(self, now_s: float) -> list[str]:
        """The text frames to send now, in this order, within the server's rates."""
        return self._out.take_frames(now_s, is_synced=self.phase is Phase.SYNCED)

    # --- time ---

    @property
    def may_pause(self) -> bool:
        """Whether the socket need not be read: the application is slow, and waits for nothing from the server.

        Not before synced: somebody may wait for that, and the replay that finds no room can be pulled.
        """
        return self.phase is Phase.SYNCED and self._inbox.events.is_full and not self._out.is_waiting

    def pause(self) -> None:
        """The socket is not read for a while: silence means nothing."""
        self.is_paused = True

    def resume(self, now_s: float) -> None:
        """The socket is read again."""
        if self.is_paused:
            self.is_paused = False
            self._heard_s = now_s
            self._out.requests.postpone(now_s)

    def on_timer(self, now_s: float) -> bool:
        """Time has passed. False when the connection is dead and must be closed."""
        if self.phase is Phase.OFFLINE or self.is_paused:
            return True
        while (asked := self._out.requests.pop_expired(now_s)) is not None:
            self._out.on_refused(asked, Rejected("unavailable", f"no answer in {limits.ANSWER_S:g} s"), now_s)
        if now_s < self._silence_s():
            return True
        if self.phase is not Phase.SYNCED or self._pinged_s is not None:
            return False
        self._pinged_s = now_s
        self._out.urgent.append(Ping(self._out.requests.new_id()))
        return True

    def _silence_s(self) -> float:
        """Until when nothing need come."""
        if self._pinged_s is not None:
            return self._pinged_s + limits.PONG_S
        if self.phase is Phase.SYNCED:
            return self._heard_s + self._heartbeat_s
        return self._heard_s + limits.SILENCE_BEFORE_SYNCED_S

    def next_timer_s(self, now_s: float) -> float:
        """When `on_timer` and `take_frames` have something to do, if nothing happens before."""
        next_s = self._out.next_s(now_s, is_synced=self.phase is Phase.SYNCED)
        if self.phase is Phase.OFFLINE or self.is_paused:
            return next_s
        return min(next_s, self._silence_s(), self._out.requests.next_s())
