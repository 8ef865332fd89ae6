"""The outbox: order, one in flight, retries."""

import msgspec
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.client.model_server import ME, OTHER
from trimaran_client import OutboxFull, direct_conversation
from trimaran_client.limits import ATTEMPTS_MAX, OUTBOX_ITEMS_MAX
from trimaran_client.outbox import Outbox, OutboxItem


def item(client_id: str, conversation: str | None = "g:1", to: str | None = None) -> OutboxItem:
    return OutboxItem(client_id=client_id, conversation=conversation, to=to, body=msgspec.Raw(b"{}"))


def transmit(outbox: Outbox, now_s: float = 0.0) -> list[tuple[str, bool]]:
    """What goes out now, with `retry`."""
    sent = []
    while (ready := outbox.pop_ready(now_s)) is not None:
        sent.append((ready.client_id, ready.was_sent))
        outbox.on_transmitted(ready)
    return sent


def test_one_message_per_conversation_is_in_flight() -> None:
    outbox = Outbox(ME)
    for name in ("a1", "a2", "b1"):
        outbox.put(item(name, f"g:{name[0]}"))
    assert transmit(outbox) == [("a1", False), ("b1", False)]
    outbox.on_acked("a1")
    assert transmit(outbox) == [("a2", False)]


def test_a_message_to_a_user_and_one_in_their_conversation_share_a_queue() -> None:
    outbox = Outbox()
    outbox.put(item("1", None, OTHER))
    outbox.put(item("2", direct_conversation(OTHER, ME)))
    outbox.set_user(ME)
    assert transmit(outbox) == [("1", False)]


def test_a_lost_connection_makes_a_retry_of_what_was_in_flight_and_of_nothing_else() -> None:
    outbox = Outbox(ME)
    outbox.put(item("1"))
    outbox.put(item("2"))
    transmit(outbox)
    outbox.on_disconnected()
    assert transmit(outbox) == [("1", True)]
    outbox.on_acked("1")
    assert transmit(outbox) == [("2", False)]


def test_a_message_that_is_refused_for_now_waits_and_is_not_overtaken() -> None:
    outbox = Outbox(ME)
    outbox.put(item("1"))
    outbox.put(item("2"))
    transmit(outbox)
    assert outbox.on_refused("1", "unavailable", 5.0) is None
    assert outbox.next_s() == 5.0
    assert transmit(outbox, 4.9) == []
    assert transmit(outbox, 5.0) == [("1", True)]


@pytest.mark.parametrize("code", ["bad_request", "forbidden", "not_found", "conflict", "too_large", "something_new"])
def test_a_message_that_is_refused_for_good_makes_room_for_the_next(code: str) -> None:
    outbox = Outbox(ME)
    outbox.put(item("1"))
    outbox.put(item("2"))
    transmit(outbox)
    gone = outbox.on_refused("1", code, 5.0)
    assert gone is not None
    assert gone.client_id == "1"
    assert transmit(outbox) == [("2", False)]


def test_an_internal_error_is_tried_a_few_times() -> None:
    outbox = Outbox(ME)
    outbox.put(item("1"))
    for _ in range(ATTEMPTS_MAX - 1):
        assert len(transmit(outbox)) == 1
        assert outbox.on_refused("1", "internal", 0.0) is None
    assert len(transmit(outbox)) == 1
    assert outbox.on_refused("1", "internal", 0.0) is not None
    assert len(outbox) == 0


def test_the_outbox_has_an_end() -> None:
    outbox = Outbox(ME)
    for number in range(OUTBOX_ITEMS_MAX):
        outbox.put(item(str(number)))
    with pytest.raises(OutboxFull):
        outbox.put(item("one more"))


def test_an_answer_to_a_message_that_is_not_there_is_nothing() -> None:
    outbox = Outbox(ME)
    assert outbox.on_acked("x") is None
    assert outbox.on_refused("x", "conflict", 0.0) is None


class OutboxMachine(RuleBasedStateMachine):
    """Any order of sends, answers and broken connections, against a list per conversation."""

    def __init__(self) -> None:
        super().__init__()
        self.outbox = Outbox(ME)
        self.queues: dict[str, list[str]] = {"g:a": [], "g:b": [], "g:c": []}
        self.in_flight: set[str] = set()
        self.transmitted: set[str] = set()
        self.now_s = 0.0
        self.count = 0

    def first(self, conversation: str) -> str | None:
        return next(iter(self.queues[conversation]), None)

    @rule(conversation=st.sampled_from(["g:a", "g:b", "g:c"]))
    def put(self, conversation: str) -> None:
        self.count += 1
        name = f"{conversation}{self.count}"
        self.outbox.put(item(name, conversation))
        self.queues[conversation].append(name)

    @rule()
    def transmit(self) -> None:
        for name, retry in transmit(self.outbox, self.now_s):
            assert name == self.first(name[:3]), "the oldest of its conversation"
            assert name not in self.in_flight
            assert retry == (name in self.transmitted)
            self.in_flight.add(name)
            self.transmitted.add(name)

    @precondition(lambda self: self.in_flight)
    @rule(data=st.data())
    def ack(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.in_flight)))
        assert self.outbox.on_acked(name) is not None
        self._forget(name)

    @precondition(lambda self: self.in_flight)
    @rule(data=st.data(), code=st.sampled_from(["unavailable", "rate_limited", "forbidden"]))
    def refuse(self, data: st.DataObject, code: str) -> None:
        name = data.draw(st.sampled_from(sorted(self.in_flight)))
        gone = self.outbox.on_refused(name, code, self.now_s + 1.0)
        assert (gone is not None) == (code == "forbidden")
        if gone is None:
            self.in_flight.discard(name)
        else:
            self._forget(name)

    @rule()
    def disconnect(self) -> None:
        self.outbox.on_disconnected()
        self.in_flight.clear()

    @rule()
    def wait(self) -> None:
        self.now_s += 0.6

    def _forget(self, name: str) -> None:
        self.in_flight.discard(name)
        self.queues[name[:3]].remove(name)

    @invariant()
    def holds_what_was_not_answered(self) -> None:
        assert len(self.outbox) == sum(map(len, self.queues.values()))

    def teardown(self) -> None:
        self.disconnect()
        while any(self.queues.values()):
            self.transmit()
            assert self.in_flight
            for name in sorted(self.in_flight):
                self.outbox.on_acked(name)
                self._forget(name)


TestOutboxMachine = OutboxMachine.TestCase
