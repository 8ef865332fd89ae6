"""What concerns a connection as such: the handshake, its limits, its token, its end."""

from typing import get_args

import pytest

from core.base.errors import Close
from core.base.ids import direct_conversation
from core.base.limits import Limits
from core.protocol.commands import AnyCommand
from core.protocol.handshake import Accepted, Refused, Request
from core.router.router import FRAME_RULES
from core.rules import names
from tests.router.world import ANN, BOB, World, client_id, device_id

TALK = direct_conversation(ANN, BOB)


def upgrade(target: str = "/chat/ws", **headers: str) -> Request:
    path, _, query = target.partition("?")
    return Request("GET", target, path, query, "1.1", {"host": "chat.test", **headers})


def test_every_frame_names_a_rule() -> None:
    assert set(FRAME_RULES) == set(get_args(AnyCommand))
    assert all(names.ALL[rule.name] is rule for rule in FRAME_RULES.values())


# ---- the handshake


@pytest.mark.parametrize(
    ("target", "headers", "status"),
    [
        ("/chat/ws?token=abc", {}, 400),
        ("/chat/ws?access_token=abc", {}, 400),
        ("/chat/ws", {"origin": "https://evil.test"}, 403),
        ("/chat/ws", {"origin": "null"}, 403),
        ("/chat/ws", {"origin": "https://chat.test.evil.test"}, 403),
        ("/chat/ws", {"authorization": "Bearer nonsense"}, 401),
        ("/chat/ws", {"authorization": "Basic abc"}, 401),
        ("/chat/ws", {"authorization": "Bearer"}, 401),
    ],
)
def test_a_bad_handshake_is_refused(target: str, headers: dict[str, str], status: int) -> None:
    refused = World(ANN).router.on_upgrade(upgrade(target, **headers), "")
    assert isinstance(refused, Refused)
    assert refused.status == status


def test_a_handshake_of_the_same_host_is_taken_with_or_without_a_token() -> None:
    world = World(ANN)
    assert world.router.on_upgrade(upgrade(origin="https://chat.test"), "") == Accepted()
    accepted = world.router.on_upgrade(upgrade(authorization=f"bearer {world.token(ANN)}"), "")
    assert isinstance(accepted, Accepted)
    assert accepted.context is not None


def test_handshakes_are_admitted_at_a_rate_and_the_rest_told_when_to_come() -> None:
    world = World(ANN, limits=Limits(handshakes_per_s=2))
    answers = [world.router.on_upgrade(upgrade(), "") for _ in range(3)]
    assert answers[:2] == [Accepted(), Accepted()]
    refused = answers[2]
    assert isinstance(refused, Refused)
    assert (refused.status, bool(refused.retry_after_s)) == (503, True)


# ---- frames


@pytest.mark.parametrize(
    ("frame", "code", "field"),
    [
        (b"nonsense", "bad_request", None),
        (b"[" * 10_000, "bad_request", None),
        (b'{"type":"zzz","id":1}', "bad_request", "type"),
        (b'{"id":1}', "bad_request", "type"),
        (b'{"type":5}', "bad_request", "type"),
        (b'{"type":"ping","id":1.5}', "bad_request", "id"),
        (b'{"type":"typing","conversation":5,"on":true}', "bad_request", "conversation"),
        (b'{"type":"typing","conversation":"x","on":true}', "bad_request", "conversation"),
        (b'{"type":"pull","conversation":"x"}', "bad_request", "conversation"),
        (b'{"type":"watch","users":["x"]}', "bad_request", "users[0]"),
        (b'{"type":"renew"}', "bad_request", "token"),
    ],
)
def test_a_bad_frame_is_answered_and_the_connection_lives(frame: bytes, code: str, field: str | None) -> None:
    world = World(ANN)
    ann = world.join(ANN)
    ann.say_raw(frame)
    ann.say(type="ping", id=9)
    world.settle()
    error, pong = ann.take()
    assert (error["code"], error.get("field")) == (code, field)
    assert pong["id"] == 9


def test_ping_is_answered_with_its_id_and_the_time() -> None:
    world = World(ANN)
    ann = world.join(ANN)
    ann.say(type="ping", id="p", unknown="ignored")
    world.settle()
    assert ann.take() == [{"type": "pong", "id": "p", "time_ms": world.clock.wall_ms()}]


