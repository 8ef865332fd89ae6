"""hello in all its forms: who it is, what is told, what is replayed, and what comes while it is being answered."""

from typing import Any

import pytest

from core.base.errors import Close, Unavailable
from core.base.ids import direct_conversation
from core.base.limits import Limits
from core.base.records import MemberBody
from core.protocol.handshake import Accepted
from tests.router.world import (
    ANN,
    BOB,
    CAT,
    DAN,
    GROUP,
    Connection,
    World,
    change_members,
    client_id,
    device_id,
    make_group,
)

TALK = direct_conversation(ANN, BOB)


def texts(world: World, count: int, sender: Any = ANN, to: Any = BOB) -> None:
    """Have a user send texts to another from a device of its own."""
    connection = world.join(sender, 9)
    for number in range(count):
        connection.say(type="send", client_id=world.next_client_id(), to=to, body={"text": str(number)})
    world.settle()
    connection.drop()
    world.tick(11)
    world.settle()


def seqs(connection: Connection) -> list[tuple[str, int]]:
    return [(frame["conversation"], frame["seq"]) for frame in connection.take("message")]


def test_hello_is_answered_by_welcome_conversations_and_synced() -> None:
    world = World(ANN)
    ann = world.hello(ANN)
    world.settle()
    assert [frame["type"] for frame in ann.frames] == ["welcome", "conversations", "synced"]
    welcome, conversations, synced = ann.take()
    assert (welcome["user"], welcome["device"], welcome["node"]) == (ANN, device_id(1), "n1")
    assert welcome["limits"]["body_bytes"] == 16 * 1024
    assert conversations["conversations"] == []
    assert synced["pending"] == []


def test_the_id_of_hello_is_repeated() -> None:
    world = World(ANN)
    ann = world.hello(ANN, id="h")
    world.settle()
    assert ann.take()[0]["id"] == "h"


def test_the_token_may_come_with_the_handshake() -> None:
    world = World(ANN)
    ann = world.open(Accepted(world.ports.verify(world.token(ANN), 0)))
    ann.say(type="hello")
    world.settle()
    assert ann.take()[0]["user"] == ANN


@pytest.mark.parametrize(
    ("fields", "field"),
    [({}, "token"), ({"token": ""}, None), ({"token": "x" * 60_000}, None), ({"token": "nonsense"}, None)],
)
def test_without_a_good_token_hello_is_refused_and_closed(fields: dict[str, Any], field: str | None) -> None:
    world = World(ANN)
    ann = world.open()
    ann.say(type="hello", id=1, **fields)
    world.settle()
    (error,) = ann.take()
    assert (error["id"], error["code"], error.get("field")) == (1, "unauthenticated", field)
    assert ann.close_code == Close.UNAUTHENTICATED


def test_an_expired_token_says_refresh() -> None:
    world = World(ANN)
    ann = world.open()
    ann.say(type="hello", token=world.token(ANN, for_s=-1))
    world.settle()
    assert ann.close_code == Close.TOKEN_EXPIRED


def test_a_token_of_another_device_than_the_handshakes_is_refused() -> None:
    world = World(ANN, BOB)
    ann = world.open(Accepted(world.ports.verify(world.token(ANN), 0)))
    ann.say(type="hello", token=world.token(BOB))
    world.settle()
    assert ann.close_code == Close.UNAUTHENTICATED


def test_the_device_must_be_the_tokens() -> None:
    world = World(ANN)
    ann = world.open()
    ann.say(type="hello", token=world.token(ANN), device=device_id(2))
    world.settle()
    assert ann.take()[0]["field"] == "device"
    assert ann.close_code == Close.UNAUTHENTICATED


def test_a_revoked_device_is_not_let_in_although_its_token_is_good() -> None:
    world = World(ANN)
    world.store.revoked.add(device_id(1))
    ann = world.hello(ANN)
    world.settle()
    assert ann.close_code == Close.SESSION_REVOKED


def test_who_does_not_exist_is_not_let_in() -> None:
    world = World(ANN)
    dan = world.hello(DAN)
    world.settle()
    assert dan.close_code == Close.SESSION_REVOKED


