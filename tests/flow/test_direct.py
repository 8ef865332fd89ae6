"""Two people chat over real sockets, by the `websockets` package and by REST."""

from tests.flow.conftest import NewPerson
from tests.flow.peer import Peer, new_id, texts
from tests.harness.server import Server


def test_what_one_writes_the_other_reads(server: Server, new: NewPerson) -> None:
    ann, bob = new("ann"), new("bob")
    with Peer.greeted(server, ann) as at_ann, Peer.greeted(server, bob) as at_bob:
        client_id = new_id()
        ack = at_ann.ask("send", to=bob.id, client_id=client_id, body={"text": "hi é 👍", "own": [1]})
        assert (ack["type"], ack["conversation"], ack["seq"]) == ("ack", ann.direct(bob), 1)
        assert (ack["client_id"], ack["duplicate"]) == (client_id, False)
        message = at_bob.next("message")
        listed = at_bob.taken("conversations")  # it came before the first message
        assert listed[0]["conversations"][0]["peer"]["user"] == ann.id
        assert message == {
            "type": "message",
            "conversation": ann.direct(bob),
            "seq": 1,
            "sender": ann.id,
            "device": ann.device,
            "client_id": client_id,
            "kind": "text",
            "body": {"text": "hi é 👍", "own": [1]},
            "time_ms": ack["time_ms"],
        }
        assert at_bob.send(ann.direct(bob), "hello yourself")["seq"] == 2
        assert at_ann.next("message")["body"] == {"text": "hello yourself"}


def test_a_retry_gets_the_same_seq_and_is_given_to_nobody_twice(server: Server, new: NewPerson) -> None:
    ann, bob = new("ann"), new("bob")
    with Peer.greeted(server, ann) as at_ann, Peer.greeted(server, bob) as at_bob:
        once = {"client_id": new_id(), "body": {"text": "once"}}
        first = at_ann.ask("send", to=bob.id, **once)
        again = at_ann.ask("send", to=bob.id, retry=True, **once)
        assert (again["seq"], again["duplicate"]) == (first["seq"], True)
        error = at_ann.ask("send", to=bob.id, retry=True, client_id=once["client_id"], body={"text": "other"})
        assert error["code"] == "conflict"
        assert at_bob.next("message")["body"] == {"text": "once"}
        assert at_bob.heard("message") == []


def test_each_device_of_both_gets_every_entry_and_the_sending_one_the_ack_only(server: Server, new: NewPerson) -> None:
    ann, bob = new("ann"), new("bob")
    with (
        Peer.greeted(server, ann) as phone,
        Peer.greeted(server, ann.again()) as laptop,
        Peer.greeted(server, bob) as bobs_phone,
        Peer.greeted(server, bob.again()) as bobs_laptop,
    ):
        phone.send(ann.direct(bob), "from the phone")
        for other in (laptop, bobs_phone, bobs_laptop):
            message = other.next("message")
            assert (message["body"]["text"], message["device"]) == ("from the phone", ann.device)
        assert phone.heard("message") == []


def test_who_was_away_gets_what_was_missed_once_and_in_order(server: Server, new: NewPerson) -> None:
    ann, bob = new("ann"), new("bob")
    conversation = ann.direct(bob)
    with Peer.greeted(server, ann) as at_ann:
        with Peer.greeted(server, bob) as at_bob:
            at_ann.send(conversation, "1")
            at_bob.next("message")
            at_bob.say("mark", conversation=conversation, delivered=1)
            at_ann.next_marks(bob, delivered=1, read=0)
        for number in range(2, 7):
            at_ann.send(conversation, str(number))
        with Peer(server, bob) as at_bob:
            greeting = at_bob.hello()
            assert texts(greeting.messages) == ["2", "3", "4", "5", "6"]
            assert (greeting.of(conversation)["delivered"], greeting.of(conversation)["head"]) == (1, 6)
            assert greeting.synced["pending"] == []
            at_ann.send(conversation, "7")
            assert at_bob.next("message")["seq"] == 7


