"""Whose is it: a stranger with a good token is told of what is not its own what it is told of what is not there."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from core.rules.names import OPEN
from sidecars.ports.http import Route
from tests.security.application import all_routes
from tests.security.web import Answer, at_once
from tests.security.world import Person, Target, direct, messages, new_id

WITH_IDS = [route for route in all_routes() if "<" in route.path and route.rule != OPEN]


@dataclass
class Scene:
    """Ann and Bob have a conversation and a group; Eve is a stranger to both."""

    ann: Person
    bob: Person
    eve: Person
    direct: str
    group: str
    group_conversation: str
    invite: str


@pytest.fixture(scope="module")
def scene(target: Target) -> Scene:
    ann, bob, eve = target.people("Ann", "Bob", "Eve")
    ann.say(direct(ann, bob), "between us")
    made = ann.group(bob)
    ann.say(made["conversation"], "among us")
    invite = ann.rest("POST", f"/group-service/groups/{made['id']}/invites", {}).json["code"]
    target.secrets.add(invite)
    return Scene(ann, bob, eve, direct(ann, bob), made["id"], made["conversation"], invite)


def _missing(scene: Scene, kind: str) -> str:
    other = new_id()
    return {"direct": f"d:{min(other, scene.bob.id)}:{max(other, scene.bob.id)}", "group": f"g:{other}"}.get(
        kind, other
    )


BODIES: dict[str, Any] = {
    "messages": {"client_id": new_id(), "body": {"text": "x"}},
    "members": {"members": [{"user": new_id()}]},
    "invites": {},
    "<group>": {"name": "mine"},
    "<user>": {"role": "admin"},
}

Ids = Callable[[Scene], tuple[dict[str, str], dict[str, str]]]
"""The ids in a path: of what exists and is another's, and of what does not exist."""

FOREIGN: dict[str, Ids] = {
    "/message-service/conversations/<conversation>": lambda s: (
        {"conversation": s.direct},
        {"conversation": _missing(s, "direct")},
    ),
    "/group-message-service/conversations/<conversation>": lambda s: (
        {"conversation": s.group_conversation},
        {"conversation": _missing(s, "group")},
    ),
    "/relay-service/conversations/<conversation>": lambda s: (
        {"conversation": s.group_conversation},
        {"conversation": _missing(s, "group")},
    ),
    "/group-service/groups/<group>/members/<user>": lambda s: (
        {"group": s.group, "user": s.bob.id},
        {"group": new_id(), "user": s.bob.id},
    ),
    "/group-service/groups/<group>": lambda s: ({"group": s.group}, {"group": new_id()}),
    "/user-service/users/me/devices/<device>": lambda s: ({"device": s.ann.device}, {"device": new_id()}),
}

OPEN_BY_NATURE = {
    "/group-service/invites/<code>/accept": "who holds a code may use it; that a wrong one tells nothing is tested below",
    "/user-service/users/<user>": "names are for all users",
    "/user-service/users/me/blocks/<user>": "everyone may be blocked; whom I block is my own",
    "/last-seen-service/users/<user>": "what is told follows privacy: tested below",
}


def _ids(path: str, scene: Scene) -> tuple[dict[str, str], dict[str, str]]:
    longest = max((prefix for prefix in FOREIGN if path.startswith(prefix)), key=len)
    return FOREIGN[longest](scene)


def test_every_route_with_an_id_is_tested_here() -> None:
    for route in WITH_IDS:
        is_known = any(route.path.startswith(prefix) for prefix in FOREIGN)
        assert is_known != (route.path in OPEN_BY_NATURE), route


@pytest.mark.parametrize("is_member_of_others", [False, True], ids=["of nothing", "of other things"])
@pytest.mark.parametrize(
    "route", [r for r in WITH_IDS if r.path not in OPEN_BY_NATURE], ids=lambda route: f"{route.method} {route.path}"
)
def test_a_stranger_is_told_of_what_exists_what_it_is_told_of_what_does_not(
    target: Target, scene: Scene, route: Route, is_member_of_others: bool
) -> None:
    stranger = target.register()
    if is_member_of_others:
        stranger.group(scene.bob)
        stranger.say(direct(stranger, scene.bob))
    body = BODIES.get(route.path.rpartition("/")[2], {})
    told = []
    for ids in _ids(route.path, scene):
        path = route.path
        for name, value in ids.items():
            path = path.replace(f"<{name}>", value)
        queries = ("", "?after=0", "?before=9", "?around=1&limit=5") if route.method == "GET" else ("",)
        for query in queries:
            has_body = route.method in ("POST", "PATCH")
            answer = stranger.rest(route.method, path + query, **({"body": body} if has_body else {}))
            assert answer.problem["code"] == "not_found", (path, answer)
            told.append(_without_ids(answer, ids.values()))
    assert len({json.dumps(each) for each in told}) == 1, told


