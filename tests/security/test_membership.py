"""Members come and go: nothing from before or after reaches them, by whichever way they look."""

import json
from typing import Any

import pytest

from tests.security.peer import Frame, Peer
from tests.security.web import at_once
from tests.security.world import Person, Target, direct, messages, new_id, texts_of


def _seqs(frames: list[Frame], conversation: str) -> list[int]:
    return [each["seq"] for each in frames if each["type"] == "message" and each["conversation"] == conversation]


def _everything_seen(person: Person, conversation: str) -> set[int]:
    """All seqs that one gets to see by any way of asking."""
    seen: set[int] = set()
    for query in (
        "",
        "?after=0&limit=200",
        "?before=9007199254740991&limit=200",
        *(f"?around={seq}&limit=200" for seq in (1, 2, 3, 5, 8, 13, 20)),
        *(f"?after={seq}" for seq in (3, 5, 8)),
    ):
        page = person.rest("GET", messages(conversation) + query).json
        seen |= {each["seq"] for each in page["messages"]}
        seen.add(page["head"])
    pending = person.rest("GET", "/relay-service/pending?limit=200").json["messages"]
    seen |= {each["seq"] for each in pending if each["conversation"] == conversation}
    listed = person.listed(conversation)
    seen |= {listed["head"], listed["last"]["seq"]}
    for replay_each in (0, 1, 100):
        with Peer(person.target.port) as peer:
            frames = peer.hello(person.token, replay_each=replay_each)
            seen |= set(_seqs(frames, conversation))
            (told,) = (
                each
                for frame in frames
                if frame["type"] == "conversations"
                for each in frame["conversations"]
                if each["conversation"] == conversation
            )
            seen |= {told["head"], told["last"]["seq"]}
            seen |= {each["head"] for each in frames[-1]["pending"] if each["conversation"] == conversation}
            for bounds in ({"after": 0}, {"after": 5}, {"before": 2**53}, {"before": 4}):
                page = peer.ask("pull", conversation=conversation, limit=200, **bounds)
                seen |= {each["seq"] for each in page["messages"]} | {page["head"]}
    return seen


def test_a_removed_member_sees_its_removal_and_nothing_later(target: Target) -> None:
    ann, bob, cy = target.people("Ann", "Bob", "Cy")
    made = ann.group(bob, cy)
    conversation = made["conversation"]
    ann.say(conversation, "before")
    with cy.open() as peer:
        assert ann.rest("DELETE", f"/group-service/groups/{made['id']}/members/{cy.id}").status == 204
        for number in range(5):
            ann.say(conversation, f"after {number}")
        edit = {"client_id": new_id(), "kind": "edit", "ref": 2, "body": {"text": "edited after"}}
        assert ann.rest("POST", messages(conversation), edit).status == 201
        peer.send("ping", id="end")
        pushed: list[Frame] = []
        while not pushed or pushed[-1].get("id") != "end":
            pushed.append(peer.read())
    assert _seqs(pushed, conversation) == [3]
    seen = _everything_seen(cy, conversation)
    assert seen == {1, 2, 3}
    shown = json.dumps(cy.page(conversation)) + json.dumps(pushed)
    assert "after" not in shown.replace('"after"', "")
    assert cy.listed(conversation)["role"] == "none"
    assert cy.rest("GET", f"/group-service/groups/{made['id']}").problem["code"] == "not_found"
    assert cy.rest("GET", "/group-service/groups").json["groups"] == []


def test_a_removed_member_does_nothing_more(target: Target) -> None:
    ann, bob, cy = target.people("Ann", "Bob", "Cy")
    made = ann.group(bob, cy)
    conversation = made["conversation"]
    cy.say(conversation, "mine")
    with cy.open() as peer, bob.open() as bobs:
        assert ann.rest("DELETE", f"/group-service/groups/{made['id']}/members/{cy.id}").status == 204
        bobs.until("message")
        ann.say(conversation, "later")
        bobs.until("message")
        sends: list[dict[str, Any]] = [
            {"body": {"text": "x"}},
            {"kind": "edit", "ref": 2, "body": {"text": "x"}},
            {"kind": "delete", "ref": 2},
            {"kind": "reaction", "ref": 1, "body": {"emoji": "x"}},
        ]
        for send in sends:
            for via in ("socket", "REST"):
                fields = {"client_id": new_id(), **send}
                if via == "socket":
                    assert peer.ask("send", conversation=conversation, **fields)["code"] == "not_found"
                else:
                    assert cy.rest("POST", messages(conversation), fields).problem["code"] == "not_found"
        assert peer.ask("mark", conversation=conversation, read=4)["code"] == "bad_request"
        assert not peer.ask_text(json.dumps({"type": "mark", "conversation": conversation, "read": 3}))
        peer.send("typing", conversation=conversation, on=True)
        peer.ping()
        ann.say(conversation, "last")
        frames = bobs.frames_until("message")
        assert {each["type"] for each in frames} <= {"message", "conversations", "marks"}
        assert cy.id not in {mark["user"] for each in frames if each["type"] == "marks" for mark in each["marks"]}
    for method, path, body in (
        ("POST", f"/group-service/groups/{made['id']}/members", {"members": [{"user": cy.id}]}),
        ("PATCH", f"/group-service/groups/{made['id']}/members/{cy.id}", {"role": "member"}),
        ("PATCH", f"/group-service/groups/{made['id']}", {"name": "mine"}),
    ):
        assert cy.rest(method, path, body).problem["code"] == "not_found"


