"""Who is online, who was when, and who may know: by REST and for the router's `watch`."""

import pytest

from core.base.ids import UserId, direct_conversation
from core.base.limits import Limits
from core.base.records import Presence, Watched
from sidecars.last_seen.service import LastSeenService
from sidecars.ports.users import LastSeen, Privacy
from tests.contracts.people import ANN, BOB, CID, DAN, C, uuid
from tests.group.world import NOBODY, World, open_world

USERS = "/last-seen-service/users"


async def arrive(world: World, user: UserId, at_ms: int) -> None:
    await world.last_seen.report([Presence(user, is_online=True, at_ms=at_ms)])


async def leave(world: World, user: UserId, at_ms: int) -> None:
    await world.last_seen.report([Presence(user, is_online=False, at_ms=at_ms)])


def choose(world: World, user: UserId, policy: LastSeen) -> None:
    world.people.policies[user] = Privacy(last_seen=policy)


async def test_a_contact_sees_the_state_and_the_last_activity() -> None:
    async with open_world() as world:
        await world.say(ANN, C)
        assert (await world.rest(ANN, "GET", f"{USERS}/{BOB}")).json == {"user": BOB, "state": "offline"}
        await arrive(world, BOB, 5_000)
        expected = {"user": BOB, "state": "online", "last_seen_ms": 5_000}
        assert (await world.rest(ANN, "GET", f"{USERS}/{BOB}")).json == expected
        await leave(world, BOB, 9_000)
        expected = {"user": BOB, "state": "offline", "last_seen_ms": 9_000}
        assert (await world.rest(ANN, "GET", f"{USERS}/{BOB}")).json == expected


async def test_after_a_start_everyone_is_offline_and_the_last_activity_is_known() -> None:
    async with open_world() as world:
        await world.say(ANN, C)
        await arrive(world, BOB, 5_000)
        again = LastSeenService(world.stores.last_seen, people=world.people, contacts=world.relay, limits=world.limits)
        [seen] = await again.seen(ANN, [BOB])
        assert (seen.state, seen.last_seen_ms) == ("offline", 5_000)


async def test_several_are_answered_in_the_order_asked() -> None:
    async with open_world() as world:
        await world.say(ANN, C)
        await arrive(world, BOB, 5_000)
        answer = await world.rest(ANN, "GET", f"{USERS}?ids={CID},{BOB},{NOBODY},{ANN}")
        assert answer.json == {
            "users": [
                {"user": CID, "state": "hidden"},
                {"user": BOB, "state": "online", "last_seen_ms": 5_000},
                {"user": NOBODY, "state": "hidden"},
                {"user": ANN, "state": "offline"},
            ]
        }


async def test_strangers_those_who_hide_and_those_who_do_not_exist_are_answered_alike() -> None:
    async with open_world() as world:
        await world.say(ANN, C)
        for user in (BOB, CID, DAN):
            await arrive(world, user, 5_000)
        choose(world, BOB, "nobody")
        answers = []
        for user in (BOB, CID, NOBODY):
            answer = await world.rest(ANN, "GET", f"{USERS}/{user}")
            assert answer.status == 200
            answers.append(answer.body.replace(user.encode(), b"?"))
        assert set(answers) == {b'{"user":"?","state":"hidden"}'}


@pytest.mark.parametrize("policy", ["everyone", "contacts", "nobody"])
async def test_a_block_either_way_hides_both_from_each_other(policy: LastSeen) -> None:
    async with open_world() as world:
        await world.say(ANN, C)
        for user in (ANN, BOB):
            await arrive(world, user, 5_000)
            choose(world, user, policy)
        world.people.blocks.add((ANN, BOB))
        for watcher, user in ((ANN, BOB), (BOB, ANN)):
            assert await world.last_seen.watched(watcher, [user]) == [Watched(user, may_see=False)]


async def test_who_hides_its_own_sees_no_one_elses_but_its_own() -> None:
    async with open_world() as world:
        await world.say(ANN, C)
        for user in (ANN, BOB):
            await arrive(world, user, 5_000)
        choose(world, BOB, "everyone")
        choose(world, ANN, "nobody")
        assert await world.last_seen.watched(ANN, [BOB, ANN]) == [
            Watched(BOB, may_see=False),
            Watched(ANN, may_see=True, last_seen_ms=5_000),
        ]


async def test_everyone_means_strangers_too_and_contacts_those_of_today() -> None:
    async with open_world() as world:
        await arrive(world, BOB, 5_000)
        assert await world.last_seen.watched(ANN, [BOB]) == [Watched(BOB, may_see=False)]
        choose(world, BOB, "everyone")
        assert await world.last_seen.watched(ANN, [BOB]) == [Watched(BOB, may_see=True, last_seen_ms=5_000)]
        choose(world, BOB, "contacts")
        await world.say(CID, direct_conversation(BOB, CID))
        assert [watched.may_see for watched in await world.last_seen.watched(CID, [BOB])] == [True]


async def test_the_newest_state_of_a_report_counts() -> None:
    async with open_world() as world:
        online = Presence(BOB, is_online=True, at_ms=5_000)
        await world.last_seen.report([online, Presence(BOB, is_online=False, at_ms=6_000)])
        assert world.last_seen.statistics() == {"users_online": 0}
        await world.last_seen.report([Presence(BOB, is_online=False, at_ms=6_000), online])
        assert world.last_seen.statistics() == {"users_online": 1}
        assert await world.stores.last_seen.last([BOB]) == [6_000]


@pytest.mark.parametrize("query", ["", "?ids=", "?ids=bob", f"?ids={ANN},", "?ids='--", f"?ids={ANN}&ids={BOB}"])
async def test_what_is_no_list_of_users_is_refused(query: str) -> None:
    async with open_world() as world:
        answer = await world.rest(ANN, "GET", USERS + query)
        assert (answer.status, answer.json["field"]) == (422, "ids")


async def test_no_more_users_are_answered_for_than_may_be_watched() -> None:
    async with open_world(Limits(watched_users=3)) as world:
        ids = [uuid(number) for number in range(4)]
        assert (await world.rest(ANN, "GET", f"{USERS}?ids={','.join(ids[:3])}")).status == 200
        assert (await world.rest(ANN, "GET", f"{USERS}?ids={','.join(ids)}")).status == 422
