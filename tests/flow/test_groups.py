"""Groups over real sockets: who is added sees from its join on, or all; who is removed sees its removal and no more."""

from typing import Any

import pytest

from tests.flow.conftest import NewPerson
from tests.flow.peer import Peer, new_id, texts
from tests.harness.people import Person, Refused
from tests.harness.server import Server


def group_of(owner: Person, *members: Person, **fields: Any) -> tuple[str, str]:
    """A new group: its path, and its conversation."""
    body = {"name": "team", "members": [{"user": member.id} for member in members], **fields}
    made = owner.post("/group-service/groups", body)
    return f"/group-service/groups/{made['id']}", made["conversation"]


def test_what_one_writes_all_members_read(server: Server, new: NewPerson) -> None:
    ann, bob, cy = new("ann"), new("bob"), new("cy")
    with (
        Peer.greeted(server, ann) as at_ann,
        Peer.greeted(server, bob) as at_bob,
        Peer.greeted(server, cy) as at_cy,
    ):
        _, conversation = group_of(ann, bob, cy)
        for peer in (at_ann, at_bob, at_cy):
            listed = peer.next("conversations")["conversations"][0]
            assert (listed["conversation"], listed["title"], listed["members"]) == (conversation, "team", 3)
            made = peer.next("message")
            assert (made["seq"], made["kind"], made["body"]["by"]) == (1, "member", ann.id)
            assert set(made["body"]["added"]) == {ann.id, bob.id, cy.id}
        assert at_bob.send(conversation, "hello team")["seq"] == 2
        for peer in (at_ann, at_cy):
            assert peer.next("message")["body"] == {"text": "hello team"}


def test_who_joins_sees_from_its_join_on(server: Server, new: NewPerson) -> None:
    ann, bob, cy = new("ann"), new("bob"), new("cy")
    path, conversation = group_of(ann, bob)
    with Peer.greeted(server, ann) as at_ann, Peer.greeted(server, cy) as at_cy:
        at_ann.send(conversation, "before")
        ann.post(f"{path}/members", {"members": [{"user": cy.id}]})
        at_ann.send(conversation, "after")
        joined = at_cy.next("message")
        assert (joined["seq"], joined["kind"], joined["body"]["added"]) == (3, "member", [cy.id])
        assert at_cy.next("message")["body"] == {"text": "after"}
        page = at_cy.pull(conversation, after=0)
        assert (page["first"], texts(page["messages"])) == (3, ["after"])


def test_where_history_is_shared_who_joins_may_read_all_of_it(server: Server, new: NewPerson) -> None:
    ann, bob, cy = new("ann"), new("bob"), new("cy")
    path, conversation = group_of(ann, bob, history="shared")
    with Peer.greeted(server, ann) as at_ann:
        at_ann.send(conversation, "before")
        ann.post(f"{path}/members", {"members": [{"user": cy.id}]})
    with Peer(server, cy) as at_cy:
        assert texts(at_cy.hello().messages) == ["before"]
        assert texts(at_cy.pull(conversation, after=0)["messages"]) == ["before"]


def test_who_is_removed_is_told_of_it_and_of_nothing_after(server: Server, new: NewPerson) -> None:
    ann, bob, cy = new("ann"), new("bob"), new("cy")
    path, conversation = group_of(ann, bob, cy)
    with Peer.greeted(server, ann) as at_ann, Peer.greeted(server, cy) as at_cy:
        at_ann.send(conversation, "with cy")
        assert at_cy.next("message", seq=2)["body"] == {"text": "with cy"}
        ann.delete(f"{path}/members/{cy.id}")
        removed = at_cy.next("message")
        assert (removed["seq"], removed["body"]["removed"]) == (3, [cy.id])
        at_ann.send(conversation, "without cy")
        assert at_cy.heard("message") == []
        refused = at_cy.ask("send", conversation=conversation, client_id=new_id(), body={"text": "still here?"})
        assert refused["code"] in ("forbidden", "not_found")
        page = at_cy.pull(conversation, after=0)
        assert (page["head"], texts(page["messages"])) == (3, ["with cy"])
    with Peer(server, cy) as at_cy:
        listed = at_cy.hello().of(conversation)
        assert (listed["role"], listed["head"]) == ("none", 3)
    with pytest.raises(Refused) as stranger:
        new("dan").get(f"/group-message-service/conversations/{conversation}/messages")
    assert stranger.value.status == 404


def test_a_group_written_to_by_rest_is_read_by_socket(server: Server, new: NewPerson) -> None:
    ann, bob = new("ann"), new("bob")
    with Peer.greeted(server, bob) as at_bob:
        _, conversation = group_of(ann, bob)
        path = f"/group-message-service/conversations/{conversation}/messages"
        assert ann.post(path, {"client_id": new_id(), "body": {"text": "by REST"}})["seq"] == 2
        assert at_bob.next("message", seq=2)["body"] == {"text": "by REST"}
        assert texts(bob.get(f"{path}?after=0")["messages"]) == ["by REST"]