def test_too_many_frames_are_refused_and_after_a_while_closed_as_abuse() -> None:
    world = World(ANN, limits=Limits(handshakes_per_s=0))
    ann = world.join(ANN)
    for _ in range(2_000):
        ann.say(type="ping", id=1)
        world.clock.advance(0.001)
        world.turn()
    assert {frame["code"] for frame in ann.take("error")} == {"rate_limited"}
    assert ann.close_code == Close.ABUSE


def test_who_pauses_is_not_abusive() -> None:
    world = World(ANN, limits=Limits(frames_per_s=10, frames_burst=20))
    ann = world.join(ANN)
    for _ in range(10):
        for _ in range(60):
            ann.say(type="ping", id=1)
        world.turn()
        world.clock.advance(2)
    assert ann.close_code is None


# ---- tokens


def test_a_connection_ends_with_its_token() -> None:
    world = World(ANN)
    ann = world.open()
    ann.say(type="hello", token=world.token(ANN, for_s=30))
    world.settle()
    for _ in range(28):
        world.tick()
    assert ann.close_code is None
    for _ in range(7):
        world.tick()
    assert ann.close_code == Close.TOKEN_EXPIRED


def test_renew_puts_the_end_off() -> None:
    world = World(ANN)
    ann = world.open()
    ann.say(type="hello", token=world.token(ANN, for_s=30))
    world.settle()
    ann.take()
    ann.say(type="renew", id=1, token=world.token(ANN, for_s=900))
    world.settle()
    assert ann.take() == [{"type": "renewed", "id": 1, "expires_ms": world.clock.wall_ms() + 900_000}]
    for _ in range(60):
        world.tick()
    assert ann.close_code is None


def test_an_older_token_does_not_bring_the_end_nearer() -> None:
    world = World(ANN)
    ann = world.join(ANN)
    ann.say(type="renew", id=1, token=world.token(ANN, for_s=30))
    world.settle()
    assert ann.take()[0]["expires_ms"] == world.clock.wall_ms() + 900_000


def test_renew_takes_no_other_users_or_devices_token() -> None:
    world = World(ANN, BOB)
    ann = world.join(ANN)
    for token in (world.token(BOB), world.token(ANN, 2), "nonsense"):
        ann.say(type="renew", id=1, token=token)
    ann.say(type="send", client_id=client_id(1), to=BOB, body={})
    world.settle()
    assert [frame["code"] for frame in ann.take("error")] == ["unauthenticated"] * 3
    assert world.store.entries(TALK)[0].sender == ANN


def test_a_revoked_device_is_closed_and_the_others_are_not() -> None:
    world = World(ANN)
    ann, phone = world.join(ANN), world.join(ANN, 2)
    world.router.revoke(ANN, device_id(1))
    world.router.revoke(BOB, device_id(1))
    world.turn()
    assert (ann.close_code, phone.close_code) == (Close.SESSION_REVOKED, None)


# ---- the end


def test_bye_closes() -> None:
    world = World(ANN)
    ann = world.join(ANN)
    ann.say(type="bye")
    world.turn()
    assert ann.close_code == Close.NORMAL


def test_nothing_is_kept_of_who_is_gone() -> None:
    world = World(ANN, BOB)
    ann = world.join(ANN)
    ann.say(type="watch", users=[BOB])
    ann.say(type="send", client_id=client_id(1), to=BOB, body={})
    world.settle()
    ann.drop()
    for _ in range(12):
        world.tick()
        world.settle()
    assert world.router.statistics()["users"] == 0
    assert world.router.statistics()["sessions"] == 0
    assert not world.router.presence._watchers
    assert world.metrics.connections == 0
    world.tick(700)
    assert world.router.statistics()["conversations_loaded"] == 0


def test_answers_that_come_after_the_end_touch_nothing() -> None:
    world = World(ANN, BOB)
    ann = world.join(ANN)
    ann.say(type="send", client_id=client_id(1), to=BOB, body={})
    ann.say(type="watch", users=[BOB])
    ann.say(type="pull", id=1, conversation=direct_conversation(ANN, ANN), after=0)
    gone = world.hello(BOB)
    world.turn()
    ann.drop()
    gone.drop()
    world.settle()
    assert world.store.entries(TALK)
    assert world.router.statistics()["sends_waiting"] == 0
