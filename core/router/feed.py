"""What one session is given at its own pace: the listing and the replay after hello, pages it pulls, conversations that are new to it.

Nothing is made ahead: a step is taken while the outbox is below its low mark, and one read is out at a time. A conversation that is `held` gets
no live entries: the replay reads up to the head that the node knows when it gets there, in order, and then lets go, so that each entry is
given once. What the limits leave over is named in `synced.pending`, and pulled.
"""

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final

from msgspec.structs import replace

from core.base.errors import TrimaranError
from core.base.ids import ConversationId
from core.base.limits import ENVELOPE_BYTES, REPLAY_PAGE_ENTRIES
from core.base.records import Entry, Page, PageQuery
from core.protocol.commands import FrameId
from core.protocol.envelope import (
    behind_frames_json,
    error_json,
    head_json,
    hidden_json,
    listing_frames_json,
    message_json,
    page_frame_json,
    synced_json,
)
from core.protocol.frames import text_frame
from core.router.ports import Logs
from core.router.sessions import Row, Session


class Replay:
    """How much of a conversation is to be replayed: after `cursor`, `left` entries at most."""

    __slots__ = ("conversation", "cursor", "left")

    def __init__(self, conversation: ConversationId, cursor: int, left: int) -> None:
        self.conversation: Final = conversation
        self.cursor = cursor
        self.left = left