def _without_ids(answer: Answer, ids: Any) -> list[Any]:
    body = answer.body.decode()
    for value in ids:
        body = body.replace(value, "ID")
    headers = {name: value for name, value in answer.headers.items() if name != "date"}
    headers["content-length"] = ""  # of a body that may echo the id
    return [answer.status, body, headers]


FRAMES: dict[str, dict[str, Any]] = {
    "send": {"client_id": new_id(), "body": {"text": "x"}},
    "reaction": {"type": "send", "client_id": new_id(), "kind": "reaction", "ref": 1, "body": {"emoji": "x"}},
    "deletion": {"type": "send", "client_id": new_id(), "kind": "delete", "ref": 1},
    "retry": {"type": "send", "client_id": new_id(), "body": {"text": "x"}, "retry": True},
    "mark": {"read": 1},
    "mark delivered": {"type": "mark", "delivered": 1},
    "mark above": {"type": "mark", "read": 1_000},
    "pull": {"after": 0},
    "pull before": {"type": "pull", "before": 100},
    "typing": {"on": True},
}


@pytest.mark.parametrize("where", ["direct", "group"])
@pytest.mark.parametrize("kind", FRAMES)
def test_a_frame_of_a_stranger_gets_not_found_and_reaches_nobody(scene: Scene, kind: str, where: str) -> None:
    foreign = scene.direct if where == "direct" else scene.group_conversation
    head = scene.ann.page(foreign)["head"]
    with scene.eve.open() as peer, scene.ann.open() as anns:
        told = []
        for conversation in (foreign, _missing(scene, where)):
            answer = peer.ask(**{"type_": kind, **_renamed(FRAMES[kind])}, conversation=conversation)
            assert answer["code"] == "not_found"
            told.append(json.dumps(answer).replace(conversation, "ID"))
        assert told[0] == told[1]
        assert anns.ask_text("{}")[0]["type"] == "error"
    assert scene.ann.page(foreign)["head"] == head


def _renamed(fields: dict[str, Any]) -> dict[str, Any]:
    return {"type_" if name == "type" else name: value for name, value in fields.items()}


def test_a_stranger_neither_lists_nor_is_pushed_what_is_not_its_own(scene: Scene) -> None:
    with scene.eve.open() as peer:
        scene.ann.say(scene.direct, "a secret")
        scene.ann.say(scene.group_conversation, "a secret")
        assert peer.ask_text("{}")[0]["type"] == "error"  # nothing came before
    for path, name in (
        ("/relay-service/conversations", "conversations"),
        ("/relay-service/pending", "messages"),
        ("/group-service/groups", "groups"),
    ):
        shown = json.dumps(scene.eve.rest("GET", path).json[name])
        for secret in (scene.direct, scene.group, "a secret"):
            assert secret not in shown


def test_delivered_in_a_foreign_conversation_is_not_found(scene: Scene) -> None:
    for where in ("direct", "group"):
        foreign = scene.direct if where == "direct" else scene.group_conversation
        told = {
            (answer.status, answer.body.decode().replace(conversation, "ID"))
            for conversation in (foreign, _missing(scene, where))
            for answer in [scene.eve.rest("POST", "/relay-service/delivered", {"conversation": conversation, "seq": 1})]
        }
        assert [status for status, _ in told] == [404]


def test_one_service_does_not_show_what_is_the_others(scene: Scene) -> None:
    for service, conversation in (
        ("message-service", scene.group_conversation),
        ("group-message-service", scene.direct),
    ):
        path = f"/{service}/conversations/{conversation}/messages"
        assert scene.ann.rest("GET", path).problem["code"] == "not_found"
        send = {"client_id": new_id(), "body": {"text": "x"}}
        assert scene.ann.rest("POST", path, send).problem["code"] == "not_found"


