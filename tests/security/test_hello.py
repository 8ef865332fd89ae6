"""The first frame, and how long it proves who you are."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.protocol.client_frames import BINARY, frame
from tests.security.peer import Peer
from tests.security.tokens import Forger
from tests.security.world import PASSWORD, UNLIMITED, Person, Target, attacked, direct, new_id

REVOKED_S = 2.0
SPARE_S = 1.0  # for the way of the Close frame on a busy machine

FIRST: dict[str, dict[str, Any]] = {
    "send": {"client_id": new_id(), "to": new_id(), "body": {"text": "x"}},
    "mark": {"conversation": f"g:{new_id()}", "read": 1},
    "pull": {"conversation": f"g:{new_id()}", "after": 0},
    "typing": {"conversation": f"g:{new_id()}", "on": True},
    "watch": {"users": []},
    "renew": {"token": "x"},
    "ping": {},
    "bye": {},
    "admin": {},
    "welcome": {},
}


@pytest.mark.parametrize("type_", FIRST)
def test_a_first_frame_that_is_not_hello_ends_the_connection(target: Target, type_: str) -> None:
    with Peer(target.port) as peer:
        peer.send(type_, **FIRST[type_])
        assert peer.close_code() == 4501


@pytest.mark.parametrize("payload", ["", "hello", "[]", '{"type":"hello"', "{}"])
def test_a_first_frame_that_is_nothing_ends_the_connection(target: Target, payload: str) -> None:
    with Peer(target.port) as peer:
        peer.send_text(payload)
        assert peer.close_code() == 4501


def test_a_first_frame_that_is_binary_ends_the_connection(target: Target) -> None:
    with Peer(target.port) as peer:
        peer.send_bytes(frame(BINARY, b'{"type":"hello"}'))
        assert peer.close_code() == 1003


def test_frames_behind_a_refused_first_frame_do_nothing(target: Target) -> None:
    ann, bob = target.people("Ann", "Bob")
    with Peer(target.port) as peer:
        send = {"type": "send", "client_id": new_id(), "to": bob.id, "body": {"text": "x"}}
        frames = [{"type": "hello", "token": "wrong"}, {"type": "hello", "token": ann.token}, send]
        peer.send_bytes(b"".join(frame(1, json.dumps(each).encode()) for each in frames))
        assert peer.close_code() == 4500
    assert bob.rest("GET", "/relay-service/conversations").json["conversations"] == []


def test_frames_right_behind_hello_are_taken_as_its_user(target: Target) -> None:
    ann, bob = target.people("Ann", "Bob")
    ann.say(direct(ann, bob))
    with Peer(target.port) as peer:
        peer.send("hello", token=ann.token)
        peer.send("send", id=1, client_id=new_id(), to=bob.id, body={"text": "at once"})
        assert peer.answer(1)["type"] == "ack"
    assert bob.page(direct(ann, bob))["messages"][-1]["sender"] == ann.id


@pytest.mark.parametrize("whose", ["another's", "the own", "a wrong"])
def test_a_second_hello_changes_nothing(target: Target, whose: str) -> None:
    ann, bob = target.people("Ann", "Bob")
    token = {"another's": bob.token, "the own": ann.token, "a wrong": "wrong"}[whose]
    with ann.open() as peer:
        assert peer.ask("hello", token=token)["code"] in ("bad_request", "conflict", "unauthenticated")
        peer.ask("send", client_id=new_id(), to=bob.id, body={"text": "still Ann"})
    assert bob.page(direct(ann, bob))["messages"][-1]["sender"] == ann.id


def test_two_hellos_at_once_make_one_user(target: Target) -> None:
    ann, bob = target.people("Ann", "Bob")
    with Peer(target.port) as peer:
        peer.send_bytes(
            b"".join(frame(1, json.dumps({"type": "hello", "token": each.token}).encode()) for each in (ann, bob))
        )
        frames = peer.frames_until("synced")
        assert [each["user"] for each in frames if each["type"] == "welcome"] == [ann.id]


@pytest.mark.parametrize("where", ["the header and hello", "the device"])
def test_two_identities_in_one_handshake_are_refused(target: Target, where: str) -> None:
    ann, bob = target.people("Ann", "Bob")
    headers = {"Authorization": f"Bearer {bob.token}"} if where == "the header and hello" else {}
    fields = {"device": bob.device} if where == "the device" else {}
    with Peer(target.port, headers=headers) as peer:
        peer.send("hello", token=ann.token, **fields)
        assert peer.read()["code"] == "unauthenticated"
        assert peer.close_code() == 4500


def test_a_token_of_the_handshake_stands_for_that_of_hello(target: Target) -> None:
    ann = target.register()
    with Peer(target.port, headers={"Authorization": f"Bearer {ann.token}"}) as peer:
        peer.send("hello")
        assert peer.until("welcome")["user"] == ann.id


# ---- the end of a token


def test_a_connection_ends_with_its_token_but_not_if_it_is_renewed(tmp_path_factory: pytest.TempPathFactory) -> None:
    settings = UNLIMITED | {"TRIMARAN_ACCESS_TOKEN_S": "5", "TRIMARAN_LIMIT_HELLO_S": "1"}
    with attacked(tmp_path_factory.mktemp("short"), settings) as short:
        ann, bob = short.people("Ann", "Bob")
        with ann.open() as expiring, bob.open() as renewing:
            longer = Forger(bob).token()
            assert renewing.ask("renew", token=longer)["type"] == "renewed"
            assert expiring.end(60.0).code == 4003
            renewing.ping()
        assert ann.rest("GET", "/user-service/users/me").problem["code"] == "unauthenticated"
        with Peer(short.port) as late:
            late.send("hello", token=ann.token)
            assert late.close_code() == 4003


RENEWALS: dict[str, Callable[[Person, Person], str]] = {
    "another's token": lambda ann, bob: bob.token,
    "another device's token": lambda ann, bob: ann.log_in_again().token,
    "an expired token": lambda ann, bob: Forger(ann).token({"exp": 1_000_000_000}),
    "a refresh token": lambda ann, bob: ann.refresh_token,
    "a token by another key": lambda ann, bob: Forger(ann).by_another_key(),
    "an unsigned token": lambda ann, bob: Forger(ann).unsigned("none"),
    "nothing": lambda ann, bob: "",
}


@pytest.mark.parametrize("kind", RENEWALS)
def test_a_renewal_by_another_token_is_an_error_and_changes_nothing(target: Target, kind: str) -> None:
    ann, bob = target.people("Ann", "Bob")
    with ann.open() as peer:
        assert peer.ask("renew", token=RENEWALS[kind](ann, bob))["code"] == "unauthenticated"
        peer.ask("send", client_id=new_id(), to=bob.id, body={"text": "still Ann"})
    assert bob.page(direct(ann, bob))["messages"][-1]["sender"] == ann.id


def test_a_renewal_never_shortens_a_session(target: Target) -> None:
    ann = target.register()
    with Peer(target.port) as peer:
        expires_ms = peer.hello(ann.token)[0]["expires_ms"]
        sooner = Forger(ann).token({"exp": expires_ms // 1_000 - 300})
        assert peer.ask("renew", token=sooner)["expires_ms"] == expires_ms


# ---- revocation


def _refresh(person: Person, token: str) -> str:
    answer = person.target.rest("POST", "/user-service/auth/refresh", {"refresh_token": token})
    assert answer.status == 200, answer
    new: str = answer.json["refresh_token"]
    return new


def _reuse_of_a_refresh_token(person: Person, _other: Person) -> None:
    second = _refresh(person, person.refresh_token)
    _refresh(person, second)
    stolen = {"refresh_token": person.refresh_token}
    assert person.target.rest("POST", "/user-service/auth/refresh", stolen).status == 401


def _new_password(_person: Person, other: Person) -> None:
    change = {"password": PASSWORD + "!", "current_password": PASSWORD}
    other.target.secrets.add(PASSWORD + "!")
    assert other.rest("PATCH", "/user-service/users/me", change).status == 200


REVOCATIONS: dict[str, Callable[[Person, Person], object]] = {
    "its logout": lambda person, other: person.rest("POST", "/user-service/auth/logout"),
    "its removal from another device": lambda person, other: other.rest(
        "DELETE", f"/user-service/users/me/devices/{person.device}"
    ),
    "a new password on another device": _new_password,
    "the end of the account": lambda person, other: other.rest("DELETE", "/user-service/users/me"),
    "the reuse of its refresh token": _reuse_of_a_refresh_token,
}


@pytest.mark.parametrize("how", REVOCATIONS)
def test_a_revoked_device_is_out_in_two_seconds_and_stays_out(target: Target, how: str) -> None:
    person = target.register()
    other = person.log_in_again()
    with person.open() as peer, other.open() as others:
        REVOCATIONS[how](person, other)
        assert peer.end(REVOKED_S + SPARE_S).code == 4502
        if how == "the end of the account":
            assert others.end(REVOKED_S + SPARE_S).code == 4502
        else:
            others.ping()
    assert person.rest("GET", "/user-service/users/me").problem["code"] == "unauthenticated"
    assert person.rest("GET", "/relay-service/conversations").problem["code"] == "unauthenticated"
    with Peer(target.port) as again:
        again.send("hello", token=person.token)
        assert again.close_code() in (4500, 4502)
    answer = target.rest("POST", "/user-service/auth/refresh", {"refresh_token": person.refresh_token})
    assert answer.status == 401


def test_a_device_that_is_revoked_while_it_says_hello_gets_nowhere(target: Target) -> None:
    for _ in range(20):
        person = target.register()
        with Peer(target.port) as peer:
            peer.send("hello", token=person.token)
            person.rest("POST", "/user-service/auth/logout")
            assert peer.end(REVOKED_S + SPARE_S).code in (4500, 4502)


def test_one_more_login_than_a_user_has_devices_ends_the_one_unused_longest(hasty: Target) -> None:
    first = hasty.register()
    second = first.log_in_again()
    with second.open() as seconds:
        with first.open() as firsts:
            for _ in range(4):  # with the first two: one too many
                first.log_in_again()
            assert firsts.end(REVOKED_S + SPARE_S).code == 4502
        seconds.ping()
