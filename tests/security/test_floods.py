"""Too many frames, too many connections, and clients that do not read."""

import json
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress

import pytest

from tests.protocol.client_frames import PING, PONG, frame, text
from tests.security.peer import Ended, Frame, Peer
from tests.security.world import Person, Target, direct, new_id, texts_of

STUCK_S = 2.0  # as `hasty` has it
SPARE_S = 6.0  # the ticks of the server, and a busy machine

FLOODS: dict[str, Callable[[Person, Person], dict[str, object]]] = {
    "sends": lambda ann, bob: {"type": "send", "to": bob.id, "body": {"text": "x"}},
    "pings": lambda ann, bob: {"type": "ping"},
    "pulls": lambda ann, bob: {"type": "pull", "conversation": direct(ann, bob), "after": 0},
    "marks": lambda ann, bob: {"type": "mark", "conversation": direct(ann, bob), "read": 1},
    "typing": lambda ann, bob: {"type": "typing", "conversation": direct(ann, bob), "on": True},
    "watches": lambda ann, bob: {"type": "watch", "users": [bob.id]},
    "renewals": lambda ann, bob: {"type": "renew", "token": ann.token},
    "nonsense": lambda ann, bob: {"type": "x"},
}


@pytest.mark.parametrize("kind", FLOODS)
def test_a_flood_is_told_to_slow_down_and_then_ended_while_others_are_served(limited: Target, kind: str) -> None:
    ann = limited.register("Ann", source=_address(kind))
    bob = limited.register("Bob", source=_address(kind))
    ann.say(direct(ann, bob))
    with ann.open() as flooding, bob.open() as other:
        for part in range(10):
            frames = [
                text(json.dumps({**FLOODS[kind](ann, bob), "id": part * 200 + number, "client_id": new_id()}))
                for number in range(200)
            ]
            try:
                flooding.send_bytes(b"".join(frames))
            except (BrokenPipeError, ConnectionResetError):  # it was ended already
                break
            other.ping()
        code, answers = _rest(flooding)
        assert code == 4504
        assert any(each.get("code") == "rate_limited" and each["retry_after_s"] > 0 for each in answers)
        other.ping()
    if kind == "sends":
        acks = sum(each["type"] == "ack" for each in answers)
        assert 100 <= acks < 200  # the burst, and what a slow machine adds
        # What was admitted just before the end may be stored and not acknowledged: a client would retry it.
        assert acks + 1 <= ann.page(direct(ann, bob))["head"] < 200


def _address(kind: str) -> str:
    """One of its own for each kind: registrations are limited too."""
    return f"127.0.1.{list(FLOODS).index(kind) + 1}"


def _rest(peer: Peer) -> tuple[int, list[Frame]]:
    frames = []
    try:
        while True:
            frames.append(peer.read())
    except Ended as ended:
        return ended.code, frames


def test_a_new_connection_of_the_same_device_is_given_no_new_burst_of_sends(limited: Target) -> None:
    ann = limited.register("Ann", source="127.0.2.1")
    acks = 0
    for _ in range(4):
        with ann.open() as peer:
            for _ in range(60):
                peer.send_text(json.dumps({**FLOODS["sends"](ann, ann), "id": 1, "client_id": new_id()}))
            acks += sum(peer.answer(1)["type"] == "ack" for _ in range(60))
    assert acks < 180  # 240 were sent; the burst is 100, and what the time adds


@pytest.mark.parametrize("opcode", [PING, PONG], ids=["pings", "pongs"])
def test_a_flood_of_control_frames_is_ended(target: Target, opcode: int) -> None:
    with target.register().open() as peer:
        with suppress(BrokenPipeError, ConnectionResetError):
            peer.send_bytes(frame(opcode, b"x" * 125) * 2_000)
        assert peer.close_code() == 4504


# ---- clients that do not read


