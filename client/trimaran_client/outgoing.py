"""What goes out, within the server's rates: hints, sends, pulls and marks; and what became of them. Pure."""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from math import inf
from typing import assert_never

from trimaran_client import limits
from trimaran_client.backoff import full_jitter_s
from trimaran_client.commands import Command, Pull, Send, encode
from trimaran_client.errors import Rejected
from trimaran_client.events import ServerComplained
from trimaran_client.frames import Ack, Page
from trimaran_client.inbox import Inbox
from trimaran_client.outbox import TRANSIENT, Outbox, OutboxItem
from trimaran_client.rates import Rates
from trimaran_client.requests import Asked, CatchUpAsked, PageAsked, PagesWanted, RenewAsked, Requests, SendAsked


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a send (`key` is its client_id) or of a page (`key` is its ticket)."""

    key: str | int
    result: Ack | Page | Rejected


class Outgoing:
    """Everything that waits to be sent or answered."""

    def __init__(self, rng: random.Random, inbox: Inbox, outbox: Iterable[OutboxItem], owner: str | None) -> None:
        self.outbox = Outbox(owner)
        for item in outbox:
            # An earlier run may have given it to a socket just before it ended.
            item.was_sent = True
            self.outbox.put(item)
        self.requests = Requests()
        self.pages = PagesWanted()
        self.rates = Rates()
        self.outcomes: list[Outcome] = []
        self.urgent: list[Command] = []
        """Neither paced nor held back: hello, renew, ping, bye."""
        self.hints: dict[str, Command] = {}
        """The newest of its kind only: typing by conversation, and the list of the watched."""
        self._rng = rng
        self._inbox = inbox

    @property
    def is_waiting(self) -> bool:
        """Whether an answer of the server is wanted."""
        return bool(self.requests or self.outbox or self.pages)

    def on_disconnected(self) -> None:
        """Answers will not come any more; what is still wanted is asked for on the next connection."""
        self.urgent.clear()
        self.hints.clear()
        self.outbox.on_disconnected()
        for asked in self.requests.take_all():
            if isinstance(asked, PageAsked):
                self.pages.again(asked.ticket, -inf)

    def on_refused(self, asked: Asked | None, error: Rejected, now_s: float) -> None:
        """A request was answered with an error; None: no request of ours."""
        retry_s = now_s + (error.retry_after_s or 0.0) + full_jitter_s(0, self._rng)
        match asked:
            case SendAsked(client_id):
                if self.outbox.on_refused(client_id, error.code, retry_s) is not None:
                    self.outcomes.append(Outcome(client_id, error))
            case PageAsked(ticket):
                if error.code in TRANSIENT:
                    self.pages.again(ticket, retry_s)
                elif self.pages.remove(ticket):
                    self.outcomes.append(Outcome(ticket, error))
            case CatchUpAsked(name):
                self._inbox.on_catch_up_refused(name, error.retry_after_s, now_s)
            case RenewAsked() | None:
                self._inbox.events.put(ServerComplained(error))
            case _:
                assert_never(asked)

    def take_frames(self, now_s: float, *, is_synced: bool) -> list[str]:
        """The text frames to send now; sends and pulls wait for `is_synced`."""
        frames = [encode(command) for command in self.urgent]
        self.urgent.clear()
        rate = self.rates.frames
        while self.hints and rate.take(now_s):
            frames.append(encode(self.hints.pop(next(iter(self.hints)))))
        while is_synced and self._next_send_s(now_s) <= now_s and rate.take(now_s):
            self._add_send(frames, now_s)
        while is_synced and self._next_pull_s() <= now_s and rate.take(now_s):
            self._add_pull(frames, now_s)
        while self._inbox.next_mark_s() <= now_s and rate.take(now_s):
            mark = self._inbox.pop_mark(now_s)
            if mark is not None:
                frames.append(encode(mark))
        return frames

    def next_s(self, now_s: float, *, is_synced: bool) -> float:
        """When `take_frames` has something, if nothing happens before."""
        if self.urgent:
            return now_s
        next_s = now_s if self.hints else self._inbox.next_mark_s()
        if is_synced:
            next_s = min(next_s, self._next_send_s(now_s), self._next_pull_s())
        return next_s if next_s == inf else max(next_s, self.rates.frames.next_s(now_s))

    def _next_send_s(self, now_s: float) -> float:
        next_s = self.outbox.next_s()
        return next_s if next_s == inf else max(next_s, self.rates.sends.next_s(now_s))

    def _next_pull_s(self) -> float:
        return min(self.pages.next_s(), self._inbox.next_catch_up_s())

    def _add_send(self, frames: list[str], now_s: float) -> None:
        item = self.outbox.pop_ready(now_s)
        assert item is not None
        send = Send(
            id=self.requests.new_id(),
            client_id=item.client_id,
            conversation=item.conversation,
            to=item.to,
            kind=item.kind,
            body=item.body,
            ref=item.ref,
            retry=item.was_sent,
        )
        frame = encode(send)
        if len(frame.encode()) > self.rates.frame_bytes:
            # The server would close the connection (1009), and the next one, and the next.
            error = Rejected("too_large", f"the frame has more than {self.rates.frame_bytes} bytes")
            self.on_refused(SendAsked(item.client_id), error, now_s)
            return
        self.requests.ask(SendAsked(item.client_id), now_s, send.id)
        self.rates.sends.take(now_s)
        self.outbox.on_transmitted(item)
        frames.append(frame)

    def _add_pull(self, frames: list[str], now_s: float) -> None:
        wanted = self.pages.pop(now_s)
        if wanted is not None:
            ticket, page = wanted
            frames.append(encode(page.command(self.requests.ask(PageAsked(ticket), now_s))))
            return
        conversation = self._inbox.pop_catch_up(now_s)
        if conversation is not None:
            request = self.requests.ask(CatchUpAsked(conversation.id), now_s)
            pull = Pull(id=request, conversation=conversation.id, after=conversation.cursor, limit=limits.PULL_LIMIT)
            frames.append(encode(pull))