@pytest.mark.parametrize("frame", [b'{"type":"ping"}', b"nonsense", b'{"type":"send","client_id":5}', b"[]"])
def test_the_first_frame_must_be_hello(frame: bytes) -> None:
    world = World(ANN)
    ann = world.open()
    ann.say_raw(frame)
    world.settle()
    assert [each["type"] for each in ann.take()] == ["error"]
    assert ann.close_code == Close.NO_HELLO


def test_a_hello_with_a_wrong_field_may_be_said_again() -> None:
    world = World(ANN)
    ann = world.open()
    ann.say(type="hello", token=world.token(ANN), replay=-1)
    world.settle()
    assert ann.take()[0]["field"] == "replay"
    ann.say(type="hello", token=world.token(ANN))
    world.settle()
    assert ann.take()[0]["type"] == "welcome"


def test_no_hello_in_time_closes() -> None:
    world = World(ANN)
    ann = world.open()
    world.tick(9)
    assert ann.close_code is None
    world.tick(2)
    assert ann.close_code == Close.NO_HELLO


def test_a_second_hello_changes_nothing() -> None:
    world = World(ANN, BOB)
    ann = world.join(ANN)
    ann.say(type="hello", id=2, token=world.token(BOB))
    ann.say(type="send", client_id=client_id(1), to=BOB, body={})
    world.settle()
    assert ann.take("error")[0]["code"] == "bad_request"
    assert world.store.entries(TALK)[0].sender == ANN


def test_a_newer_connection_of_a_device_replaces_the_older() -> None:
    world = World(ANN)
    older, other = world.join(ANN), world.join(ANN, 2)
    newer = world.join(ANN)
    assert (older.close_code, other.close_code, newer.close_code) == (Close.REPLACED, None, None)


def test_a_user_has_so_many_connections_and_no_more() -> None:
    world = World(ANN, limits=Limits(connections_per_user=2, handshakes_per_s=0))
    first, _ = world.join(ANN, 1), world.join(ANN, 2)
    third = world.hello(ANN, 3)
    world.settle()
    assert third.take()[0]["code"] == "rate_limited"
    assert third.close_code == Close.POLICY_VIOLATION
    first.drop()
    assert world.join(ANN, 3).close_code is None


def test_a_store_that_is_away_closes_so_that_the_client_comes_back() -> None:
    world = World(ANN)
    ann = world.hello(ANN, id=7)
    world.fail("arrive")
    world.settle()
    assert ann.take()[0]["code"] == "unavailable"
    assert ann.close_code == Close.OVERLOADED
    assert world.router.statistics()["users"] == 0


def test_what_a_device_lacks_is_replayed_before_synced() -> None:
    world = World(ANN, BOB)
    texts(world, 3)
    bob = world.hello(BOB)
    world.settle()
    assert [frame["type"] for frame in bob.frames] == ["welcome", "conversations", *["message"] * 3, "synced"]
    assert bob.frames[-1]["pending"] == []
    assert seqs(bob) == [(TALK, 1), (TALK, 2), (TALK, 3)]


def test_a_device_is_replayed_from_its_mark() -> None:
    world = World(ANN, BOB)
    texts(world, 3)
    bob = world.join(BOB)
    bob.say(type="mark", conversation=TALK, delivered=2)
    world.settle()
    bob.drop()
    bob = world.hello(BOB)
    world.settle()
    assert bob.frames[1]["conversations"][0]["delivered"] == 2
    assert seqs(bob) == [(TALK, 3)]


def test_a_later_device_starts_where_the_users_devices_are() -> None:
    world = World(ANN, BOB)
    texts(world, 3)
    bob = world.join(BOB)
    bob.say(type="mark", conversation=TALK, read=2)
    world.settle()
    second = world.hello(BOB, 2)
    world.settle()
    assert seqs(second) == [(TALK, 3)]


