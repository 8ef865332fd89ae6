"""Every body of every route: a field that is missing or of a wrong type is named, and nothing happens."""

import json
import types
import typing
from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
import pytest
from msgspec import Raw, Struct, UnsetType
from msgspec.structs import fields

from core.rules.names import OPEN
from sidecars.group import routes as group
from sidecars.message import routes as message
from sidecars.relay import routes as relay
from sidecars.user import routes as user
from tests.security.application import all_routes
from tests.security.web import Answer
from tests.security.world import PASSWORD, Person, Target, direct, new_id

BODIES: dict[tuple[str, str], type[Struct] | None] = {
    ("POST", "/user-service/auth/register"): user.Register,
    ("POST", "/user-service/auth/login"): user.Login,
    ("POST", "/user-service/auth/refresh"): user.Refresh,
    ("POST", "/user-service/auth/logout"): None,
    ("PATCH", "/user-service/users/me"): user.ChangeMe,
    ("PUT", "/user-service/users/me/privacy"): user.ChangePrivacy,
    ("PUT", "/user-service/users/me/blocks/<user>"): None,
    ("POST", "/group-service/groups"): group.CreateGroup,
    ("PATCH", "/group-service/groups/<group>"): group.ChangeGroup,
    ("POST", "/group-service/groups/<group>/members"): group.AddMembers,
    ("PATCH", "/group-service/groups/<group>/members/<user>"): group.ChangeMember,
    ("POST", "/group-service/groups/<group>/invites"): group.CreateInvite,
    ("POST", "/group-service/invites/<code>/accept"): None,
    ("POST", "/message-service/conversations/<conversation>/messages"): message.SendMessage,
    ("POST", "/group-message-service/conversations/<conversation>/messages"): message.SendMessage,
    ("POST", "/relay-service/delivered"): relay.Delivered,
    ("PUT", "/relay-service/conversations/<conversation>/mute"): None,
}
"""The body of every route that may have one; None: it takes none."""

WITH_BODY = [(route, kind) for route, kind in BODIES.items() if kind is not None]
OF_ROUTES = pytest.mark.parametrize("route", [route for route, _ in WITH_BODY], ids=" ".join)

VALUES: list[Any] = [None, True, 0, -1, 1.5, 10**30, "", "text", [], ["text"], [None], [[]], {}, {"a": 1}]


class Place:
    """Where the requests go: a group and a conversation of one who may do everything there."""

    def __init__(self, target: Target) -> None:
        self.owner, other = target.people("Ann", "Bob")
        made = self.owner.group(other)
        self.group, self.group_conversation = made["id"], made["conversation"]
        self.direct = direct(self.owner, other)
        self.owner.say(self.direct)
        self.other = other
        self.good: dict[type[Struct], dict[str, Any]] = {
            user.Register: {"email": f"{new_id()}@people.test", "name": "x", "password": "short"},
            user.Login: {"email": "nobody", "password": PASSWORD},
            user.Refresh: {"refresh_token": "x"},
            user.ChangeMe: {},
            user.ChangePrivacy: {"last_seen": "contacts", "read_receipts": True},
            group.CreateGroup: {"name": "x", "members": [{"user": "nobody"}]},
            group.ChangeGroup: {},
            group.AddMembers: {"members": [{"user": other.id}]},
            group.ChangeMember: {"role": "member"},
            group.CreateInvite: {},
            message.SendMessage: {"client_id": new_id(), "body": {}, "kind": "edit", "ref": 99},
            relay.Delivered: {"conversation": self.direct, "seq": 1},
        }
        """Bodies of right types that change nothing, or nothing that matters."""

    def call(self, route: tuple[str, str], raw: bytes) -> Answer:
        method, path = route
        is_group = "group-message" in path
        for name, value in {
            "<conversation>": self.group_conversation if is_group else self.direct,
            "<group>": self.group,
            "<user>": self.other.id,
        }.items():
            path = path.replace(name, value)
        return self.owner.rest(method, path, raw=raw)

    def state(self) -> object:
        """What must not change."""
        owner = self.owner
        paths = ("/user-service/users/me", "/user-service/users/me/privacy", f"/group-service/groups/{self.group}")
        listing = owner.rest("GET", "/relay-service/conversations").json["conversations"]
        heads = {each["conversation"]: (each["head"], each["delivered"], each["muted"]) for each in listing}
        return [*(owner.rest("GET", path).json for path in paths), heads]


@pytest.fixture(scope="module")
def place(target: Target) -> Place:
    return Place(target)


def test_every_route_that_may_have_a_body_is_tested_here() -> None:
    writing = {(r.method, r.path) for r in all_routes() if r.method in ("POST", "PUT", "PATCH")}
    assert writing == BODIES.keys()


@OF_ROUTES
def test_a_field_of_a_wrong_type_is_named_and_nothing_happens(place: Place, route: tuple[str, str]) -> None:
    kind = BODIES[route]
    assert kind is not None
    before = place.state()
    for name, value in _wrong_fields(kind):
        answer = place.call(route, json.dumps({**place.good[kind], name: value}).encode())
        assert answer.status == 422, (name, value, answer)
        assert answer.problem["code"] == "bad_request"
        assert answer.problem["field"].partition(".")[0].partition("[")[0] == name, (value, answer)
    assert place.state() == before