@pytest.mark.parametrize("round_", range(5))
def test_a_removal_that_races_with_sends_is_the_last_that_the_removed_one_sees(target: Target, round_: int) -> None:
    ann, bob, cy = target.people("Ann", "Bob", "Cy")
    made = ann.group(bob, cy)
    conversation = made["conversation"]
    removal = (
        f"DELETE /group-service/groups/{made['id']}/members/{cy.id} HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Bearer {ann.token}\r\nConnection: close\r\n\r\n"
    ).encode()
    with cy.open() as cys, bob.open() as bobs:
        for number in range(40):
            bobs.send("send", id=number, client_id=new_id(), conversation=conversation, body={"text": str(number)})
            cys.send("send", id=number, client_id=new_id(), conversation=conversation, body={"text": "cy"})
            if number == 5 * round_:
                (answer,) = at_once(target.port, [removal])
                assert answer.status == 204
        acks = [bobs.answer(number) for number in range(40)]
        assert {each["type"] for each in acks} == {"ack"}
        pushed: list[Frame] = []
        while sum(isinstance(each.get("id"), int) for each in pushed) < 40:
            pushed.append(cys.read())
    log = ann.page(conversation)["messages"]
    removed_at = next(
        each["seq"] for each in log if each["kind"] == "member" and cy.id in each["body"].get("removed", [])
    )
    own = [each["seq"] for each in pushed if each["type"] == "ack"]
    refused = {each["code"] for each in pushed if each["type"] == "error"}
    assert refused <= {"not_found"}
    seen = _seqs(pushed, conversation)
    assert seen == sorted(seen)
    assert max([*seen, *own]) <= removed_at
    assert _everything_seen(cy, conversation) <= set(range(1, removed_at + 1))
    assert all(each["seq"] < removed_at for each in log if each["sender"] == cy.id)


# ---- before the join


@pytest.mark.parametrize("by", ["an admin", "an invite"])
def test_a_new_member_sees_nothing_from_before_its_join(target: Target, by: str) -> None:
    ann, bob, cy = target.people("Ann", "Bob", "Cy")
    made = ann.group(bob)
    conversation = made["conversation"]
    for number in range(4):
        ann.say(conversation, f"early {number}")
    with cy.open() as peer:
        _join(ann, cy, made["id"], by)
        joined_at = 6
        ann.say(conversation, "late")
        frames = [peer.read()]
        while not texts_of([each for each in frames if each["type"] == "message"]):
            frames.append(peer.read())
        assert min(_seqs(frames, conversation)) == joined_at
        for kind, body in (("reaction", {"emoji": "x"}), ("text", {"text": "a reply"})):
            send = {"client_id": new_id(), "kind": kind, "ref": 2, "body": body}
            assert peer.ask("send", conversation=conversation, **send)["code"] == "not_found"
            send["client_id"] = new_id()
            assert cy.rest("POST", messages(conversation), send).problem["code"] == "not_found"
    react = {"client_id": new_id(), "kind": "reaction", "ref": 2, "body": {"emoji": "x"}}
    assert ann.rest("POST", messages(conversation), react).status == 201
    assert cy.listed(conversation)["first"] == joined_at
    assert min(_everything_seen(cy, conversation)) == joined_at
    assert "early" not in json.dumps(cy.page(conversation))
    assert "early" not in json.dumps(cy.rest("GET", "/relay-service/pending").json)
    assert cy.listed(conversation)["unread"] == 1