def test_what_the_replay_leaves_over_is_named_and_pulled(server: Server, new: NewPerson) -> None:
    ann, bob = new("ann"), new("bob")
    conversation = ann.direct(bob)
    with Peer.greeted(server, ann) as at_ann:
        for number in range(1, 8):
            at_ann.send(conversation, str(number))
    with Peer(server, bob) as at_bob:
        greeting = at_bob.hello(replay=3)
        assert texts(greeting.messages) == ["1", "2", "3"]
        assert greeting.synced["pending"] == [{"conversation": conversation, "head": 7}]
        page = at_bob.pull(conversation, after=3)
        assert (texts(page["messages"]), page["head"], page["more"]) == (["4", "5", "6", "7"], 7, False)
    with Peer(server, bob) as at_bob:
        assert at_bob.hello(replay=0).messages == []


def test_pages_go_both_ways(server: Server, new: NewPerson) -> None:
    ann, bob = new("ann"), new("bob")
    conversation = ann.direct(bob)
    with Peer.greeted(server, ann) as at_ann:
        for number in range(1, 11):
            at_ann.send(conversation, str(number))
        forwards = at_ann.pull(conversation, after=2, limit=3)
        assert ([each["seq"] for each in forwards["messages"]], forwards["more"]) == ([3, 4, 5], True)
        backwards = at_ann.pull(conversation, before=9, limit=3)
        assert ([each["seq"] for each in backwards["messages"]], backwards["more"]) == ([6, 7, 8], True)
        start = at_ann.pull(conversation, before=3, limit=3)
        assert ([each["seq"] for each in start["messages"]], start["more"]) == ([1, 2], False)


def test_since_spares_what_has_not_changed(server: Server, new: NewPerson) -> None:
    ann, bob, cy = new("ann"), new("bob"), new("cy")
    with Peer.greeted(server, ann) as at_ann, Peer.greeted(server, cy) as at_cy:
        at_ann.send(ann.direct(bob), "one")
        at_cy.send(cy.direct(bob), "two")
        with Peer(server, bob) as at_bob:
            at_bob.hello()
            for conversation in (ann.direct(bob), cy.direct(bob)):
                at_bob.say("mark", conversation=conversation, read=1)
            at_ann.next_marks(bob, delivered=1, read=1)
            at_cy.next_marks(bob, delivered=1, read=1)
        with Peer(server, bob) as at_bob:
            since = at_bob.hello().synced["since"]
        with Peer(server, bob) as at_bob:
            assert at_bob.hello(since=since).conversations == []
        at_ann.send(ann.direct(bob), "three")
        with Peer(server, bob) as at_bob:
            greeting = at_bob.hello(since=since)
            assert [listed["conversation"] for listed in greeting.conversations] == [ann.direct(bob)]
            assert texts(greeting.messages) == ["three"]


def test_edits_deletions_and_reactions_come_as_entries_and_a_page_shows_what_they_did(
    server: Server, new: NewPerson
) -> None:
    ann, bob = new("ann"), new("bob")
    conversation = ann.direct(bob)
    with Peer.greeted(server, ann) as at_ann, Peer.greeted(server, bob) as at_bob:
        at_ann.send(conversation, "draft")
        at_ann.send(conversation, "regretted")
        at_ann.send(conversation, kind="edit", ref=1, body={"text": "final"})
        got = [at_bob.next("message") for _ in range(3)]
        at_bob.send(conversation, kind="reaction", ref=1, body={"emoji": "👍"})
        at_ann.send(conversation, kind="delete", ref=2, body={})
        refused = at_bob.ask("send", conversation=conversation, client_id=new_id(), kind="delete", ref=1)
        assert refused["code"] == "forbidden"
        got.append(at_bob.next("message"))
        assert [(each["seq"], each["kind"], each.get("ref")) for each in got] == [
            (1, "text", None),
            (2, "text", None),
            (3, "edit", 1),
            (5, "delete", 2),
        ]
        page = at_bob.pull(conversation, after=0)
        first, second, *_ = page["messages"]
        assert [each["seq"] for each in page["messages"]] == [1, 2, 3, 4, 5]
        assert first["edited"]["body"] == {"text": "final"}
        assert first["edited"]["seq"] == 3
        assert first["reactions"] == {"👍": {"count": 1, "mine": True}}
        assert second["deleted"] is True
        assert "regretted" not in str(page)


