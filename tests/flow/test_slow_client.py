"""A client that does not read: nobody waits for it, and when it reads again it pulls what it missed."""

from tests.flow.conftest import NewPerson
from tests.flow.peer import Peer
from tests.harness.server import Server

MESSAGES = 1_200
TEXT = "x" * 14_000
"""Together far above an outbox and what two sockets hold between them."""


def test_who_does_not_read_is_told_to_pull_and_misses_nothing(server: Server, new: NewPerson) -> None:
    ann, bob = new("ann"), new("bob")
    conversation = ann.direct(bob)
    with Peer.greeted(server, ann) as at_ann, Peer.greeted(server, bob) as at_bob:
        at_ann.send(conversation, "first")
        at_bob.next("message")
        for _ in range(MESSAGES):
            at_ann.send(conversation, TEXT)
        behind = at_bob.next("behind")
        assert behind["conversations"] == [{"conversation": conversation, "head": MESSAGES + 1}]
        seqs = [message["seq"] for message in at_bob.taken("message")]
        while seqs[-1] < MESSAGES + 1:
            page = at_bob.pull(conversation, after=seqs[-1], limit=200)
            assert page["messages"]
            seqs += [message["seq"] for message in page["messages"]]
        assert seqs == list(range(2, MESSAGES + 2))
        at_ann.send(conversation, "last")
        assert at_bob.next("message")["body"] == {"text": "last"}