def test_who_comes_back_sees_nothing_from_between(target: Target) -> None:
    ann, bob, cy = target.people("Ann", "Bob", "Cy")
    made = ann.group(bob, cy)
    conversation = made["conversation"]
    ann.say(conversation, "with Cy")
    ann.rest("DELETE", f"/group-service/groups/{made['id']}/members/{cy.id}")
    ann.say(conversation, "between")
    _join(ann, cy, made["id"], "an admin")
    ann.say(conversation, "with Cy again")
    assert "between" not in json.dumps(cy.page(conversation))
    with cy.open() as peer:
        frames = [
            peer.ask("pull", conversation=conversation, after=0),
            peer.ask("pull", conversation=conversation, before=6),
        ]
        assert "between" not in json.dumps(frames)
    assert 4 not in _everything_seen(cy, conversation)


def test_where_the_group_shares_its_history_a_new_member_sees_all(target: Target) -> None:
    ann, bob, cy = target.people("Ann", "Bob", "Cy")
    made = ann.group(bob, history="shared")
    ann.say(made["conversation"], "early")
    _join(ann, cy, made["id"], "an invite")
    assert texts_of(cy.page(made["conversation"])["messages"]) == ["early"]


def test_a_history_that_is_shared_later_opens_nothing_to_who_is_there(target: Target) -> None:
    ann, bob, cy = target.people("Ann", "Bob", "Cy")
    made = ann.group(bob)
    ann.say(made["conversation"], "early")
    _join(ann, cy, made["id"], "an admin")
    assert ann.rest("PATCH", f"/group-service/groups/{made['id']}", {"history": "shared"}).status == 200
    assert "early" not in json.dumps(cy.page(made["conversation"]))


def test_the_end_of_a_group_is_the_last_that_anyone_sees(target: Target) -> None:
    ann, bob = target.people("Ann", "Bob")
    made = ann.group(bob)
    ann.say(made["conversation"])
    invite = ann.rest("POST", f"/group-service/groups/{made['id']}/invites", {}).json["code"]
    target.secrets.add(invite)
    assert ann.rest("DELETE", f"/group-service/groups/{made['id']}").status == 204
    for each in (ann, bob):
        send = {"client_id": new_id(), "body": {"text": "x"}}
        assert each.rest("POST", messages(made["conversation"]), send).problem["code"] == "not_found"
        assert each.rest("GET", f"/group-service/groups/{made['id']}").problem["code"] == "not_found"
        assert each.rest("POST", f"/group-service/invites/{invite}/accept").problem["code"] == "not_found"
        assert _everything_seen(each, made["conversation"]) == {1, 2, 3}


def _join(admin: Person, person: Person, group: str, by: str) -> None:
    if by == "an admin":
        answer = admin.rest("POST", f"/group-service/groups/{group}/members", {"members": [{"user": person.id}]})
    else:
        code = admin.rest("POST", f"/group-service/groups/{group}/invites", {}).json["code"]
        admin.target.secrets.add(code)
        answer = person.rest("POST", f"/group-service/invites/{code}/accept")
    assert answer.status == 200, answer


# ---- blocks


def test_who_is_blocked_cannot_tell(target: Target) -> None:
    ann, bob, cy = target.people("Ann", "Bob", "Cy")
    conversation = direct(ann, bob)
    ann.say(conversation)
    bob.say(direct(bob, cy))
    assert ann.rest("PUT", f"/user-service/users/me/blocks/{bob.id}").status == 204
    with bob.open() as bobs, ann.open() as anns:
        answers = [bobs.ask("send", client_id=new_id(), to=to.id, body={"text": "secret"}) for to in (ann, cy)]
        assert answers[0].keys() == answers[1].keys()
        bobs.send("typing", conversation=conversation, on=True)
        bobs.send("mark", conversation=conversation, read=2)
        bobs.until("marks")
        anns.send("ping", id="end")
        frames = [anns.read()]
        while frames[-1].get("id") != "end":
            frames.append(anns.read())
    assert [each["kind"] for each in frames if each["type"] == "message"] == ["hidden"]
    assert "secret" not in json.dumps(frames)
    told_of = {mark["user"] for each in frames if each["type"] == "marks" for mark in each["marks"]}
    told_of |= {each["user"] for each in frames if each["type"] == "typing"}
    assert bob.id not in told_of
    assert "secret" not in json.dumps(ann.page(conversation))
    assert "secret" not in json.dumps(ann.listed(conversation))
    assert ann.rest("DELETE", f"/user-service/users/me/blocks/{bob.id}").status == 204
    assert "secret" not in json.dumps(ann.page(conversation))
    assert ann.listed(conversation)["unread"] == 0


def test_a_session_that_ends_is_not_pushed_to(target: Target) -> None:
    ann, bob = target.people("Ann", "Bob")
    made = ann.group(bob)
    with bob.open() as peer:
        peer.send("bye")
        ann.say(made["conversation"])
        assert peer.close_code() == 1000
    target.lives()
