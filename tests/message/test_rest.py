"""REST of both message services: pages within the reader's bounds, and sends through the owner."""

from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.base.ids import ConversationId, direct_conversation
from core.base.limits import Limits
from core.base.records import Page, PageQuery
from sidecars.group.requests import Caller, NewMember
from sidecars.message.requests import UserMessages
from tests.contracts.people import ANN, BOB, CID, DAN, C, D, uuid
from tests.group.world import NOBODY, PHONE, Answer, World, open_world


def path(conversation: str, query: str = "") -> str:
    service = "group-message" if conversation.startswith("g") else "message"
    return f"/{service}-service/conversations/{conversation}/messages{query}"


def seqs(answer: Answer) -> list[int]:
    assert answer.status == 200, answer.body
    return [each["seq"] for each in answer.json["messages"]]


async def test_a_page_is_asked_for_from_every_side() -> None:
    async with open_world() as world:
        for _ in range(9):
            await world.say(ANN, C)
        for query, expected, more in [
            ("", range(1, 10), False),
            ("?limit=3", range(7, 10), True),
            ("?after=0&limit=4", range(1, 5), True),
            ("?after=7", range(8, 10), False),
            ("?before=4&limit=2", range(2, 4), True),
            ("?around=5&limit=3", range(4, 7), True),
            ("?after=9", range(0), False),
            (f"?after={2**63 - 1}", range(0), False),
        ]:
            answer = await world.rest(BOB, "GET", path(C, query))
            assert seqs(answer) == list(expected), query
            assert answer.json["more"] is more, query
        first = (await world.rest(BOB, "GET", path(C, "?limit=1&after=0"))).json
        assert first["conversation"] == C
        assert (first["first"], first["head"], first["skip"]) == (1, 9, [])
        [message] = first["messages"]
        assert message["sender"] == ANN
        assert message["body"] == {"text": "hello"}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        *[(f"?limit={limit}", "limit") for limit in ("-1", "0", "1000000000", "201", "ten", "1.5", "")],
        *[(f"?after={seq}", "after") for seq in ("-1", "x", str(2**63))],
        *[(f"?before={seq}", "before") for seq in ("-1", "0", "1e3")],
        ("?around=0", "around"),
        ("?after=1&before=3", "before"),
        ("?after=1&after=2", "after"),
    ],
)
async def test_a_bad_query_is_told_which_part_is_bad(query: str, field: str) -> None:
    async with open_world() as world:
        await world.say(ANN, C)
        answer = await world.rest(ANN, "GET", path(C, query))
        assert (answer.status, answer.json["field"]) == (422, field)


async def test_a_stranger_cannot_tell_what_exists() -> None:
    async with open_world() as world:
        group = await world.make_group(BOB)
        await world.say(ANN, C)
        await world.say(ANN, group.conversation)
        missing = direct_conversation(CID, NOBODY)
        for real, unreal in [(C, missing), (C, direct_conversation(ANN, NOBODY)), (group.conversation, D)]:
            for query in ("", "?after=0", "?before=2", "?around=1"):
                answer = await world.rest(CID, "GET", path(real, query))
                assert answer.status == 404
                assert answer == await world.rest(CID, "GET", path(unreal, query))
        body = {"client_id": uuid(700), "body": {"text": "let me in"}}
        for real, unreal in [(C, direct_conversation(ANN, DAN)), (group.conversation, D)]:
            answer = await world.rest(CID, "POST", path(real), body)
            assert answer.status == 404
            assert answer == await world.rest(CID, "POST", path(unreal), body)
        assert len(await world.message.read(C, 0, 0, 10)) == 1


async def test_each_service_knows_its_own_kind_of_conversation_alone() -> None:
    async with open_world() as world:
        group = await world.make_group()
        await world.say(ANN, C)
        wrong = [f"/message-service/conversations/{group.conversation}/messages"]
        wrong.append(f"/group-message-service/conversations/{C}/messages")
        for url in wrong:
            assert (await world.rest(ANN, "GET", url)).status == 404
            assert (await world.rest(ANN, "POST", url, {"client_id": uuid(1), "body": {}})).status == 404


@pytest.mark.parametrize("conversation", ["x", "d:a:b", f"d:{BOB}:{ANN}", "g:", "g:%00", "d:'; DROP TABLE entry;--"])
async def test_what_names_no_conversation_is_refused(conversation: str) -> None:
    async with open_world() as world:
        answer = await world.rest(ANN, "GET", path(conversation))
        assert answer.status in (404, 422)


async def test_a_send_is_acknowledged_once_and_its_retry_as_a_duplicate() -> None:
    async with open_world() as world:
        body = b'{"client_id": "%s", "body": {"text":  "hi", "x": 1}}' % uuid(700).encode()
        first = await world.rest(ANN, "POST", path(C), body)
        assert first.status == 201
        expected = {"client_id": uuid(700), "conversation": C, "seq": 1, "duplicate": False}
        assert first.json == {**expected, "time_ms": world.clock.wall_ms()}
        again = await world.rest(ANN, "POST", path(C), body)
        assert (again.status, again.json) == (200, {**first.json, "duplicate": True})
        [entry] = await world.message.read(C, 0, 0, 10)
        assert (entry.sender, entry.device, entry.body) == (ANN, PHONE, b'{"text":  "hi", "x": 1}')