@pytest.mark.parametrize("kind", ["text", "edit", "delete", "reaction"])
def test_an_entry_of_another_conversation_cannot_be_referred_to(target: Target, kind: str) -> None:
    ann, bob, eve = target.people("Ann", "Bob", "Eve")
    for number in range(5):
        ann.say(direct(ann, bob), str(number))
    eve.say(direct(bob, eve))
    body = {"emoji": "x"} if kind == "reaction" else {"text": "x"}
    for ref in (5, 1_000_000):
        send = {"client_id": new_id(), "kind": kind, "ref": ref, "body": body}
        answer = eve.rest("POST", messages(direct(bob, eve)), send)
        assert (answer.status, answer.problem["field"]) == (404, "ref")


def test_anothers_entries_cannot_be_changed(target: Target) -> None:
    ann, bob = target.people("Ann", "Bob")
    conversation = direct(ann, bob)
    ann.say(conversation, "Ann's")
    for kind in ("edit", "delete"):
        send = {"client_id": new_id(), "kind": kind, "ref": 1, "body": {"text": "Bob's"}}
        assert bob.rest("POST", messages(conversation), send).problem["code"] == "forbidden"
    assert bob.page(conversation)["messages"][0]["body"] == {"text": "Ann's"}


# ---- groups


@pytest.fixture
def team(target: Target) -> tuple[dict[str, Person], str]:
    """One of each role, and their group's path."""
    people = dict(zip(("owner", "admin", "member", "reader", "stranger"), target.people(*"OAMRS")))
    wish = {
        "name": "team",
        "members": [{"user": people[role].id, "role": role} for role in ("admin", "member", "reader")],
    }
    made = people["owner"].rest("POST", "/group-service/groups", wish).json
    return people, f"/group-service/groups/{made['id']}"


Team = tuple[dict[str, Person], str]


@pytest.mark.parametrize("role", ["admin", "member", "reader", "stranger"])
def test_nobody_makes_himself_more_than_he_is(team: Team, role: str) -> None:
    people, path = team
    before = people["owner"].rest("GET", path).json
    me = people[role]
    code = "not_found" if role == "stranger" else "forbidden"
    for more in ("owner", "admin"):
        if (role, more) != ("admin", "admin"):
            assert me.rest("PATCH", f"{path}/members/{me.id}", {"role": more}).problem["code"] == code
    assert me.rest("DELETE", f"{path}/members/{people['owner'].id}").problem["code"] == code
    assert me.rest("DELETE", path).problem["code"] == code
    for added in ({"user": me.id, "role": "owner"}, {"user": me.id}):
        assert me.rest("POST", f"{path}/members", {"members": [added]}).problem["code"] in (code, "conflict")
    assert people["owner"].rest("GET", path).json == before


@pytest.mark.parametrize("role", ["member", "reader", "stranger"])
def test_who_is_no_admin_changes_nothing_of_others(team: Team, target: Target, role: str) -> None:
    people, path = team
    before = people["owner"].rest("GET", path).json
    me, newcomer = people[role], target.register()
    code = "not_found" if role == "stranger" else "forbidden"
    for method, rest, body in (
        ("PATCH", "", {"name": "mine"}),
        ("PATCH", "", {"history": "shared"}),
        ("POST", "/members", {"members": [{"user": newcomer.id}]}),
        ("POST", "/invites", {}),
        ("PATCH", f"/members/{people['admin'].id}", {"role": "reader"}),
    ):
        assert me.rest(method, path + rest, body).problem["code"] == code, (method, rest)
    for other in ("admin", "member", "reader"):
        if other != role:
            assert me.rest("DELETE", f"{path}/members/{people[other].id}").problem["code"] == code
    assert people["owner"].rest("GET", path).json == before


def test_an_admin_does_not_touch_owners_and_admins(team: Team) -> None:
    people, path = team
    admin = people["admin"]
    assert people["owner"].rest("PATCH", f"{path}/members/{people['member'].id}", {"role": "admin"}).status == 200
    before = people["owner"].rest("GET", path).json
    for other in ("owner", "member"):
        for role in ("owner", "member", "reader"):
            answer = admin.rest("PATCH", f"{path}/members/{people[other].id}", {"role": role})
            assert answer.problem["code"] == "forbidden"
        assert admin.rest("DELETE", f"{path}/members/{people[other].id}").problem["code"] == "forbidden"
    assert people["owner"].rest("GET", path).json == before


