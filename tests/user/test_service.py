"""Profiles, privacy, blocks, and what the router and other services ask about people."""

import pytest

from core.base.ids import UserId
from core.base.records import Person
from core.links import services as links
from sidecars.ports.users import Privacy
from tests.user.world import open_world, refused

NOBODY = UserId("01890000-0000-7000-8000-00000000000a")


async def test_the_router_can_use_it_as_it_is() -> None:
    async with open_world() as world:
        service: links.UserService = world.service
        ann, bob = await world.register(), await world.register("Bob")
        assert await service.person(ann.account.id, ann.device) == Person(ann.account.id, "Ann", ann.device, True)
        assert await service.person(ann.account.id, bob.device) is None
        assert await service.pair(ann.account.id, bob.account.id) == frozenset()
        async with refused("not_found"):
            await service.pair(ann.account.id, NOBODY)


async def test_names_and_privacy_are_answered_for_many() -> None:
    async with open_world() as world:
        ann, bob = await world.register(), await world.register("Bob")
        await world.service.set_privacy(bob.account.id, Privacy("nobody", False))
        asked = [bob.account.id, NOBODY, ann.account.id]
        assert await world.service.names(asked) == {ann.account.id: "Ann", bob.account.id: "Bob"}
        assert await world.service.privacy(asked) == {
            ann.account.id: Privacy("contacts", True),
            bob.account.id: Privacy("nobody", False),
        }
        assert await world.service.names([]) == {}


async def test_users_come_in_the_order_asked_each_once_and_only_those_that_are() -> None:
    async with open_world() as world:
        ann, bob = await world.register(), await world.register("Bob")
        asked = [bob.account.id, NOBODY, UserId("x"), ann.account.id, bob.account.id]
        assert [one.id for one in await world.service.users(asked)] == [bob.account.id, ann.account.id]


@pytest.mark.parametrize("user", [NOBODY, UserId(""), UserId("x"), UserId("' OR 1=1 --")])
async def test_who_does_not_exist_is_not_found(user: UserId) -> None:
    async with open_world() as world:
        ann = await world.register()
        async with refused("not_found"):
            await world.service.user(user)
        async with refused("not_found"):
            await world.service.block(ann.account.id, user)
        assert world.events.blocks == []


async def test_search_is_by_name_or_by_a_whole_address() -> None:
    async with open_world() as world:
        ann, anna = await world.register(), await world.register("Anna")

        async def found(text: str) -> list[UserId]:
            return [one.id for one in await world.service.search(text)]

        assert await found("an") == [ann.account.id, anna.account.id]
        assert await found(" ANN@example.org ") == [ann.account.id]
        for text in ("ann@", "@example.org", "ann@example", "example.org", "", "%", "x" * 254):
            assert await found(text) == []
        async with refused("bad_request", "search"):
            await found("x" * 255)


async def test_search_finds_twenty_at_most() -> None:
    async with open_world() as world:
        for number in range(25):
            await world.service.sessions.add(f"ann{number}@example.org", "Ann", "correct horse")
        assert len(await world.service.search("ann")) == 20


async def test_a_rename_is_found_and_cleaned() -> None:
    async with open_world() as world:
        ann = await world.register()
        assert (await world.service.rename(ann.account.id, "  Zo\u200be ")).name == "Zoe"
        assert [one.name for one in await world.service.search("zoe")] == ["Zoe"]
        assert await world.service.search("ann") == []
        async with refused("bad_request", "name"):
            await world.service.rename(ann.account.id, " ")


async def test_blocks_are_told_once_and_can_be_taken_back() -> None:
    async with open_world() as world:
        ann, bob = (await world.register()).account.id, (await world.register("Bob")).account.id
        for _ in range(2):
            await world.service.block(ann, bob)
        assert await world.service.pair(bob, ann) == {ann}
        assert [one.id for one in await world.service.blocks(ann)] == [bob]
        assert await world.service.blockers(bob, [ann]) == {ann}
        assert await world.service.blocked(ann, [bob, ann]) == {bob}
        for _ in range(2):
            await world.service.unblock(ann, bob)
        assert await world.service.pair(bob, ann) == frozenset()
        assert world.events.blocks == [(ann, bob), (ann, bob)]
        async with refused("bad_request", "user"):
            await world.service.block(ann, ann)


async def test_privacy_is_told_when_it_changes() -> None:
    async with open_world() as world:
        ann = (await world.register()).account.id
        assert await world.service.own_privacy(ann) == Privacy("contacts", True)
        assert await world.service.set_privacy(ann, Privacy("everyone", False)) == Privacy("everyone", False)
        assert await world.service.own_privacy(ann) == Privacy("everyone", False)
        assert world.events.privacy == [ann]


async def test_an_export_has_all_that_is_kept() -> None:
    async with open_world() as world:
        ann, bob = await world.register(), await world.register("Bob")
        await world.service.block(ann.account.id, bob.account.id)
        account, devices, blocks = await world.service.export(ann.account.id)
        assert (account, [one.id for one in devices], blocks) == (ann.account, [ann.device], [bob.account.id])


async def test_the_keys_are_public_and_only_that() -> None:
    async with open_world() as world:
        (key,) = world.service.jwks()["keys"]
        assert (key["kty"], key["crv"], key["alg"], key["use"]) == ("OKP", "Ed25519", "EdDSA", "sig")
        assert "d" not in key
