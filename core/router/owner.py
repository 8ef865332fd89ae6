"""The owner of conversations: sends come in, become entries in the log, and go out as pushes and acks.

Per conversation there is one queue and one append in flight (rule 1); all conversations' batches of a turn leave in one call. A send is
looked up by `client_id` when it is admitted and again when its batch is built, before membership is checked. An append that was not heard
of stays open (rule 2): the conversation is claimed again, what is found in the log is pushed and acknowledged, the rest is appended again;
a send whose outcome is open is never dropped. A change of members is a batch of its own, and the rows of those it concerns are durable
before it (rule 10). Ack and push come only after the store said `Appended` (rule 5).

Each claim is made at an epoch of its own, above that of every earlier claim, so that claiming again also fences what is still under way of
an append that was not heard of: what the claim does not find will never be there, and may be decided anew, or refused, for good.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from core.base.clock import Clock
from core.base.errors import DeadlineExceeded, Overloaded, Rejected, TrimaranError, Unavailable
from core.base.ids import ConversationId
from core.base.limits import (
    APPEND_BATCH_ENTRIES_MAX,
    APPEND_ENTRIES_MAX,
    CONVERSATION_IDLE_S,
    CONVERSATIONS_LOADED_MAX,
    REQUEST_DEADLINE_S,
    SENDS_WAITING_MAX,
    SENDS_WAITING_PER_CONVERSATION,
)
from core.base.records import (
    Append,
    Appended,
    Conflict,
    Duplicate,
    Entry,
    Loaded,
    Outcome,
    Refused,
    RowChange,
    Send,
    Sent,
    Unknown,
)
from core.protocol.bodies import same_body
from core.router.admission import Admission, Batch, Step
from core.router.conversations import NO_REPLY, Conversation, Phase, Reply, Waiting
from core.router.ports import Logs, Relay

_CLAIM_BITS: Final = 32
"""An epoch in the store is the owner's epoch, and below it the number of the claim."""

OnCommitted = Callable[[Conversation, Entry, Reply | None, Sequence[RowChange]], None]
"""Is told each entry once it is in the log, in order: the conversation as of it, who gets the ack, and the rows it changed."""


