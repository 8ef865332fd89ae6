"""pull: a page as of now, within the reader's bounds and the frame's."""

from typing import Any

import pytest

from core.base.errors import Unavailable
from core.base.ids import direct_conversation
from core.base.limits import PULLS_WAITING_MAX, Limits
from tests.router.world import ANN, BOB, Connection, World, client_id

TALK = direct_conversation(ANN, BOB)


def talk(texts: int = 5, **options: Any) -> tuple[World, Connection]:
    world = World(ANN, BOB, **options)
    ann = world.join(ANN)
    for number in range(1, texts + 1):
        ann.say(type="send", client_id=client_id(number), to=BOB, body={"text": str(number)})
    world.settle()
    ann.take()
    return world, ann


@pytest.mark.parametrize(
    ("fields", "given", "more"),
    [
        ({"after": 0}, [1, 2, 3, 4, 5], False),
        ({"after": 2, "limit": 2}, [3, 4], True),
        ({"before": 3}, [1, 2], False),
        ({"before": 2**53, "limit": 2}, [4, 5], True),
        ({"after": 99}, [], False),
        ({"before": 1}, [], False),
    ],
)
def test_a_page_is_what_was_asked_for(fields: dict[str, Any], given: list[int], more: bool) -> None:
    world, ann = talk()
    ann.say(type="pull", id=1, conversation=TALK, **fields)
    world.settle()
    (page,) = ann.take()
    assert ([entry["seq"] for entry in page["messages"]], page["more"]) == (given, more)
    assert (page["type"], page["id"], page["first"], page["head"]) == ("page", 1, 1, 5)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "after"),
        ({"after": 1, "before": 2}, "after"),
        ({"after": -1}, "after"),
        ({"after": 2**63}, "after"),
        ({"before": 0}, "before"),
        ({"after": "1"}, "after"),
        ({"after": 0, "limit": 0}, "limit"),
        ({"after": 0, "limit": 201}, "limit"),
    ],
)
def test_what_is_wrong_with_a_pull_is_said(fields: dict[str, Any], field: str) -> None:
    world, ann = talk(1)
    ann.say(type="pull", id=1, conversation=TALK, **fields)
    world.settle()
    (error,) = ann.take()
    assert (error["id"], error["code"], error["field"]) == (1, "bad_request", field)


def test_a_page_shows_what_edits_deletions_and_reactions_did() -> None:
    world, ann = talk(2)
    for number, fields in enumerate(
        (
            {"kind": "edit", "ref": 1, "body": {"text": "new"}},
            {"kind": "reaction", "ref": 1, "body": {"emoji": "👍"}},
            {"kind": "delete", "ref": 2, "body": {}},
        ),
        start=11,
    ):
        ann.say(type="send", client_id=client_id(number), to=BOB, **fields)
        world.settle()
    ann.take()
    ann.say(type="pull", id=1, conversation=TALK, after=0)
    world.settle()
    (page,) = ann.take()
    first, second = page["messages"][:2]
    assert (first["edited"]["seq"], first["edited"]["body"]) == (3, {"text": "new"})
    assert first["reactions"] == {"👍": {"count": 1, "mine": True}}
    assert (second["deleted"], second["body"]) == (True, {})
    assert [entry["kind"] for entry in page["messages"]] == ["text", "text", "edit", "reaction", "delete"]


def test_no_page_passes_the_frame_limit_and_what_is_cut_is_said() -> None:
    limits = Limits(body_bytes=2_000, frame_bytes=9_000, server_frame_bytes=9_000, sends_per_s=0, handshakes_per_s=0)
    world = World(ANN, BOB, limits=limits)
    ann = world.join(ANN)
    for number in range(1, 11):
        ann.say(type="send", client_id=client_id(number), to=BOB, body={"text": "x" * 1_900})
    world.settle()
    seen: list[int] = []
    more = True
    while more:
        ann.take()
        ann.say(type="pull", id=1, conversation=TALK, after=seen[-1] if seen else 0)
        world.settle()
        (page,) = ann.take()
        seen += [entry["seq"] for entry in page["messages"]]
        more = page["more"]
    assert seen == list(range(1, 11))
    assert max(ann.sizes) <= 9_000


def test_a_page_that_cannot_be_read_is_an_error_and_the_next_one_comes() -> None:
    world, ann = talk(1)
    ann.say(type="pull", id=1, conversation=TALK, after=0)
    ann.say(type="pull", id=2, conversation=TALK, after=0)
    world.fail("page", Unavailable("away"))
    world.settle()
    assert [(frame["type"], frame["id"]) for frame in ann.take()] == [("error", 1), ("page", 2)]


def test_so_many_pulls_wait_and_no_more() -> None:
    world, ann = talk(1)
    for number in range(PULLS_WAITING_MAX + 2):
        ann.say(type="pull", id=number, conversation=TALK, after=0)
    world.turn()
    assert [frame["code"] for frame in ann.take("error")] == ["rate_limited"]
    world.settle()
    assert len(ann.take("page")) == PULLS_WAITING_MAX + 1


def test_pulls_are_answered_also_while_hello_is() -> None:
    world, _ = talk(3)
    bob = world.hello(BOB)
    world.call("arrive").answer()
    bob.say(type="pull", id=1, conversation=TALK, after=0)
    world.settle()
    kinds = [frame["type"] for frame in bob.take()]
    assert kinds.count("page") == 1
    assert kinds[-1] == "synced"
