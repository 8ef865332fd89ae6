"""The SDK with a recorder around its socket: what leaves and what comes is written down as the history format asks.

An acknowledgement is lost now and then: the connection dies before the client hears of it, so the client sends again.
"""

import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from core.history import records
from core.history.recorder import Recorder, body_digest
from tests.harness.people import Person
from trimaran_client import Chat, Message, direct_conversation
from trimaran_client.errors import TransportClosed
from trimaran_client.transport import Transport, dial

LOST_ACKS = 0.02
"""The share of acknowledgements that is lost."""


class Impatient(random.Random):
    """Backs off as others do, but never for long: a run with many faults is to fit into seconds."""

    def uniform(self, a: float, b: float) -> float:
        """Between a and the lower of b and 0.25."""
        return super().uniform(a, min(b, 0.25))


class History:
    """The record of a run, until it is `over`; and what whoever conducts the run waits for."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self.is_over = False
        self.acked = 0
        self.heads: dict[str, int] = {}
        """By conversation: the highest seq acknowledged to anyone."""
        self.on_change: Callable[[], None] = lambda: None

    def record(self, event: records.Event) -> None:
        """Write an event down, unless the run is over."""
        if not self.is_over:
            self._recorder.record(event)

    def saw_ack(self, conversation: str, seq: int) -> None:
        """Somebody was promised this entry."""
        self.acked += 1
        self.heads[conversation] = max(self.heads.get(conversation, 0), seq)
        self.on_change()


class Recorded:
    """One device, recorded."""

    def __init__(self, person: Person, history: History, rng: random.Random) -> None:
        self.person = person
        self.applied: dict[str, int] = {}
        """By conversation: the highest seq that the application was given."""
        self._history = history
        self._rng = rng
        self._connections = 0
        self._sent_to: dict[str, str] = {}
        self._who = {"user": person.id, "device": person.device}

    @asynccontextmanager
    async def dial(self, url: str) -> AsyncIterator[Transport]:
        """The SDK's `dial`, with the recorder in between."""
        async with dial(url) as transport:
            self._connections += 1
            yield _RecordingTransport(self, transport, self._connections)

    async def follow(self, chat: Chat) -> None:
        """Take what comes as an application does: apply it, and read some of it."""
        async for event in chat.events():
            if isinstance(event, Message):
                self._record_applied(event)
                if self._rng.random() < 0.2:
                    chat.mark(event.conversation, read=event.seq)

    def _record_applied(self, message: Message) -> None:
        self._record(records.Applied, conversation=message.conversation, entry=entry_of(msgspec.to_builtins(message)))
        self.applied[message.conversation] = message.seq
        self._history.on_change()

    def _record(self, event: Callable[..., records.Event], **fields: Any) -> None:
        self._history.record(event(at_s=time.monotonic(), **self._who, **fields))

    # ---- the socket's view

    def on_frame_out(self, connection: int, frame: dict[str, Any]) -> None:
        """A frame is about to leave."""
        if frame["type"] == "send":
            conversation = frame.get("conversation") or direct_conversation(self.person.id, frame["to"])
            self._sent_to[frame["client_id"]] = conversation
            self._record(
                records.Sent,
                connection=connection,
                conversation=conversation,
                client_id=frame["client_id"],
                kind=frame.get("kind", "text"),
                body=body_digest(frame.get("body", {})),
                ref=frame.get("ref"),
                retry=frame.get("retry", False),
            )
        elif frame["type"] == "mark":
            marks = {"delivered": frame.get("delivered"), "read": frame.get("read")}
            self._record(records.Marked, conversation=frame["conversation"], **marks)

    def on_frame_in(self, connection: int, frame: dict[str, Any]) -> None:
        """A frame came. Raises: TransportClosed instead of some acknowledgements."""
        match frame["type"]:
            case "welcome":
                self._record(records.Connected, connection=connection, fresh=connection == 1)
            case "synced":
                self._record(records.Synced, connection=connection)
            case "conversations":
                for listed in frame["conversations"]:
                    self._on_listed(listed)
            case "marks":
                for mark in frame["marks"]:
                    self._on_mark(frame["conversation"], mark)
            case "ack":
                self._on_ack(connection, frame)
            case "error" if "client_id" in frame:
                self._on_refused(connection, frame)

    def on_closed(self, connection: int, code: int | None) -> None:
        """The connection is gone."""
        self._record(records.Disconnected, connection=connection, code=code)

    def _on_ack(self, connection: int, ack: dict[str, Any]) -> None:
        if self._rng.random() < LOST_ACKS:
            raise TransportClosed(None, "the answer was lost")
        self._record(
            records.Acked,
            connection=connection,
            conversation=ack["conversation"],
            client_id=ack["client_id"],
            seq=ack["seq"],
            duplicate=ack["duplicate"],
        )
        self._history.saw_ack(ack["conversation"], ack["seq"])

    def _on_refused(self, connection: int, error: dict[str, Any]) -> None:
        client_id = error["client_id"]
        answer = {"client_id": client_id, "code": error["code"]}
        self._record(records.Refused, connection=connection, conversation=self._sent_to[client_id], **answer)

    def _on_listed(self, listed: dict[str, Any]) -> None:
        conversation = listed["conversation"]
        cursor, head = listed["delivered"], listed["head"]
        self._record(records.Listed, conversation=conversation, cursor=cursor, head=head)
        if "peer" in listed:
            self._on_mark(conversation, listed["peer"])

    def _on_mark(self, conversation: str, mark: dict[str, Any]) -> None:
        marks = {"delivered": mark.get("delivered"), "read": mark.get("read")}
        self._record(records.MarksSeen, conversation=conversation, of=mark["user"], **marks)


class _RecordingTransport:
    """A transport of the SDK, watched."""

    def __init__(self, device: Recorded, transport: Transport, connection: int) -> None:
        self._device = device
        self._transport = transport
        self._connection = connection
        self._is_open = True

    async def send(self, text: str) -> None:
        """Written down before the bytes leave."""
        self._device.on_frame_out(self._connection, msgspec.json.decode(text))
        await self._transport.send(text)

    async def receive(self) -> str | bytes:
        """Written down before the SDK decides."""
        try:
            data = await self._transport.receive()
            self._device.on_frame_in(self._connection, msgspec.json.decode(data))
        except TransportClosed as closed:
            self._closed(closed.code)
            raise
        return data

    async def close(self, code: int) -> None:
        """The SDK closes."""
        self._closed(None)
        await self._transport.close(code)

    def _closed(self, code: int | None) -> None:
        if self._is_open:
            self._is_open = False
            self._device.on_closed(self._connection, code)


def entry_of(message: dict[str, Any]) -> records.Entry:
    """An entry of the history format, from a `message` as it comes in a frame or a page."""
    body = message.get("body")
    changes = body if message["kind"] == "member" and body else {}
    return records.Entry(
        seq=message["seq"],
        sender=message.get("sender"),
        client_id=message.get("client_id"),
        kind=message["kind"],
        body=None if body is None else body_digest(body),
        ref=message.get("ref"),
        added=tuple(changes.get("added", ())),
        removed=tuple(changes.get("removed", ())),
    )