@pytest.mark.parametrize(("replay", "replay_each", "given"), [(0, 100, 0), (2, 100, 2), (1000, 1, 1), (5, 3, 3)])
def test_what_passes_the_replay_limits_is_pending(replay: int, replay_each: int, given: int) -> None:
    world = World(ANN, BOB)
    texts(world, 5)
    bob = world.hello(BOB, replay=replay, replay_each=replay_each)
    world.settle()
    synced = bob.frames[-1]
    assert synced["pending"] == [{"conversation": TALK, "head": 5}]
    assert len(seqs(bob)) == given


def test_the_newest_conversation_is_replayed_first() -> None:
    world = World(ANN, BOB, CAT)
    texts(world, 2)
    texts(world, 2, sender=CAT)
    bob = world.hello(BOB, replay=3)
    world.settle()
    synced = bob.frames[-1]
    newest = direct_conversation(BOB, CAT)
    assert seqs(bob) == [(newest, 1), (newest, 2), (TALK, 1)]
    assert synced["pending"] == [{"conversation": TALK, "head": 2}]


def test_since_spares_what_is_known_and_no_more() -> None:
    world = World(ANN, BOB, CAT)
    texts(world, 1)
    texts(world, 1, sender=CAT)
    bob = world.hello(BOB)
    world.settle()
    bob.say(type="mark", conversation=TALK, read=1)
    bob.say(type="mark", conversation=direct_conversation(BOB, CAT), read=1)
    world.settle()
    bob.drop()
    bob = world.hello(BOB)
    world.settle()
    since = bob.take("synced")[0]["since"]
    bob.drop()
    texts(world, 1)
    bob = world.hello(BOB, since=since)
    world.settle()
    (listed,) = bob.frames[1]["conversations"]
    assert listed["conversation"] == TALK
    assert seqs(bob) == [(TALK, 2)]


def test_nothing_to_tell_is_told_by_an_empty_list() -> None:
    world = World(ANN, BOB)
    texts(world, 1)
    bob = world.join(BOB)
    bob.say(type="mark", conversation=TALK, read=1)
    world.settle()
    bob.drop()
    bob = world.hello(BOB)
    world.settle()
    since = bob.take("synced")[0]["since"]
    bob.drop()
    bob = world.hello(BOB, since=since)
    world.settle()
    assert [frame["type"] for frame in bob.frames] == ["welcome", "conversations", "synced"]
    assert bob.frames[1]["conversations"] == []


@pytest.mark.parametrize("since", ["nonsense", "é", "AAAA", ""])
def test_a_since_that_is_none_costs_bytes_only(since: str) -> None:
    world = World(ANN, BOB)
    texts(world, 1)
    bob = world.hello(BOB, since=since)
    world.settle()
    assert len(bob.frames[1]["conversations"]) == 1


# ---- what comes while hello is being answered


def test_an_entry_that_comes_between_listing_and_answer_is_given_once_and_in_order() -> None:
    world = World(ANN, BOB)
    texts(world, 1)
    bob = world.hello(BOB)
    arrive = world.call("arrive")
    arrive.do()
    ann = world.join(ANN)
    ann.say(type="send", client_id=client_id(50), to=BOB, body={"text": "meanwhile"})
    world.settle()
    arrive.answer()
    world.settle()
    assert seqs(bob) == [(TALK, 1), (TALK, 2)]


def test_a_conversation_that_begins_between_listing_and_answer_is_told_before_its_first_message() -> None:
    world = World(ANN, BOB)
    bob = world.hello(BOB)
    arrive = world.call("arrive")
    arrive.do()
    ann = world.join(ANN)
    ann.say(type="send", client_id=client_id(50), to=BOB, body={"text": "meanwhile"})
    world.settle()
    arrive.answer()
    world.settle()
    kinds = [frame["type"] for frame in bob.frames if frame["type"] in ("conversations", "message", "synced")]
    assert kinds[-2:] == ["conversations", "message"]
    assert seqs(bob) == [(TALK, 1)]


