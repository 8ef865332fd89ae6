"""Any interleaving of posts, sends, losses, refusals and reconnects: entries 1..head are applied in order, each once."""

import json
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.client.client_driver import Driver
from tests.client.model_server import DIRECT, GROUP, ME, OTHER, ModelServer
from trimaran_client import Ack, Options, Rejected

CONVERSATIONS = (DIRECT, GROUP)


class ClientMachine(RuleBasedStateMachine):
    """One client, one server, two pipes that lose what is in them when the connection breaks."""

    driver: Driver

    @initialize(
        seed=st.integers(0, 2**32),
        events_max=st.sampled_from([1, 3, 1000]),
        replay=st.sampled_from([0, 2, 1000]),
        old=st.integers(0, 5),
    )
    def start(self, seed: int, events_max: int, replay: int, old: int) -> None:
        self.server = ModelServer(*CONVERSATIONS)
        for _ in range(old):
            self.server.post(DIRECT, "old")
        options = Options(events_max=events_max, replay=replay, replay_each=replay)
        self.driver = Driver(self.server, seed=seed, options=options)
        self.sent: dict[str, list[str]] = {conversation: [] for conversation in CONVERSATIONS}
        self.transmissions: dict[str, dict[str, Any]] = {}
        self.on_this_connection: dict[str, str] = {}

    @property
    def is_connected(self) -> bool:
        return self.driver.connection is not None

    # --- what happens ---

    @rule(conversation=st.sampled_from(CONVERSATIONS), count=st.integers(1, 3))
    def somebody_writes(self, conversation: str, count: int) -> None:
        for _ in range(count):
            self.driver.other_posts(conversation)

    @rule(conversation=st.sampled_from(CONVERSATIONS))
    def somebody_who_is_blocked_writes(self, conversation: str) -> None:
        self.server.hide(conversation)
        self.driver.collect()

    @rule(conversation=st.sampled_from(CONVERSATIONS), by_user=st.booleans())
    def the_application_sends(self, conversation: str, by_user: bool) -> None:
        if by_user and conversation == DIRECT:
            self.sent[conversation].append(self.driver.send(None, to=OTHER))
        else:
            self.sent[conversation].append(self.driver.send(conversation))

    @rule(count=st.integers(1, 4))
    def the_application_takes(self, count: int) -> None:
        self.driver.take(count)

    @precondition(lambda self: not self.is_connected)
    @rule()
    def connects(self) -> None:
        self.driver.connect()

    @precondition(lambda self: self.is_connected)
    @rule(code=st.sampled_from([None, 1001, 4001]))
    def the_connection_breaks(self, code: int | None) -> None:
        self.driver.disconnect(code)
        self.on_this_connection.clear()

    @precondition(lambda self: self.is_connected)
    @rule()
    def the_client_writes(self) -> None:
        before = len(self.driver.to_server)
        self.driver.emit()
        self._look_at(list(self.driver.to_server)[before:])

    @precondition(lambda self: self.is_connected and self.driver.to_server)
    @rule(count=st.integers(1, 4))
    def the_server_reads(self, count: int) -> None:
        for _ in range(min(count, len(self.driver.to_server))):
            self.driver.give_server()

    @precondition(lambda self: self.is_connected and self.driver.to_client)
    @rule(count=st.integers(1, 8))
    def the_client_reads(self, count: int) -> None:
        for _ in range(min(count, len(self.driver.to_client))):
            self._on_answer(json.loads(self.driver.to_client[0]))
            self.driver.give_client()

    @precondition(lambda self: self.is_connected)
    @rule(index=st.integers(0, 20))
    def a_push_is_lost_or_comes_twice(self, index: int) -> None:
        if index >= len(self.driver.to_client):
            return
        frame = json.loads(self.driver.to_client[index])
        if frame["type"] == "message" and index % 2:
            self.driver.to_client.insert(index, self.driver.to_client[index])
        elif frame["type"] == "message":
            # The server's promise: what it did not push, it tells.
            heads = [{"conversation": frame["conversation"], "head": frame["seq"]}]
            self.driver.to_client[index] = json.dumps({"type": "behind", "conversations": heads})

    @rule(code=st.sampled_from(["unavailable", "rate_limited", "forbidden", "internal"]))
    def the_server_will_refuse(self, code: str) -> None:
        self.server.refuse.append({"code": code, "retry_after_s": 0.5})

    @rule(seconds=st.sampled_from([0.1, 1.0, 3.0]))
    def time_passes(self, seconds: float) -> None:
        self.driver.clock.s += seconds
        assert self.driver.client.on_timer(self.driver.clock.s) or self.is_connected

    # --- what must hold ---

    def _look_at(self, frames: list[str]) -> None:
        for text in frames:
            frame = json.loads(text)
            if frame["type"] == "mark":
                assert frame.get("delivered", 0) <= self.driver.client.conversations[frame["conversation"]].cursor
            if frame["type"] == "send":
                self._look_at_send(frame)

    def _look_at_send(self, frame: dict[str, Any]) -> None:
        conversation = frame.get("conversation", DIRECT)
        client_id = frame["client_id"]
        assert conversation not in self.on_this_connection, "one in flight per conversation"
        self.on_this_connection[conversation] = client_id
        same = {name: value for name, value in frame.items() if name not in ("id", "retry")}
        assert frame.get("retry", False) == (client_id in self.transmissions)
        assert self.transmissions.setdefault(client_id, same) == same

    def _on_answer(self, frame: dict[str, Any]) -> None:
        if frame["type"] in ("ack", "error"):
            for conversation, client_id in list(self.on_this_connection.items()):
                if client_id == frame["client_id"]:
                    del self.on_this_connection[conversation]

    @invariant()
    def entries_are_applied_in_order_and_once(self) -> None:
        for conversation in CONVERSATIONS:
            log = self.server.logs[conversation]
            seqs = self.driver.seqs(conversation)
            visible = [seq for seq in range(1, log.head + 1) if seq not in log.hidden]
            assert seqs == visible[: len(seqs)]

    @invariant()
    def the_buffer_is_bounded(self) -> None:
        waiting = self.driver.client.statistics()["events_waiting"]
        assert waiting <= self.driver.client._options.events_max + len(CONVERSATIONS) + 3

    def teardown(self) -> None:
        if not hasattr(self, "driver"):
            return
        self.server.refuse.clear()
        if self.is_connected:
            self.the_connection_breaks(None)
        self.driver.connect()
        for _ in range(200):
            before = len(self.driver.to_server)
            self.driver.emit()
            self._look_at(list(self.driver.to_server)[before:])
            while self.driver.to_server:
                self.driver.give_server()
            while self.driver.to_client:
                self.the_client_reads(1)
            self.driver.take()
            self.driver.clock.s += 1.0
            assert self.driver.client.on_timer(self.driver.clock.s)
        self._all_is_well()

    def _all_is_well(self) -> None:
        results = {outcome.key: outcome.result for outcome in self.driver.outcomes}
        assert len(results) == len(self.driver.outcomes), "each send has one outcome"
        for conversation, log in ((name, self.server.logs[name]) for name in CONVERSATIONS):
            visible = [seq for seq in range(1, log.head + 1) if seq not in log.hidden]
            assert self.driver.seqs(conversation) == visible
            assert log.delivered == log.head, "everything is marked"
            stored = [entry["client_id"] for entry in log.entries if entry["sender"] == ME]
            acked = [name for name in self.sent[conversation] if isinstance(results[name], Ack)]
            assert stored == acked, "in the order of the calls, each once"
            for name in set(self.sent[conversation]) - set(acked):
                error = results[name]
                assert isinstance(error, Rejected)
                assert error.code in ("forbidden", "internal")


TestClientMachine = ClientMachine.TestCase
TestClientMachine.settings = settings(max_examples=150, stateful_step_count=60)