class Owner:
    """The conversations that this node owns. Only the router calls it, in a turn."""

    def __init__(
        self, *, clock: Clock, epoch: int, logs: Logs, relay: Relay, admission: Admission, on_committed: OnCommitted
    ) -> None:
        self._clock: Final = clock
        self._epoch: Final = epoch
        self._logs: Final = logs
        self._relay: Final = relay
        self._admission: Final = admission
        self._on_committed: Final = on_committed
        self._conversations: dict[ConversationId, Conversation] = {}
        self._ready: list[Conversation] = []  # to be looked at before the turn ends
        self._batch: list[Append] = []  # leaves when the turn ends
        self._waiting = 0
        self._claims = 0

    # ---- in

    def admit(self, send: Send, reply: Reply) -> None:
        """Take a send in; its reply comes in this turn or a later one. Raises: Overloaded, Unavailable: it was not taken."""
        conversation = self._get(send.conversation)
        if conversation.is_loaded and self._answer_known(conversation, send, reply):
            return
        if len(conversation.queue) >= SENDS_WAITING_PER_CONVERSATION:
            raise Overloaded("too many sends wait in this conversation")
        if self._waiting >= SENDS_WAITING_MAX:
            raise Unavailable("too many sends wait on this node")
        conversation.queue.append(Waiting(send, reply, self._clock.monotonic_s() + REQUEST_DEADLINE_S))
        self._waiting += 1
        self._look_at(conversation)

    def with_loaded(self, conversation_id: ConversationId, then: Callable[[Conversation], None]) -> None:
        """Call `then` with the conversation once it is loaded: at once if it is, never if it cannot be. For hints.

        Raises: Unavailable when too many are loaded.
        """
        conversation = self._get(conversation_id)
        if conversation.is_loaded and not conversation.is_stale:
            then(conversation)
        elif len(conversation.on_loaded) < SENDS_WAITING_PER_CONVERSATION:
            conversation.on_loaded.append(partial(then, conversation))

    def refresh(self, conversation_id: ConversationId) -> None:
        """Something that loading gathers (who blocks whom) has changed: load it again before the next append or hint."""
        conversation = self._conversations.get(conversation_id)
        if conversation is None:
            return
        if conversation.is_quiet:
            del self._conversations[conversation_id]
        else:
            conversation.is_stale = True

    def end_turn(self) -> None:
        """Build batches for what is ready, and hand in all of them as one call, or a few where a call would be too large."""
        while self._ready:
            ready, self._ready = self._ready, []
            for conversation in ready:
                conversation.is_queued = False
                if conversation.phase is not Phase.IDLE:
                    continue
                if conversation.is_stale:
                    self._load(conversation)
                elif conversation.queue:
                    self._build(conversation)
        if self._batch:
            batch, self._batch = self._batch, []
            for part in _parts(batch):
                self._logs.append(part, self.on_appended)

    def on_tick(self, now_s: float) -> None:
        """Answer those who waited too long, load again what could not be loaded, forget what is idle."""
        for conversation in list(self._conversations.values()):
            if conversation.queue:
                self._expire(conversation, now_s)
            if conversation.phase is Phase.FAILED:
                self._load(conversation)
            if conversation.is_quiet and now_s - conversation.used_s > CONVERSATION_IDLE_S:
                del self._conversations[conversation.id]

    def statistics(self) -> dict[str, int]:
        """Sizes of the tables."""
        return {"conversations_loaded": len(self._conversations), "sends_waiting": self._waiting}

    # ---- loading

    def _get(self, conversation_id: ConversationId) -> Conversation:
        conversation = self._conversations.get(conversation_id)
        now_s = self._clock.monotonic_s()
        if conversation is None:
            if len(self._conversations) >= CONVERSATIONS_LOADED_MAX:
                self._forget_one()
            conversation = self._conversations[conversation_id] = Conversation(conversation_id, now_s)
            self._load(conversation)
        conversation.used_s = now_s
        return conversation

    def _forget_one(self) -> None:
        for conversation in self._conversations.values():  # oldest loaded first
            if conversation.is_quiet:
                del self._conversations[conversation.id]
                return
        raise Unavailable("too many conversations are busy on this node")

    def _load(self, conversation: Conversation) -> None:
        conversation.phase = Phase.LOADING
        conversation.is_stale = False
        self._claims += 1
        conversation.epoch = (self._epoch << _CLAIM_BITS) + self._claims
        self._logs.load(conversation.id, conversation.epoch, partial(self._on_loaded, conversation))

    def _on_loaded(self, conversation: Conversation, loaded: Loaded | TrimaranError) -> None:
        if isinstance(loaded, TrimaranError):
            self._on_load_failed(conversation, loaded)
            return
        senders = {(each.send.sender, each.send.client_id): each.reply for each in reversed(conversation.queue)}
        for entry in conversation.load(loaded):
            # A late append of our own: nobody was told. Who waits for it is answered when the queue is looked at.
            reply = senders.get((entry.sender, entry.client_id))
            self._on_committed(conversation, entry, reply, self._admission.row_changes(conversation, entry))
        for waiting in conversation.queue:
            waiting.is_open = False  # what was under way is in the log now, or never will be
        conversation.phase = Phase.IDLE
        calls, conversation.on_loaded = conversation.on_loaded, []
        if conversation.is_stale:
            conversation.on_loaded = calls
        else:
            for call in calls:
                call()
        self._look_at(conversation)

    def _on_load_failed(self, conversation: Conversation, error: TrimaranError) -> None:
        """Answer those who wait; go on trying while something may be in the log of which nobody was told."""
        is_ours = error.code != "conflict"  # if a greater epoch has it, its owner finds what is ours in the log
        conversation.on_loaded.clear()
        queue = list(conversation.queue)
        conversation.queue.clear()
        kept = [waiting for waiting in queue if waiting.is_open and is_ours]
        conversation.queue.extend(kept)
        self._waiting -= len(queue) - len(kept)
        for waiting in queue:
            if waiting not in kept:
                waiting.reply.refused(error if is_ours else Unavailable("the conversation moved to another owner"))
        if kept or (is_ours and conversation.is_loaded and not isinstance(error, Rejected)):
            conversation.phase = Phase.FAILED
        else:
            conversation.phase = Phase.GONE
            self._conversations.pop(conversation.id, None)

    def _look_at(self, conversation: Conversation) -> None:
        if not conversation.is_queued:
            conversation.is_queued = True
            self._ready.append(conversation)

    # ---- building a batch

    def _build(self, conversation: Conversation) -> None:
        """Take from the queue what can be appended now; ask for what must be known first."""
        queue = conversation.queue
        batch = Batch(self._clock.wall_ms())
        taken: list[Waiting] = []
        while queue and len(taken) < APPEND_ENTRIES_MAX:
            waiting = queue[0]
            is_duplicate = waiting.send.is_retry or not waiting.was_open
            if self._answer_known(conversation, waiting.send, waiting.reply, is_duplicate=is_duplicate):
                self._drop_first(conversation)
                continue
            step = self._admission.decide(conversation, waiting, batch)
            if isinstance(step, TrimaranError):
                self._drop_first(conversation)
                waiting.reply.refused(step)
                continue
            if step is Step.LATER or (step is Step.ALONE and taken):
                break
            self._admission.add(conversation, waiting.send, batch)
            taken.append(waiting)
            self._drop_first(conversation)
            if step is Step.ALONE:
                break
        if taken:
            self._start(conversation, list(zip(taken, batch.entries)))
        elif queue:
            self._ask(conversation)

    def _drop_first(self, conversation: Conversation) -> None:
        conversation.queue.popleft()
        self._waiting -= 1

    def _start(self, conversation: Conversation, batch: list[tuple[Waiting, Entry]]) -> None:
        conversation.in_flight = batch
        self._waiting += len(batch)  # in flight counts as waiting
        conversation.changes = self._admission.row_changes(conversation, batch[0][1])
        if conversation.changes:
            conversation.phase = Phase.PREPARING
            self._relay.prepare(conversation.changes, partial(self._on_prepared, conversation))
        else:
            self._append(conversation)

    def _append(self, conversation: Conversation) -> None:
        conversation.phase = Phase.APPENDING
        entries = tuple(entry for _, entry in conversation.in_flight)
        self._batch.append(Append(conversation.id, conversation.epoch, conversation.head, entries))

    def _on_prepared(self, conversation: Conversation, error: TrimaranError | None) -> None:
        if error is None:
            self._append(conversation)
            return
        self._refuse_in_flight(conversation, error)

    # ---- looking up

    def _ask(self, conversation: Conversation) -> None:
        """Look up what the queue's sends need, all at once, so that a queue of retries costs one round."""
        conversation.phase = Phase.LOOKING
        for waiting in list(conversation.queue)[:APPEND_ENTRIES_MAX]:
            send = waiting.send
            if waiting.is_retry and not waiting.is_found_asked:
                waiting.is_found_asked = True
                conversation.looking += 1
                self._logs.find(
                    send.conversation, send.sender, send.client_id, partial(self._on_found, conversation, waiting)
                )
            if self._admission.needs_target(conversation, waiting) and not waiting.is_target_asked:
                waiting.is_target_asked = True
                conversation.looking += 1
                self._logs.entry(send.conversation, send.ref, partial(self._on_target, conversation, waiting))
        if not conversation.looking:  # all is known by now: look again
            self._go_on(conversation)

    def _on_found(self, conversation: Conversation, waiting: Waiting, found: Entry | TrimaranError | None) -> None:
        if isinstance(found, TrimaranError):
            waiting.error = found
        elif found is None:
            waiting.is_retry = False
        elif found.seq > conversation.head:
            # Rule 3: one's own late append. Reload and push it; the queue is then answered from memory.
            conversation.looking -= 1
            waiting.is_found_asked = False
            if conversation.phase is Phase.LOOKING:
                self._load(conversation)
            return
        else:
            self._take_out(conversation, waiting)
            _answer(waiting.reply, waiting.send, found)
        self._on_looked_up(conversation)

    def _on_target(self, conversation: Conversation, waiting: Waiting, found: Entry | TrimaranError | None) -> None:
        if isinstance(found, TrimaranError):
            waiting.error = found
        else:
            waiting.target = found
            waiting.is_target_known = True
        self._on_looked_up(conversation)

    def _on_looked_up(self, conversation: Conversation) -> None:
        conversation.looking -= 1
        if conversation.looking == 0 and conversation.phase is Phase.LOOKING:
            self._go_on(conversation)

    def _go_on(self, conversation: Conversation) -> None:
        conversation.phase = Phase.IDLE
        if conversation.queue or conversation.is_stale:
            self._look_at(conversation)

    def _take_out(self, conversation: Conversation, waiting: Waiting) -> None:
        if waiting in conversation.queue:
            conversation.queue.remove(waiting)
            self._waiting -= 1

    # ---- out

    def on_appended(self, outcomes: Sequence[Outcome]) -> None:
        """What became of a batch."""
        for outcome in outcomes:
            conversation = self._conversations.get(outcome.conversation)
            assert conversation is not None, outcome.conversation
            assert conversation.phase is Phase.APPENDING, (outcome, conversation.phase)
            match outcome:
                case Appended():
                    self._on_in_log(conversation)
                case Refused():
                    self._refuse_in_flight(conversation, Unavailable(outcome.reason, retry_after_s=2.0))
                case Conflict() if outcome.epoch >> _CLAIM_BITS > self._epoch:
                    self._refuse_in_flight(conversation, Unavailable("the conversation moved to another owner"))
                    self._on_load_failed(conversation, Rejected("conflict", "a greater epoch has claimed it"))
                case Duplicate():
                    self._put_back(conversation, is_open=False)  # looked up next, and then known
                    self._go_on(conversation)
                case Conflict() | Unknown():
                    self._put_back(conversation, is_open=isinstance(outcome, Unknown))
                    self._load(conversation)

    def _on_in_log(self, conversation: Conversation) -> None:
        in_flight, conversation.in_flight = conversation.in_flight, []
        self._waiting -= len(in_flight)
        changes, conversation.changes = conversation.changes, ()
        for waiting, entry in in_flight:
            conversation.commit(entry)
            self._admission.apply(conversation, entry)
            self._on_committed(conversation, entry, waiting.reply, changes)
            changes = ()
            _answer(waiting.reply, waiting.send, entry, is_duplicate=False)
        self._go_on(conversation)

    def _put_back(self, conversation: Conversation, *, is_open: bool) -> None:
        """The sends in flight go to the front of the queue, in their order, to be looked up before they are appended again."""
        for waiting, _ in reversed(conversation.in_flight):
            waiting.ask_anew()
            waiting.is_open = is_open
            waiting.was_open = waiting.was_open or is_open
            conversation.queue.appendleft(waiting)
        conversation.in_flight = []
        conversation.changes = ()

    def _refuse_in_flight(self, conversation: Conversation, error: TrimaranError) -> None:
        """Nothing of this batch was written, and nothing of it is under way."""
        in_flight, conversation.in_flight = conversation.in_flight, []
        conversation.changes = ()
        self._waiting -= len(in_flight)
        for waiting, _ in in_flight:
            waiting.reply.refused(error)
        self._go_on(conversation)

    def _answer_known(self, conversation: Conversation, send: Send, reply: Reply, *, is_duplicate: bool = True) -> bool:
        entry = conversation.sent_as(send.sender, send.client_id)
        if entry is None:
            return False
        _answer(reply, send, entry, is_duplicate=is_duplicate)
        return True

    def _expire(self, conversation: Conversation, now_s: float) -> None:
        for waiting in [each for each in conversation.queue if each.deadline_s <= now_s]:
            reply, waiting.reply = waiting.reply, NO_REPLY
            if not waiting.is_open:
                self._take_out(conversation, waiting)
            reply.refused(DeadlineExceeded("the store did not answer in time"))


def _answer(reply: Reply, send: Send, entry: Entry, *, is_duplicate: bool = True) -> None:
    """Answer a send that is in the log as `entry`: the ack, or `conflict` if it now says something else."""
    is_same = entry.kind == send.kind and entry.ref == send.ref
    if not is_same or not (entry.is_emptied or same_body(entry.body, send.body)):
        reply.refused(Rejected("conflict", "this client_id was used for another message", field="client_id"))
    else:
        reply.sent(Sent(send.conversation, send.client_id, entry.seq, entry.time_ms, is_duplicate))


def _parts(batch: list[Append]) -> list[list[Append]]:
    """The batch in calls of at most APPEND_BATCH_ENTRIES_MAX entries."""
    parts: list[list[Append]] = []
    size = APPEND_BATCH_ENTRIES_MAX
    for append in batch:
        if size + len(append.entries) > APPEND_BATCH_ENTRIES_MAX:
            parts.append([])
            size = 0
        parts[-1].append(append)
        size += len(append.entries)
    return parts