@OF_ROUTES
def test_a_field_that_is_missing_is_named_and_nothing_happens(place: Place, route: tuple[str, str]) -> None:
    kind = BODIES[route]
    assert kind is not None
    before = place.state()
    for field in fields(kind):
        if field.required:
            rest = {name: value for name, value in place.good[kind].items() if name != field.name}
            answer = place.call(route, json.dumps(rest).encode())
            assert (answer.status, answer.problem["field"]) == (422, field.name), answer
    assert place.state() == before


NO_OBJECTS: dict[str, bytes] = {
    "nothing": b"",
    "white space": b"  ",
    "no JSON": b"hello",
    "half an object": b'{"a":',
    "a list": b"[]",
    "a string": b'"text"',
    "a number": b"1",
    "null": b"null",
    "NaN": b'{"a":NaN}',
    "bad UTF-8": b'{"a":"\xff"}',
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "a NUL": b'{"name":"a\\u0000b","email":"a\\u0000b"}',
    "a NUL as it is": b'{"name":"a\0b"}',
    "lone surrogates": b'{"name":"\\ud800","email":"\\ud800"}',
    "10,000 lists deep": b'{"x":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "10,000 objects deep": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "a form": b"name=x&email=y",
    "XML": b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
}


@OF_ROUTES
def test_a_body_that_is_no_object_is_refused(place: Place, route: tuple[str, str]) -> None:
    before = place.state()
    for kind, raw in NO_OBJECTS.items():
        answer = place.call(route, raw)
        assert answer.status in (400, 422), (kind, answer)
        assert answer.problem["code"] == "bad_request", kind
        assert b"root:" not in answer.body
    assert place.state() == before


@OF_ROUTES
def test_a_body_above_its_limit_is_too_large(place: Place, route: tuple[str, str]) -> None:
    keys = b"{" + b",".join(b'"%d":1' % number for number in range(120_000)) + b"}"
    assert place.call(route, keys).problem["code"] == "too_large"


def test_of_duplicate_keys_the_last_counts(place: Place) -> None:
    answer = place.call(("PATCH", "/user-service/users/me"), b'{"name":"First","name":"Last"}')
    assert answer.json["name"] == "Last"
    answer = place.call(("PATCH", "/user-service/users/me"), b'{"name":"First","name":1}')
    assert (answer.status, answer.problem["field"]) == (422, "name")


def test_routes_without_a_body_do_not_look_at_one(target: Target) -> None:
    ann, bob = target.people("Ann", "Bob")
    path = f"/user-service/users/me/blocks/{bob.id}"
    for raw in (b"", b"nonsense", b"[" * 10_000):
        assert ann.rest("PUT", path, raw=raw).status == 204


# ---- which values are wrong


def _wrong_fields(kind: type[Struct]) -> Iterator[tuple[str, Any]]:
    hints = get_type_hints(kind, include_extras=True)
    for field in fields(kind):
        for value in VALUES:
            if not _fits(hints[field.name], value):
                yield field.name, value


def _fits(hint: Any, value: Any) -> bool:
    """Whether a decoder takes the value for the type (written down anew, not asked of the decoder)."""
    origin = get_origin(hint)
    if hint is Raw:
        return isinstance(value, dict)  # the body of a message; what is in it has tests of its own
    if origin in (typing.Union, types.UnionType):
        return any(_fits(each, value) for each in get_args(hint) if each is not UnsetType)
    if origin is Literal:
        return value in get_args(hint) and isinstance(value, str)
    if origin is Annotated:
        inner, *metas = get_args(hint)
        return _fits(inner, value) and all(
            isinstance(meta, msgspec.Meta) and (meta.ge or 0) <= value <= (meta.le or value) for meta in metas
        )
    if origin is list:
        return isinstance(value, list) and all(_fits(get_args(hint)[0], each) for each in value)
    if hint is type(None):
        return value is None
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63
    if hint in (str, bool):
        return isinstance(value, hint)
    assert issubclass(hint, Struct), hint
    return False


def test_open_routes_take_bodies_without_a_token(target: Target) -> None:
    for route in all_routes():
        if route.rule == OPEN and BODIES.get((route.method, route.path)):
            assert target.rest(route.method, route.path, {}).status == 422


def test_a_name_or_an_address_of_sql_is_text(target: Target) -> None:
    sql = "Robert'); DROP TABLE users;--"
    person: Person = target.register(sql)
    assert person.rest("GET", "/user-service/users/me").json["name"] == sql
    made = person.group(name=sql)
    assert person.rest("GET", f"/group-service/groups/{made['id']}").json["name"] == sql
    ack = person.say(made["conversation"], sql)
    assert person.page(made["conversation"])["messages"][ack["seq"] - 1]["body"] == {"text": sql}
    target.lives()