def test_a_second_device_that_is_arriving_is_told_of_a_conversation_that_its_listing_lacks() -> None:
    world = World(ANN, BOB)
    world.join(BOB, 1)
    second = world.hello(BOB, 2)
    arrive = world.call("arrive")
    arrive.do()
    ann = world.join(ANN)
    ann.say(type="send", client_id=client_id(50), to=BOB, body={"text": "meanwhile"})
    world.settle()
    arrive.answer()
    world.settle()
    listed = [
        each["conversation"]
        for frame in second.frames
        if frame["type"] == "conversations"
        for each in frame["conversations"]
    ]
    assert listed == [TALK]
    assert seqs(second) == [(TALK, 1)]


def test_a_title_that_changed_while_a_device_was_arriving_is_told() -> None:
    world = World(ANN, BOB, CAT)
    make_group(world, ANN, BOB)
    world.join(BOB, 1)
    second = world.hello(BOB, 2)
    arrive = world.call("arrive")
    arrive.do()
    change_members(world, MemberBody(ANN, added=[CAT]))
    arrive.answer()
    world.settle()
    told = [each for frame in second.take("conversations") for each in frame["conversations"]]
    assert [each["members"] for each in told] == [2, 3]


def test_a_removal_that_comes_between_listing_and_answer_ends_the_replay() -> None:
    world = World(ANN, BOB)
    make_group(world, ANN, BOB)
    bob = world.hello(BOB)
    arrive = world.call("arrive")
    arrive.do()
    change_members(world, MemberBody(ANN, removed=[BOB]))
    ann = world.join(ANN)
    ann.say(type="send", client_id=client_id(50), conversation=GROUP, body={"text": "without him"})
    world.settle()
    arrive.answer()
    world.settle()
    told = [each for frame in bob.frames if frame["type"] == "conversations" for each in frame["conversations"]]
    assert [(each["role"], each["head"]) for each in told] == [("none", 2)]
    assert seqs(bob) == [(GROUP, 1), (GROUP, 2)]


def test_live_entries_during_a_replay_come_after_it() -> None:
    world = World(ANN, BOB)
    texts(world, 2)
    bob = world.hello(BOB)
    world.call("arrive").answer()
    read = world.call("read")
    read.do()
    ann = world.join(ANN)
    ann.say(type="send", client_id=client_id(50), to=BOB, body={"text": "live"})
    world.settle()
    read.answer()
    world.settle()
    assert seqs(bob) == [(TALK, 1), (TALK, 2), (TALK, 3)]
    assert [frame["type"] for frame in bob.frames] == []


def test_frames_said_before_welcome_are_done_after_it_in_order() -> None:
    world = World(ANN, BOB)
    ann = world.hello(ANN)
    ann.say(type="send", id=1, client_id=client_id(1), to=BOB, body={"text": "a"})
    ann.say(type="ping", id=2)
    ann.say(type="pull", id=3, conversation=TALK, after=0)
    world.settle()
    kinds = [frame["type"] for frame in ann.take()]
    assert kinds.index("pong") < kinds.index("welcome") < kinds.index("ack")
    assert world.store.entries(TALK)


def test_frames_said_before_welcome_are_bounded() -> None:
    world = World(ANN, BOB)
    ann = world.hello(ANN)
    for number in range(70):
        ann.say(type="typing", id=number, conversation=TALK, on=True)
    world.turn()
    assert [frame["code"] for frame in ann.take("error")] == ["rate_limited"] * 6


def test_nothing_is_sent_for_who_turns_out_to_be_revoked() -> None:
    world = World(ANN, BOB)
    world.store.revoked.add(device_id(1))
    ann = world.hello(ANN)
    ann.say(type="send", client_id=client_id(1), to=BOB, body={"text": "a"})
    world.settle()
    assert ann.close_code == Close.SESSION_REVOKED
    assert not world.store.entries(TALK)


def test_a_read_that_fails_leaves_the_conversation_pending() -> None:
    world = World(ANN, BOB)
    texts(world, 2)
    bob = world.hello(BOB)
    world.call("arrive").answer()
    world.fail("read", Unavailable("away"))
    world.settle()
    assert bob.frames[-1]["pending"] == [{"conversation": TALK, "head": 2}]