def test_marks_come_as_ticks_and_the_unread_are_counted(server: Server, new: NewPerson) -> None:
    ann, bob = new("ann"), new("bob")
    conversation = ann.direct(bob)
    with Peer.greeted(server, ann) as at_ann:
        for number in range(1, 4):
            at_ann.send(conversation, str(number))
        with Peer(server, bob) as at_bob:
            listed = at_bob.hello().of(conversation)
            assert (listed["unread"], listed["read"]) == (3, 0)
            at_bob.say("mark", conversation=conversation, delivered=3)
            at_ann.next_marks(bob, delivered=3, read=0)
            at_bob.say("mark", conversation=conversation, read=2)
            at_ann.next_marks(bob, delivered=3, read=2)
        with Peer(server, bob) as at_bob:
            listed = at_bob.hello().of(conversation)
            assert (listed["unread"], listed["read"], listed["delivered"]) == (1, 2, 3)
    with Peer(server, ann) as at_ann:
        assert at_ann.hello().of(conversation)["peer"]["read"] == 2


def test_typing_and_presence_are_told_while_they_last(server: Server, new: NewPerson) -> None:
    ann, bob = new("ann"), new("bob")
    conversation = ann.direct(bob)
    with Peer.greeted(server, ann) as at_ann:
        at_ann.send(conversation, "hi")
        at_ann.say("watch", users=[bob.id])
        # Perhaps `hidden` first: they share a conversation only since a moment.
        at_ann.next("presence", user=bob.id, state="offline")
        with Peer.greeted(server, bob) as at_bob:
            assert at_ann.next("presence", user=bob.id)["state"] == "online"
            at_bob.say("typing", conversation=conversation, on=True)
            assert at_ann.next("typing") == {"type": "typing", "conversation": conversation, "user": bob.id, "on": True}
            at_bob.say("typing", conversation=conversation, on=False)
            assert at_ann.next("typing")["on"] is False
            at_bob.leave()
        gone = at_ann.next("presence", user=bob.id)
        assert gone["state"] == "offline"
        assert gone["last_seen_ms"] > 0


def test_a_token_is_renewed_on_the_live_connection(server: Server, new: NewPerson) -> None:
    ann = new("ann")
    with Peer.greeted(server, ann) as at_ann:
        fresh = ann.post("/user-service/auth/refresh", {"refresh_token": ann.refresh_token})["access_token"]
        renewed = at_ann.ask("renew", token=fresh)
        assert renewed["type"] == "renewed"
        assert at_ann.ask("renew", token=new("bob").access_token)["code"] in ("unauthenticated", "forbidden")
        assert at_ann.ask("ping")["type"] == "pong"


def test_rest_sends_reads_and_tells_what_is_pending(server: Server, new: NewPerson) -> None:
    ann, bob = new("ann"), new("bob")
    conversation = ann.direct(bob)
    path = f"/message-service/conversations/{conversation}/messages"
    with Peer.greeted(server, bob) as at_bob:
        body = {"client_id": new_id(), "body": {"text": "by REST"}}
        ack = ann.post(path, body)
        assert (ack["seq"], ack["duplicate"]) == (1, False)
        assert ann.post(path, body)["duplicate"] is True
        assert at_bob.next("message")["body"] == {"text": "by REST"}
        at_bob.send(conversation, "by socket")
    assert texts(ann.get(f"{path}?after=0")["messages"]) == ["by REST", "by socket"]
    assert texts(bob.get("/relay-service/pending")["messages"])[:1] == ["by REST"]
    bob.post("/relay-service/delivered", {"conversation": conversation, "seq": 2})
    assert bob.get("/relay-service/pending")["messages"] == []
    (listed,) = bob.get("/relay-service/conversations")["conversations"]
    assert (listed["conversation"], listed["head"], listed["delivered"]) == (conversation, 2, 2)
    with Peer(server, bob) as at_bob:
        assert at_bob.hello().messages == []