def test_the_last_owner_can_neither_leave_nor_step_down(team: Team) -> None:
    people, path = team
    owner = people["owner"]
    own = f"{path}/members/{owner.id}"
    assert owner.rest("DELETE", own).problem["code"] == "conflict"
    for role in ("admin", "member", "reader"):
        assert owner.rest("PATCH", own, {"role": role}).problem["code"] == "conflict"
    assert owner.rest("PATCH", f"{path}/members/{people['member'].id}", {"role": "owner"}).status == 200
    assert owner.rest("DELETE", own).status == 204


def test_two_last_owners_cannot_both_leave(target: Target) -> None:
    ann, bob = target.people("Ann", "Bob")
    made = ann.rest("POST", "/group-service/groups", {"name": "x", "members": [{"user": bob.id, "role": "owner"}]}).json
    requests = [
        (
            f"DELETE /group-service/groups/{made['id']}/members/{each.id} HTTP/1.1\r\nHost: localhost\r\n"
            f"Authorization: Bearer {each.token}\r\nConnection: close\r\n\r\n"
        ).encode()
        for each in (ann, bob)
    ]
    assert sorted(answer.status for answer in at_once(target.port, requests)) == [204, 409]


def test_a_reader_may_read_and_not_write(team: Team) -> None:
    people, path = team
    conversation = f"g:{path.rpartition('/')[2]}"
    people["member"].say(conversation, "hello")
    reader = people["reader"]
    assert reader.page(conversation)["head"] == 2
    send = {"client_id": new_id(), "body": {"text": "x"}}
    assert reader.rest("POST", messages(conversation), send).problem["code"] == "forbidden"
    with reader.open() as peer:
        assert peer.ask("send", conversation=conversation, **send)["code"] == "forbidden"
        react = {"client_id": new_id(), "kind": "reaction", "ref": 2, "body": {"emoji": "x"}}
        assert peer.ask("send", conversation=conversation, **react)["code"] == "forbidden"


@pytest.mark.parametrize("role", ["root", "", "Owner", "none"])
def test_a_role_that_does_not_exist_is_refused(team: Team, role: str) -> None:
    people, path = team
    answer = people["owner"].rest("PATCH", f"{path}/members/{people['member'].id}", {"role": role})
    assert (answer.status, answer.problem["field"]) == (422, "role")


def test_wrong_used_and_ended_invites_are_answered_as_those_that_never_were(target: Target, scene: Scene) -> None:
    path = f"/group-service/groups/{scene.group}/invites"
    used = scene.ann.rest("POST", path, {"uses": 1}).json["code"]
    target.secrets.add(used)
    assert target.register().rest("POST", f"/group-service/invites/{used}/accept").status == 200
    told = {
        (answer.status, answer.body)
        for code in (used, "0" * 64, "x", scene.invite[:-1], scene.invite.upper(), "' OR 1=1 --".replace(" ", "%20"))
        for answer in [scene.eve.rest("POST", f"/group-service/invites/{code}/accept")]
    }
    assert [status for status, _ in told] == [404]
    assert scene.invite.encode() not in target.stored_bytes()


# ---- presence


def test_who_may_not_see_is_told_the_same_whoever_it_is(target: Target) -> None:
    ann, eve, hiding, blocking, gone = target.people("Ann", "Eve", "Hiding", "Blocking", "Gone")
    for each in (hiding, blocking):
        eve.say(direct(eve, each))
    hiding.rest("PUT", "/user-service/users/me/privacy", {"last_seen": "nobody", "read_receipts": True})
    blocking.rest("PUT", f"/user-service/users/me/blocks/{eve.id}")
    gone.rest("DELETE", "/user-service/users/me")
    others = [ann.id, hiding.id, blocking.id, gone.id, new_id()]
    with ann.open(), hiding.open(), blocking.open(), eve.open() as peer:
        told = {
            json.dumps(eve.rest("GET", f"/last-seen-service/users/{each}").json).replace(each, "ID") for each in others
        }
        assert told == {'{"user": "ID", "state": "hidden"}'}
        peer.send("watch", users=others)
        frames = [peer.until("presence") for _ in others]
        assert sorted(each["user"] for each in frames) == sorted(others)
        assert {json.dumps({**each, "user": "ID"}) for each in frames} == {
            json.dumps({"type": "presence", "user": "ID", "state": "hidden"})
        }