async def test_the_sender_is_who_the_token_names() -> None:
    async with open_world() as world:
        wish = {"client_id": uuid(700), "body": {}, "sender": BOB, "user": BOB, "via": "service"}
        assert (await world.rest(ANN, "POST", path(C), wish)).status == 201
        [entry] = await world.message.read(C, 0, 0, 10)
        assert entry.sender == ANN


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"body": {}}, "client_id"),
        ({"client_id": 5, "body": {}}, "client_id"),
        ({"client_id": "5", "body": {}}, "client_id"),
        ({"client_id": uuid(0xA).upper(), "body": {}}, "client_id"),
        ({"client_id": uuid(1)}, "body"),
        ({"client_id": uuid(1), "body": "text"}, "body"),
        ({"client_id": uuid(1), "body": None}, "body"),
        ({"client_id": uuid(1), "body": []}, "body"),
        ({"client_id": uuid(1), "body": {"text": 5}}, "body.text"),
        ({"client_id": uuid(1), "body": {}, "kind": "member"}, "kind"),
        ({"client_id": uuid(1), "body": {}, "kind": "group"}, "kind"),
        ({"client_id": uuid(1), "body": {}, "kind": ["text"]}, "kind"),
        ({"client_id": uuid(1), "body": {}, "kind": "edit"}, "ref"),
        ({"client_id": uuid(1), "kind": "delete"}, "ref"),
        ({"client_id": uuid(1), "body": {"emoji": ""}, "kind": "reaction", "ref": 1}, "body.emoji"),
        *[({"client_id": uuid(1), "body": {}, "ref": ref}, "ref") for ref in (-1, 1.5, "9", 2**63)],
    ],
)
async def test_a_bad_send_names_the_field_and_stores_nothing(wish: object, field: str) -> None:
    async with open_world() as world:
        answer = await world.rest(ANN, "POST", path(C), wish)
        assert (answer.status, answer.json["code"], answer.json["field"]) == (422, "bad_request", field)
        assert await world.message.read(C, 0, 0, 10) == []


async def test_a_body_above_the_limit_is_too_large() -> None:
    async with open_world(Limits(body_bytes=1024)) as world:
        answer = await world.rest(ANN, "POST", path(C), {"client_id": uuid(1), "body": {"text": "x" * 1025}})
        assert (answer.status, answer.json["code"]) == (413, "too_large")


async def test_what_a_blocked_person_sends_is_acknowledged_and_skipped_for_the_other() -> None:
    async with open_world() as world:
        await world.say(BOB, C)
        world.people.blocks.add((ANN, BOB))
        answer = await world.rest(BOB, "POST", path(C), {"client_id": uuid(1), "body": {"text": "psst"}})
        assert (answer.status, answer.json["seq"]) == (201, 2)
        assert seqs(await world.rest(BOB, "GET", path(C))) == [1, 2]
        answer = await world.rest(ANN, "GET", path(C))
        assert seqs(answer) == [1]
        assert answer.json["skip"] == [[2, 2]]


async def test_a_removed_member_reads_up_to_the_removal_and_a_new_one_from_its_join() -> None:
    async with open_world() as world:
        group = await world.make_group(BOB)
        name, caller = group.conversation, Caller(ANN, PHONE)
        await world.say(ANN, name)
        await world.user_groups.remove(caller, name[2:], BOB)
        await world.say(ANN, name)
        await world.user_groups.add(caller, name[2:], [NewMember(CID)])
        await world.say(CID, name)
        for query in ("", "?after=0", "?after=2", "?before=100", "?around=5", "?around=3"):
            bob = await world.rest(BOB, "GET", path(name, query))
            assert all(1 <= seq <= 3 for seq in seqs(bob)), query
            assert bob.json["head"] == 3
            cid = await world.rest(CID, "GET", path(name, query))
            assert all(5 <= seq <= 6 for seq in seqs(cid)), query
            assert cid.json["first"] == 5
        assert seqs(await world.rest(ANN, "GET", path(name))) == [1, 2, 3, 4, 5, 6]
        answer = await world.rest(BOB, "POST", path(name), {"client_id": uuid(1), "body": {}})
        assert answer.status == 404


class _Racing:
    """Pages that are read just after something else happened."""

    def __init__(self, world: World, conversation: ConversationId) -> None:
        self._world = world
        self._conversation = conversation
        self._happened = False

    async def page(self, query: PageQuery) -> Page:
        if not self._happened:
            self._happened = True
            group = self._conversation[2:]
            await self._world.user_groups.remove(Caller(ANN, PHONE), group, BOB)
            await self._world.say(ANN, self._conversation, "Bob is gone")
        return await self._world.group_message.page(query)


async def test_a_removal_that_races_with_a_page_bounds_it() -> None:
    async with open_world() as world:
        group = await world.make_group(BOB)
        racing = UserMessages(_Racing(world, group.conversation), world.relay, world.owner, are_groups=True)
        page = await racing.page(BOB, group.conversation, limit=100)
        assert [each.entry.seq for each in page.entries] == [1, 2]


@settings(max_examples=30)
@given(query=st.text(max_size=20), conversation=st.text(min_size=1, max_size=40))
async def test_no_text_in_a_request_is_an_error_of_ours(query: str, conversation: str) -> None:
    async with open_world() as world:
        quoted = quote(query.encode(errors="surrogatepass"))
        for name in ("limit", "after", "around"):
            answer = await world.rest(ANN, "GET", path(C, f"?{name}={quoted}"))
            assert answer.status in (404, 422)
        name = quote(conversation.encode(errors="surrogatepass"), safe="")
        assert (await world.rest(ANN, "GET", path(name))).status in (400, 404, 422)