class Feed:
    """The work of one session; exists while there is some."""

    __slots__ = (
        "_bytes_max",
        "_is_reading",
        "_left",
        "_logs",
        "_on_done",
        "_on_replayed",
        "_pages",
        "_pending",
        "_replays",
        "_session",
        "_since",
        "_untold",
        "held",
        "listing",
    )

    def __init__(
        self,
        session: Session,
        logs: Logs,
        *,
        bytes_max: int,
        on_done: Callable[[Session], None],
        on_replayed: Callable[[int], None],
    ) -> None:
        self._session: Final = session
        self._logs: Final = logs
        self._bytes_max: Final = bytes_max
        self._on_done: Final = on_done
        self._on_replayed: Final = on_replayed
        self.listing: deque[bytes] = deque()  # encoded conversations that are still to be told
        self.held: set[ConversationId] = set()  # get no live entries: are being replayed, or will be pulled
        # Held until the session is told of them, each with the seqs that were acked to it meanwhile.
        self._untold: dict[ConversationId, set[int]] = {}
        self._pages: deque[tuple[FrameId, PageQuery]] = deque()
        self._replays: dict[ConversationId, Replay] = {}
        self._pending: dict[ConversationId, None] = {}
        self._since: str | None = None  # set while a hello is being answered
        self._left = 0  # entries that the hello may still replay
        self._is_reading = False

    # ---- in

    @property
    def pages_waiting(self) -> int:
        """Pulls that are not answered yet."""
        return len(self._pages)

    def answer_hello(self, since: str, left: int) -> None:
        """`synced` comes when the listing and the replays are through."""
        self._since = since
        self._left = left

    def replay(self, conversation: ConversationId, cursor: int, left: int) -> None:
        """Give the entries after `cursor` up to the head that is known then; live ones after them."""
        self.held.add(conversation)
        self._pending.pop(conversation, None)
        known = self._replays.get(conversation)
        if known is None:
            self._replays[conversation] = Replay(conversation, cursor, left)
        else:
            known.cursor = max(known.cursor, cursor)

    def hold(self, conversation: ConversationId) -> None:
        """The conversation is new to the session, which must be told of it before its first entry; `told` goes on."""
        self.held.add(conversation)
        self._untold.setdefault(conversation, set())

    def acked(self, conversation: ConversationId, seq: int) -> None:
        """The session has its own entry by the ack, which no replay repeats where it is next."""
        if conversation in self._untold:
            self._untold[conversation].add(seq)

    def told(self, conversation: ConversationId, told: bytes, cursor: int, left: int) -> None:
        """Tell of a conversation; if it was new, then replay what comes after `cursor`."""
        self.listing.append(told)
        own = self._untold.pop(conversation, None)
        if own is not None:
            while cursor + 1 in own:
                cursor += 1
            self.replay(conversation, cursor, left)

    def release(self, conversation: ConversationId) -> None:
        """There is nothing to tell of a conversation after all."""
        self._untold.pop(conversation, None)
        if conversation not in self._replays and conversation not in self._pending:
            self.held.discard(conversation)

    def page(self, frame_id: FrameId, query: PageQuery) -> None:
        """Answer a pull."""
        self._pages.append((frame_id, query))

    def lets_through(self, conversation: ConversationId, seq: int) -> bool:
        """Whether a live entry may be pushed now. If not, the feed gives it, in order, or tells of it."""
        if conversation in self.held:
            return False
        if self._since is not None:  # its conversation may not be told yet: behind all others
            self.replay(conversation, seq - 1, REPLAY_PAGE_ENTRIES)
            return False
        return True

    # ---- at the session's pace

    def step(self) -> None:
        """Go on as far as the outbox and the reads allow. Called after each addition, and when the outbox has drained."""
        session = self._session
        outbox = session.outbox
        while not self._is_reading and outbox.closing is None:
            if outbox.size > outbox.low_bytes:
                outbox.wants_drain = True
                return
            if self.listing:
                self._list()
            elif self._pages:
                frame_id, query = self._pages.popleft()
                self._is_reading = True
                self._logs.page(query, partial(self._on_page, frame_id, query))
            elif (replay := self._next_replay()) is not None:
                self._read(replay)
            else:
                self._finish()
                return

    def _list(self) -> None:
        """One frame of the listing."""
        items: list[bytes] = []
        size = 0
        while self.listing and (not items or size + len(self.listing[0]) < self._bytes_max // 2):
            items.append(self.listing.popleft())
            size += len(items[-1])
        for frame in listing_frames_json(items, self._bytes_max):
            self._session.outbox.push(text_frame(frame))

    def _next_replay(self) -> Replay | None:
        """The oldest one, but of a conversation whose membership began anew and is not told yet: that goes on when it is."""
        return next((each for each in self._replays.values() if each.conversation not in self._untold), None)

    def _read(self, replay: Replay) -> None:
        conversation = replay.conversation
        row = self._row(conversation)
        replay.cursor = max(replay.cursor, row.first - 1)  # a membership may have begun anew
        if replay.cursor >= row.last:
            del self._replays[conversation]
            self.held.discard(conversation)
            return
        limit = min(replay.left, self._left if self._since is not None else replay.left, REPLAY_PAGE_ENTRIES)
        if limit <= 0:
            self._give_up(replay)
            return
        self._is_reading = True
        self._logs.read(conversation, replay.cursor, row.last, limit, partial(self._on_read, replay))

    def _row(self, conversation: ConversationId) -> Row:
        assert self._session.user is not None
        return self._session.user.rows[conversation]

    def _give_up(self, replay: Replay) -> None:
        """Nothing is lost: the client is told the head and pulls."""
        del self._replays[replay.conversation]
        self._pending[replay.conversation] = None

    def _on_read(self, replay: Replay, entries: list[Entry] | TrimaranError) -> None:
        self._is_reading = False
        session = self._session
        if session.is_closed:
            return
        if isinstance(entries, TrimaranError) or not entries:
            self._give_up(replay)
        else:
            assert session.user is not None
            row = self._row(replay.conversation)
            for entry in entries:
                if entry.seq <= replay.cursor or entry.seq < row.first:
                    continue  # a membership began anew while it was read
                if entry.hidden_from == session.user.id:
                    session.outbox.push(text_frame(hidden_json(entry.conversation, entry.seq)))
                else:
                    session.outbox.push(text_frame(message_json(entry)))
            replay.cursor = max(replay.cursor, entries[-1].seq)
            replay.left -= len(entries)
            self._left -= len(entries)
            self._on_replayed(len(entries))
        self.step()

    def _on_page(self, frame_id: FrameId, query: PageQuery, page: Page | TrimaranError) -> None:
        self._is_reading = False
        if self._session.is_closed:
            return
        assert self._session.user is not None
        reader = self._session.user.reader(query.conversation)
        if reader is not None and reader != query.reader:  # the membership changed while the page was read
            self._pages.appendleft((frame_id, replace(query, reader=reader)))
            self.step()
            return
        if isinstance(page, TrimaranError):
            frame = error_json(page, frame_id)
        else:
            frame = page_frame_json(page, frame_id, newest_first=query.before is not None, bytes_max=self._bytes_max)
        self._session.outbox.push(text_frame(frame))
        self.step()

    def _finish(self) -> None:
        """Tell what was left over, and with a hello that this is all: from here on entries are live."""
        session = self._session
        session.outbox.wants_drain = False
        heads = [(each, self._row(each).last) for each in self._pending]
        packed: list[bytes] = []
        if self._since is not None:
            room = self._bytes_max - len(self._since) - ENVELOPE_BYTES
            while heads and room > 0:
                packed.append(head_json(heads.pop(0)))
                room -= len(packed[-1]) + 1
        for frame in behind_frames_json(heads, self._bytes_max):
            session.outbox.push(text_frame(frame))
        if self._since is not None:
            session.outbox.push(text_frame(synced_json(self._since, packed)))
        self._since = None
        self._pending.clear()
        self.held.intersection_update(self._untold)
        if not self._untold:
            self._on_done(session)
