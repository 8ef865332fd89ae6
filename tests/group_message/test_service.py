"""group_message is message for groups: what differs is who may write, and that groups' texts are hidden from nobody."""

import pytest

from core.base.errors import Rejected
from core.base.ids import group_of
from core.base.limits import Limits
from core.links.services import GroupService, LastSeenService, LogService, RelayService
from sidecars.group.requests import Caller, NewMember
from tests.contracts.people import ANN, BOB, uuid
from tests.group.world import PHONE, open_world


async def test_the_services_are_what_the_router_needs() -> None:
    async with open_world() as world:
        logs: list[LogService] = [world.message, world.group_message]
        relay: RelayService = world.relay
        group: GroupService = world.groups
        last_seen: LastSeenService = world.last_seen
        assert all([*logs, relay, group, last_seen])


async def test_a_reader_reads_and_does_not_write() -> None:
    async with open_world() as world:
        group = await world.make_group(NewMember(BOB, "reader"))
        url = f"/group-message-service/conversations/{group.conversation}/messages"
        assert (await world.rest(BOB, "GET", url)).status == 200
        wish = {"client_id": uuid(700), "body": {"text": "may I?"}}
        answer = await world.rest(BOB, "POST", url, wish)
        assert (answer.status, answer.json["code"]) == (403, "forbidden")
        await world.user_groups.set_role(Caller(ANN, PHONE), group_of(group.conversation), BOB, "member")
        assert (await world.rest(BOB, "POST", url, wish)).status == 201


async def test_a_block_hides_nothing_in_a_group() -> None:
    async with open_world() as world:
        group = await world.make_group(BOB)
        world.people.blocks.add((ANN, BOB))
        await world.say(BOB, group.conversation)
        page = await world.user_group_messages.page(ANN, group.conversation, limit=10)
        assert [each.entry.seq for each in page.entries] == [1, 2]


async def test_a_full_list_of_conversations_refuses_a_group() -> None:
    async with open_world(Limits(conversations_per_user=1)) as world:
        await world.make_group()
        with pytest.raises(Rejected, match="at most 1 conversations"):
            await world.make_group()