def test_a_client_that_never_reads_is_bounded_and_ended_while_others_get_everything(hasty: Target) -> None:
    ann, bob, eve = hasty.people("Ann", "Bob", "Eve")
    team = ann.group(bob, eve)["conversation"]
    body = {"text": "x" * 15_000}
    sends = 200
    with ann.open() as sending, bob.open() as reading, Peer(hasty.port) as stuck:
        stuck.hello(eve.token)
        before_kib = hasty.resident_kib()
        for number in range(sends):
            sending.ask("send", id=number, client_id=new_id(), conversation=team, body=body)
            assert reading.until("message")["seq"] == number + 2
        # What waits for the one who does not read is its outbox; recent entries are kept too, once for all.
        assert hasty.resident_kib() - before_kib < 8 * 1_024
        started_s = time.monotonic()
        while hasty.connections() > 2 and time.monotonic() - started_s < STUCK_S + SPARE_S:
            reading.ping()
        code, frames = _rest(stuck)
        assert code == 4004
        assert len(frames) < sends
        reading.ping()
    assert eve.page(team, "after=0&limit=1")["head"] == sends + 1


def test_a_client_that_asks_and_does_not_read_is_bounded(hasty: Target) -> None:
    ann, bob = hasty.people("Ann", "Bob")
    for _ in range(10):
        ann.say(direct(ann, bob), "x" * 15_000)
    with Peer(hasty.port) as greedy:
        greedy.hello(bob.token)
        before_kib = hasty.resident_kib()
        pull = text(json.dumps({"type": "pull", "conversation": direct(ann, bob), "after": 0}))
        ping = text(json.dumps({"type": "ping", "id": "x" * 60}))
        greedy.sock.settimeout(5.0)
        try:
            for _ in range(200):
                greedy.send_bytes((pull + ping * 20) * 5)
        except (TimeoutError, BrokenPipeError, ConnectionResetError):
            pass  # it is not read any more, or ended
        assert hasty.resident_kib() - before_kib < 8 * 1_024
    hasty.lives()


def test_a_slow_client_is_told_where_it_is_behind_and_finds_everything(target: Target) -> None:
    ann, bob = target.people("Ann", "Bob")
    conversation = direct(ann, bob)
    ann.say(conversation, "first")
    with Peer(target.port) as slow:
        slow.hello(bob.token, replay=0)
        texts = ["first"] + [f"{number}".ljust(15_000) for number in range(300)]
        for said in texts[1:]:
            ann.say(conversation, said)
        behind = slow.until("behind")
        assert behind["conversations"] == [{"conversation": conversation, "head": 301}]
        found: list[str] = []
        while len(found) < 301:
            page = slow.ask("pull", conversation=conversation, after=len(found), limit=200)
            found += texts_of(page["messages"])
        assert found == texts


# ---- many connections


def test_a_user_has_so_many_connections_and_no_more(hasty: Target) -> None:
    first = hasty.register()
    devices = [first, *(first.log_in_again() for _ in range(4))]
    with ExitStack() as stack:
        peers = [stack.enter_context(device.open()) for device in devices[:3]]
        for device in devices[3:]:
            with Peer(hasty.port) as one_more:
                one_more.send("hello", token=device.token)
                assert one_more.until("error")["code"] == "rate_limited"
                assert one_more.close_code() == 1008
        for peer in peers:
            peer.ping()
        with hasty.register().open() as another:
            another.ping()


def test_a_place_that_is_free_again_can_be_taken(hasty: Target) -> None:
    first = hasty.register()
    devices = [first, *(first.log_in_again() for _ in range(3))]
    with ExitStack() as stack:
        peers = [stack.enter_context(device.open()) for device in devices[:3]]
        peers[0].send("bye")
        assert peers[0].close_code() == 1000
        with devices[3].open() as peer:
            peer.ping()


def test_two_hundred_connections_of_a_device_are_one(target: Target) -> None:
    ann = target.register()
    with ExitStack() as stack:
        peers = [stack.enter_context(ann.open()) for _ in range(200)]
        assert {peer.close_code() for peer in peers[:-1]} == {4503}
        peers[-1].ping()


def test_a_device_that_replaces_itself_is_not_too_many(hasty: Target) -> None:
    first = hasty.register()
    devices = [first, first.log_in_again(), first.log_in_again()]
    with ExitStack() as stack:
        peers = [stack.enter_context(device.open()) for device in devices * 3]
        peers[-1].ping()


def test_an_open_connection_of_a_stranger_is_not_replaced(target: Target) -> None:
    ann, eve = target.people("Ann", "Eve")
    with ann.open() as peer, Peer(target.port) as other:
        other.send("hello", token=eve.token, device=ann.device)
        assert other.close_code() == 4500
        peer.ping()
