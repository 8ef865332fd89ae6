"""Every request of the router is answered exactly once, whatever the service behind the link does."""

from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing

from core.base.errors import DeadlineExceeded, Rejected, TrimaranError
from core.base.ids import ClientId, DeviceId
from core.base.limits import REQUEST_DEADLINE_S
from core.base.records import Appended, Loaded, PageQuery, Person, Presence, Reader, RowChange, Unknown
from tests.links.world import ANN, AWAY, BOB, CLAIMED, GROUP, PERSON, STATE, TALK, Links, append, appended

Ask = Callable[[Links], None]
DEVICE = DeviceId("d")


def asks(links: Links) -> list[tuple[str, Ask]]:
    """Each request that has an answer, and the service that it goes to first."""
    then = links.answers.append
    query = PageQuery(TALK, Reader(ANN, 1), 10, after=0)
    return [
        ("message", lambda it: it.logs.find(TALK, ANN, ClientId("c"), then)),
        ("message", lambda it: it.logs.entry(TALK, 1, then)),
        ("message", lambda it: it.logs.read(TALK, 0, 1, 10, then)),
        ("message", lambda it: it.logs.page(query, then)),
        ("group_message", lambda it: it.logs.entry(GROUP, 1, then)),
        ("user", lambda it: it.logs.load(TALK, 1, then)),
        ("group_message", lambda it: it.logs.load(GROUP, 1, then)),
        ("user", lambda it: it.relay.arrive(ANN, DEVICE, then)),
        ("relay", lambda it: it.relay.listed(ANN, DEVICE, [TALK], then)),
        ("relay", lambda it: it.relay.prepare([RowChange(ANN, TALK, 1, 1)], then)),
        ("relay", lambda it: it.relay.committed([], [RowChange(ANN, TALK, 1, 1)], then)),
        ("relay", lambda it: it.relay.merge([], then)),
        ("last_seen", lambda it: it.people.watched(ANN, [BOB], then)),
    ]


def service(links: Links, name: str) -> Any:
    return getattr(links, {"relay": "relay_service"}.get(name, name))


ASKS = range(13)


@pytest.mark.parametrize("number", ASKS)
async def test_an_error_of_the_service_is_the_answer(number: int, nursery: trio.Nursery) -> None:
    links = Links(nursery)
    name, ask = asks(links)[number]
    service(links, name).raises = AWAY
    ask(links)
    assert await links.answered() == [AWAY]
    assert await links.answered() == []


@pytest.mark.parametrize("number", ASKS)
async def test_a_service_that_does_not_answer_is_answered_for(
    number: int, nursery: trio.Nursery, clock: trio.testing.MockClock
) -> None:
    links = Links(nursery)
    name, ask = asks(links)[number]
    service(links, name).hangs = True
    ask(links)
    await trio.sleep(REQUEST_DEADLINE_S - 0.1)
    assert await links.answered() == []
    await trio.sleep(0.2)
    (answer,) = await links.answered()
    assert isinstance(answer, DeadlineExceeded)


@pytest.mark.parametrize("number", ASKS)
async def test_a_bug_of_a_service_is_an_answer_and_the_process_lives(number: int, nursery: trio.Nursery) -> None:
    links = Links(nursery)
    name, ask = asks(links)[number]
    service(links, name).raises = KeyError("a bug")
    ask(links)
    (answer,) = await links.answered()
    assert isinstance(answer, TrimaranError)
    assert answer.code == "internal"


# ---- logs


async def test_a_batch_goes_to_the_two_log_services_by_kind_in_order(nursery: trio.Nursery) -> None:
    links = Links(nursery)
    links.message.does = links.group_message.does = appended
    links.logs.append([append(TALK, 4), append(GROUP, 7)], links.answers.append)
    answers = await links.answered()
    assert sorted(answers, key=str) == [[Appended(TALK, 5)], [Appended(GROUP, 8)]]
    assert {asked[:2] for asked in links.asked} == {("message", "append"), ("group_message", "append")}
    assert sum(links.metrics.append_seconds.counts) == 2


