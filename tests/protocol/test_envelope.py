"""Records to JSON: the field names of the contract, and that no frame passes its limit."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.base.errors import Overloaded, Rejected
from core.base.ids import ClientId, ConversationId, UserId
from core.base.limits import ENVELOPE_BYTES, REACTIONS_BYTES_MAX
from core.base.records import Edited, Entry, Listed, Page, PageEntry, Peer, Reaction, Sent
from core.protocol import envelope

ANN = UserId("00000001-0000-7000-8000-000000000000")
TALK = ConversationId(f"d:{ANN}:{ANN}")
ID = ClientId("00000009-0000-7000-8000-000000000000")


def entry(seq: int = 1, body: bytes = b'{"text":"hi"}', **fields: Any) -> Entry:
    made: dict[str, Any] = {"kind": "text", "ref": 0, "time_ms": 5, "texts": seq, "device": "d", **fields}
    return Entry(TALK, seq, ANN, made.pop("device"), ID, made.pop("kind"), body, **made)


def test_a_message_has_the_fields_of_the_contract_and_its_body_as_it_came() -> None:
    raw = envelope.message_json(entry(body=b'{ "n" : 1.50 }', ref=3))
    assert b'"body":{ "n" : 1.50 }' in raw
    assert json.loads(raw) == {
        "type": "message",
        "conversation": TALK,
        "seq": 1,
        "sender": ANN,
        "device": "d",
        "client_id": ID,
        "kind": "text",
        "ref": 3,
        "time_ms": 5,
        "body": {"n": 1.5},
    }


def test_what_is_not_there_is_left_out() -> None:
    message = json.loads(envelope.message_json(entry(device="")))
    assert not {"device", "ref"} & set(message)


def test_hidden_says_nothing_but_where() -> None:
    hidden = json.loads(envelope.hidden_json(TALK, 4))
    assert hidden == {"type": "message", "conversation": TALK, "seq": 4, "kind": "hidden"}


def test_ack_and_error_repeat_the_id_where_there_is_one() -> None:
    sent = Sent(TALK, ID, 3, 5, True)
    ack = {"type": "ack", "client_id": ID, "conversation": TALK, "seq": 3, "time_ms": 5, "duplicate": True}
    assert json.loads(envelope.ack_json(sent, None)) == ack
    assert json.loads(envelope.ack_json(sent, 'a"b')) == {**ack, "id": 'a"b'}
    assert json.loads(envelope.error_json(Overloaded("later", retry_after_s=2.0), 0, ID)) == {
        "type": "error",
        "id": 0,
        "client_id": ID,
        "code": "rate_limited",
        "message": "later",
        "retry_after_s": 2.0,
    }
    assert json.loads(envelope.error_json(Rejected("conflict", "no", field="x"))) == {
        "type": "error",
        "code": "conflict",
        "message": "no",
        "field": "x",
    }


def test_an_entry_of_a_page_shows_what_became_of_it() -> None:
    item = PageEntry(entry(), Edited(7, b'{"text":"new"}', 9), (Reaction('"', 2, True), Reaction("👍", 1, False)))
    shown = json.loads(envelope.page_entry_json(item))
    assert shown["edited"] == {"seq": 7, "body": {"text": "new"}, "time_ms": 9}
    assert shown["reactions"] == {'"': {"count": 2, "mine": True}, "👍": {"count": 1, "mine": False}}
    assert "deleted" not in shown
    assert json.loads(envelope.page_entry_json(PageEntry(entry(body=b"{}", is_emptied=True))))["deleted"] is True


def test_reactions_without_end_are_cut_to_the_own_and_the_most_frequent() -> None:
    reactions = tuple(Reaction(f"{number:04d}" * 16, number % 7, number == 500) for number in range(1_000))
    shown = envelope.page_entry_json(PageEntry(entry(), None, reactions))
    assert len(shown) < REACTIONS_BYTES_MAX + 600
    kept = json.loads(shown)["reactions"]
    assert f"{500:04d}" * 16 in kept
    assert min(each["count"] for emoji, each in kept.items() if not each["mine"]) == 6
    assert list(kept) == sorted(kept)


def listed(**fields: Any) -> Listed:
    made: dict[str, Any] = {
        "first": 1, "head": 3, "delivered": 2, "read": 1, "unread": 2, "last": None, "title": "t", "role": "member",
        "members": 2, "muted": False, "peer": None, "joined": 1, "user_delivered": 2, **fields,
    }  # fmt: skip
    return Listed(TALK, **made)


def test_a_listed_conversation_has_the_fields_of_the_contract() -> None:
    last = PageEntry(entry(3, b'{"text":"' + b"x" * 1_100 + b'"}'), Edited(4, b'{"text":"short"}', 9))
    shown = json.loads(envelope.listed_json(listed(last=last, peer=Peer(ANN, "Ann", 2, 1))))
    assert shown["peer"] == {"user": ANN, "name": "Ann", "delivered": 2, "read": 1}
    assert "body" not in shown["last"]
    assert shown["last"]["edited"]["body"] == {"text": "short"}
    assert set(shown) == {
        "conversation", "first", "head", "delivered", "read", "unread", "last", "title", "role", "members", "muted", "peer",
    }  # fmt: skip


def test_marks_leave_a_delivered_of_nothing_out() -> None:
    shown = json.loads(envelope.marks_json(TALK, [(ANN, 3, 2), (ANN, 0, 2)]))
    assert shown["marks"] == [{"user": ANN, "delivered": 3, "read": 2}, {"user": ANN, "read": 2}]


def test_presence_and_typing() -> None:
    online = {"type": "presence", "user": ANN, "state": "online"}
    assert json.loads(envelope.presence_json(ANN, "online", 0)) == online
    assert json.loads(envelope.presence_json(ANN, "offline", 7))["last_seen_ms"] == 7
    assert json.loads(envelope.typing_json(TALK, ANN, is_on=False))["on"] is False


def test_nothing_listed_is_one_frame_and_nothing_behind_is_none() -> None:
    assert [json.loads(frame) for frame in envelope.listing_frames_json([], 100)] == [
        {"type": "conversations", "conversations": []}
    ]
    assert envelope.behind_frames_json([], 100) == []


@given(st.lists(st.integers(1, 2_000), max_size=40), st.integers(3_000, 20_000))
def test_listings_come_in_as_many_frames_as_they_need(sizes: list[int], room: int) -> None:
    items = [json.dumps("x" * size).encode() for size in sizes]
    frames = envelope.listing_frames_json(items, ENVELOPE_BYTES + room)
    told = [item for frame in frames for item in json.loads(frame)["conversations"]]
    assert told == ["x" * size for size in sizes]
    assert all(len(frame) <= ENVELOPE_BYTES + room for frame in frames)


@pytest.mark.parametrize("newest_first", [True, False])
@given(
    sizes=st.lists(st.integers(1, 3_000), min_size=1, max_size=30),
    hidden=st.sets(st.integers(1, 30)),
    room=st.integers(4_000, 30_000),
)
def test_a_page_is_cut_at_its_far_end_and_covers_without_a_hole(
    newest_first: bool, sizes: list[int], hidden: set[int], room: int
) -> None:
    seqs = range(1, len(sizes) + 1)
    visible = [seq for seq in seqs if seq not in hidden]
    if not visible:
        return
    items = tuple(PageEntry(entry(seq, json.dumps({"text": "x" * sizes[seq - 1]}).encode())) for seq in visible)
    skip = tuple((seq, seq) for seq in seqs if seq in hidden)
    page = Page(TALK, items, 1, len(sizes), False, skip)
    raw = envelope.page_frame_json(page, 1, newest_first=newest_first, bytes_max=ENVELOPE_BYTES + room)
    assert len(raw) <= ENVELOPE_BYTES + room
    shown = json.loads(raw)
    given_seqs = [item["seq"] for item in shown["messages"]]
    covered = sorted([*given_seqs, *(low for low, _ in shown["skip"])])
    assert covered == list(range(covered[0], covered[-1] + 1))
    is_whole = given_seqs == visible
    assert shown["more"] is not is_whole
    assert (given_seqs[-1] == visible[-1]) if newest_first else (given_seqs[0] == visible[0])
    assert is_whole or (covered[-1] == len(sizes) if newest_first else covered[0] == 1)
