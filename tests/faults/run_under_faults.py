"""A run: ten people in five conversations write a hundred messages a second while their server dies again and again.

The SDK's clients are recorded, the checker of `trimaran check` judges. Moments are drawn from a seed, but the processes
are real: a run is not repeatable, its history is kept.
"""

import random
import time
from collections.abc import Callable
from io import StringIO
from itertools import count
from pathlib import Path

import trio

from core.history import checker, records, report
from core.history.recorder import Recorder
from core.history.verdict import Verdict
from tests.faults.recorded import History, Impatient, Recorded, entry_of
from tests.harness.people import Person, Refused, register
from tests.harness.server import Server
from trimaran_client import Chat, Rejected, open_chat

PEOPLE = 10
DIRECT = ((0, 1), (2, 3), (4, 5))
GROUPS = (range(8), range(4, 10))
SENDS_PER_S = 100
ACKS_BETWEEN_FAULTS = range(100, 300)
SETTLE_S = 12.0

Fault = Callable[[Server], None]
"""Ends the process of a server."""


class Run:
    """One run on one server, which runs already."""

    def __init__(self, server: Server, folder: Path, seed: int) -> None:
        self.path = folder / "history.jsonl"
        self.acks_per_s: list[float] = []
        """While the server was up, before each fault."""
        self._server = server
        self._rng = random.Random(seed)
        self._people = [register(server.url, f"person{number}") for number in range(PEOPLE)]
        self._members = self._make_conversations()
        self._devices: list[Recorded] = []
        self._chats: list[Chat] = []
        self._is_writing = True
        self._changed = trio.Event()

    def _make_conversations(self) -> dict[str, list[Person]]:
        people = self._people
        conversations = {people[one].direct(people[other]): [people[one], people[other]] for one, other in DIRECT}
        for numbers in GROUPS:
            owner, *others = members = [people[number] for number in numbers]
            body = {"name": "a group", "members": [{"user": other.id} for other in others]}
            conversations[owner.post("/group-service/groups", body)["conversation"]] = members
        return conversations

    async def judge(
        self, fault: Fault, faults: int, *, acks: range = ACKS_BETWEEN_FAULTS, settle_s: float = SETTLE_S
    ) -> Verdict:
        """Let them write, with so many faults in between; wait until all have everything; check the history."""
        with self.path.open("wb") as file:
            self._history = History(Recorder(file))
            self._history.on_change = self._on_change
            async with trio.open_nursery() as nursery:
                for person in self._people:
                    await nursery.start(self._take_part, person)
                for _ in range(faults):
                    await self._wait_for_acks(acks)
                    await trio.sleep(self._rng.uniform(0, 0.05))
                    self._record(records.Crash(at_s=time.monotonic()))
                    await trio.to_thread.run_sync(fault, self._server)
                    await trio.to_thread.run_sync(self._server.start)
                self._record(records.Healed(at_s=time.monotonic()))
                await self._wait_for_acks(acks)
                self._is_writing = False
                with trio.move_on_after(settle_s):
                    await self._wait_until(self._is_settled)
                self._record(records.Ended(at_s=time.monotonic()))
                self._read_everything()
                self._history.is_over = True
                nursery.cancel_scope.cancel()
        return checker.check(report.Files([str(self.path)]))

    def report(self) -> str:
        """What `trimaran check` says."""
        out = StringIO()
        report.check([self.path], out)
        return out.getvalue()

    # ---- the clients

    async def _take_part(self, person: Person, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        device = Recorded(person, self._history, random.Random(self._rng.random()))
        interval_s = sum(map(len, self._members.values())) / SENDS_PER_S
        opening = open_chat(person.url, token=person.access_token, dial=device.dial, rng=Impatient(self._rng.random()))
        async with opening as chat, trio.open_nursery() as nursery:
            self._devices.append(device)
            self._chats.append(chat)
            nursery.start_soon(device.follow, chat)
            for conversation, members in self._members.items():
                if person in members:
                    rng = random.Random(self._rng.random())
                    nursery.start_soon(self._write, chat, conversation, interval_s, rng)
            task_status.started()

    async def _write(self, chat: Chat, conversation: str, interval_s: float, rng: random.Random) -> None:
        """One message in each interval, the next after the acknowledgement of the one before."""
        own: list[int] = []
        due_s = trio.current_time() + rng.uniform(0, interval_s)
        for number in count(1):
            await trio.sleep_until(due_s)
            due_s = max(due_s + interval_s, trio.current_time())
            if not self._is_writing:
                return
            kind = rng.choices(["text", "edit", "reaction", "delete"], [85, 6, 6, 3])[0] if own else "text"
            body = {"text": f"message {number}"} if kind in ("text", "edit") else {}
            if kind == "reaction":
                body = {"emoji": "👍"}
            ref = None if kind == "text" else own.pop(rng.randrange(len(own)))
            try:
                ack = await chat.send(conversation, body, kind=kind, ref=ref)
            except Rejected:
                continue  # after a planted fault a `ref` may name nothing; the history has it
            if kind == "text":
                own.append(ack.seq)

    # ---- waiting

    def _on_change(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    async def _wait_until(self, is_so: Callable[[], bool]) -> None:
        while not is_so():
            await self._changed.wait()

    async def _wait_for_acks(self, acks: range) -> None:
        start, since_s = self._history.acked, trio.current_time()
        wanted = start + self._rng.choice(acks)
        with trio.fail_after(SETTLE_S * 2):
            await self._wait_until(lambda: self._history.acked >= wanted)
        self.acks_per_s.append((self._history.acked - start) / (trio.current_time() - since_s))

    def _is_settled(self) -> bool:
        """Nobody waits for an answer, and every device has come to every head that anyone was told of."""
        return not any(chat.unsent for chat in self._chats) and all(
            device.applied.get(conversation, 0) >= head
            for conversation, head in self._history.heads.items()
            for device in self._devices
            if device.person in self._members[conversation]
        )

    # ---- the record

    def _record(self, event: records.Event) -> None:
        self._history.record(event)

    def _read_everything(self) -> None:
        for conversation, members in self._members.items():
            after, more = 0, True
            while more:
                read = self._read(conversation, members[0], after)
                self._record(read)
                after, more = read.until, read.more

    def _read(self, conversation: str, reader: Person, after: int) -> records.ReadBack:
        service = "group-message-service" if conversation.startswith("g:") else "message-service"
        try:
            page = reader.get(f"/{service}/conversations/{conversation}/messages?after={after}&limit=200")
        except Refused as refused:
            if refused.status != 404:
                raise
            # All of it was lost, even that it was begun: a planted fault.
            page = {"head": 0, "more": False, "messages": [], "skip": []}
        return records.ReadBack(
            at_s=time.monotonic(),
            user=reader.id,
            device=reader.device,
            conversation=conversation,
            after=after,
            head=page["head"],
            more=page["more"],
            final=True,
            entries=tuple(map(entry_of, page["messages"])),
            skip=tuple((first, last) for first, last in page["skip"]),
        )