@pytest.mark.parametrize("fault", ["raises", "hangs", "bug"])
async def test_an_append_that_was_not_heard_of_is_unknown(
    fault: str, nursery: trio.Nursery, clock: trio.testing.MockClock
) -> None:
    links = Links(nursery)
    links.message.hangs = fault == "hangs"
    links.message.raises = None if fault == "hangs" else AWAY if fault == "raises" else KeyError("a bug")
    links.logs.append([append(TALK)], links.answers.append)
    await trio.sleep(REQUEST_DEADLINE_S + 1)
    ((outcome,),) = await links.answered()
    assert isinstance(outcome, Unknown)
    assert outcome.conversation == TALK


async def test_a_direct_conversation_is_loaded_with_its_blocks(nursery: trio.Nursery) -> None:
    links = Links(nursery)
    links.user.does = lambda *_: frozenset({BOB})
    links.message.does = lambda *_: CLAIMED
    links.logs.load(TALK, 3, links.answers.append)
    members = {ANN: "member", BOB: "member"}
    assert await links.answered() == [Loaded(CLAIMED, members, blocked_by=frozenset({BOB}))]  # type: ignore[arg-type]
    assert links.asked == [("user", "pair", ANN, BOB), ("message", "claim", TALK, 3)]


async def test_nothing_is_claimed_for_users_that_do_not_exist(nursery: trio.Nursery) -> None:
    links = Links(nursery)
    links.user.raises = Rejected("not_found", "no such user")
    links.logs.load(TALK, 3, links.answers.append)
    assert await links.answered() == [links.user.raises]
    assert [asked[1] for asked in links.asked] == ["pair"]


async def test_a_group_is_claimed_before_its_members_are_read(nursery: trio.Nursery) -> None:
    links = Links(nursery)
    links.group_message.does = lambda *_: CLAIMED
    links.group.does = lambda *_: STATE
    links.logs.load(GROUP, 3, links.answers.append)
    assert await links.answered() == [Loaded(CLAIMED, STATE.members, "a group", "shared")]
    assert [asked[:2] for asked in links.asked] == [("group_message", "claim"), ("group", "state")]


async def test_a_group_that_never_was_has_no_members(nursery: trio.Nursery) -> None:
    links = Links(nursery)
    links.group_message.does = lambda *_: CLAIMED
    links.logs.load(GROUP, 3, links.answers.append)
    assert await links.answered() == [Loaded(CLAIMED, {})]


# ---- relay, people


async def test_who_arrives_is_looked_up_and_then_listed(nursery: trio.Nursery) -> None:
    links = Links(nursery)
    links.user.does = lambda *_: PERSON
    links.relay_service.does = lambda *_: []
    links.relay.arrive(ANN, DEVICE, links.answers.append)
    assert await links.answered() == [(PERSON, [])]
    assert [asked[1] for asked in links.asked] == ["person", "listing"]


@pytest.mark.parametrize("person", [None, Person(ANN, "Ann", DEVICE, is_active=False)])
async def test_a_device_that_is_none_is_not_made_known(person: Person | None, nursery: trio.Nursery) -> None:
    links = Links(nursery)
    links.user.does = lambda *_: person
    links.relay.arrive(ANN, DEVICE, links.answers.append)
    assert await links.answered() == [(person, [])]
    assert [asked[1] for asked in links.asked] == ["person"]


async def test_reports_of_presence_expect_no_answer_and_survive_a_failure(nursery: trio.Nursery) -> None:
    links = Links(nursery)
    links.last_seen.raises = AWAY
    links.people.report([Presence(ANN, is_online=True, at_ms=1)])
    assert await links.answered() == []
    assert [asked[1] for asked in links.asked] == ["report"]
