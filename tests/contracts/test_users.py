"""The contract of the port UserStore."""

import trio
from msgspec.structs import replace

from core.base.ids import DeviceId, UserId
from core.base.records import Person
from sidecars.ports.users import Account, AccountChange, Device, Family, Privacy, UserStore
from tests.contracts.backends import Backend, Stores, on_every_backend
from tests.contracts.people import ANN, BOB, CID, DAN, uuid

pytestmark = on_every_backend

NAMES = {ANN: "Ann Arbor", BOB: "Bob Ånström", CID: "Cid", DAN: "Dan Arbor"}


def account(user: UserId, email: str = "") -> Account:
    name = NAMES[user]
    address = email or f"{name.split()[0]}@Example.org"
    return Account(user, address, address.lower(), name, f"hash of {name}", 1_000)


def device(number: int, user: UserId = ANN, used_ms: int = 0) -> Device:
    family = Family(f"family {number}", f"current {number}", "", "", 10, 20)
    return Device(DeviceId(uuid(number)), user, f"device {number}", 5, used_ms or number, family)


async def open_accounts(users: UserStore, *people: UserId) -> None:
    for user in people:
        assert await users.add(account(user))


async def log_in(users: UserStore, *devices: Device, devices_max: int = 20) -> list[DeviceId]:
    removed: list[DeviceId] = []
    for one in devices:
        gone = await users.log_in(one, f"hash of {NAMES[one.user]}", devices_max)
        assert gone is not None
        removed += gone
    return removed


def test_an_account_is_found_by_id_and_by_address_with_every_field(backend: Backend) -> None:
    async def test(stores: Stores) -> None:
        users = stores.users
        odd = replace(account(ANN), privacy=Privacy("nobody", False), is_operator=True, is_disabled=True)
        assert await users.add(odd)
        await open_accounts(users, BOB)
        assert await users.account(ANN) == odd
        assert await users.account_of_email("ann@example.org") == odd
        assert await users.account_of_email("bob@example.org") == account(BOB)
        assert await users.account(CID) is None
        assert await users.account_of_email("ann@example.com") is None
        found = await users.accounts([BOB, CID, ANN, BOB])
        assert sorted(found, key=lambda one: one.id) == [odd, account(BOB)]
        assert await users.accounts([]) == []

    backend.run(test)


def test_an_address_has_one_account_however_many_come_at_once(backend: Backend) -> None:
    async def test(stores: Stores) -> None:
        added: list[UserId] = []

        async def add(number: int) -> None:
            user = UserId(uuid(number))
            if await stores.users.add(Account(user, "a@b.test", "a@b.test", "Ann", "hash", 1)):
                added.append(user)

        async with trio.open_nursery() as nursery:
            for number in range(50):
                nursery.start_soon(add, number)
        assert len(added) == 1
        found = await stores.users.account_of_email("a@b.test")
        assert found is not None
        assert [found.id] == added
        assert [one.id for one in await stores.users.search("ann", 50)] == added

    backend.run(test)


def test_a_change_leaves_the_rest_as_it_is(backend: Backend) -> None:
    async def test(stores: Stores) -> None:
        users = stores.users
        await open_accounts(users, ANN, BOB)
        expected = account(ANN)
        for change, fields in (
            (AccountChange(name="Anna"), {"name": "Anna"}),
            (AccountChange(privacy=Privacy("everyone", False)), {"privacy": Privacy("everyone", False)}),
            (AccountChange(is_operator=True), {"is_operator": True}),
            (AccountChange(is_disabled=True), {"is_disabled": True}),
            (AccountChange(is_operator=False, is_disabled=False), {"is_operator": False, "is_disabled": False}),
            (AccountChange(), {}),
        ):
            expected = replace(expected, **fields)
            assert await users.change(ANN, change) == expected
            assert await users.account(ANN) == expected
        assert await users.account(BOB) == account(BOB)
        assert await users.change(CID, AccountChange(name="X")) is None

    backend.run(test)


def test_search_finds_the_beginnings_of_all_words_and_nothing_else(backend: Backend) -> None:
    async def test(stores: Stores) -> None:
        users = stores.users
        await open_accounts(users, DAN, CID, BOB, ANN)

        async def found(text: str, limit: int = 20) -> list[UserId]:
            return [one.id for one in await users.search(text, limit)]

        assert await found("arb") == [ANN, DAN]
        assert await found("ARB an") == [ANN]
        assert await found("angstrom") == []
        assert await found("anstrom") == await found("Ånströ") == [BOB]
        assert await found("arbor arbor") == [ANN, DAN]
        assert await found("arbor", limit=1) == [ANN]
        assert await found("rbor") == await found("") == await found(" ,. ") == await found("ann zed") == []
        for text in ("%", "_", "a%", "' OR 1=1 --", '"', "*", "\\"):
            assert CID not in await found(text)
        await users.change(ANN, AccountChange(name="Hannah"))
        assert await found("arbor") == [DAN]
        assert await found("han") == [ANN]
        await users.change(ANN, AccountChange(is_disabled=True))
        assert await found("han") == []

    backend.run(test)


def test_a_login_needs_an_active_account_and_its_present_password(backend: Backend) -> None:
    async def test(stores: Stores) -> None:
        users = stores.users
        await open_accounts(users, ANN, BOB)
        assert await users.log_in(device(10), "another hash", 20) is None
        assert await users.log_in(device(10, CID), "hash of Cid", 20) is None
        assert await log_in(users, device(10)) == []
        assert await users.log_in(device(10, BOB), "hash of Bob Ånström", 20) is None
        assert await users.devices(ANN) == [device(10)]
        assert await users.devices(BOB) == []
        await users.change(ANN, AccountChange(is_disabled=True))
        assert await users.log_in(device(11), "hash of Ann Arbor", 20) is None

    backend.run(test)


def test_one_device_more_removes_the_one_unused_longest_and_never_the_new_one(backend: Backend) -> None:
    async def test(stores: Stores) -> None:
        users = stores.users
        await open_accounts(users, ANN, BOB)
        await log_in(users, device(10, used_ms=30), device(11, used_ms=10), device(12, used_ms=20), device(13, BOB))
        assert await log_in(users, device(14, used_ms=5), devices_max=3) == [device(11).id]
        assert [one.id for one in await users.devices(ANN)] == [device(10).id, device(12).id, device(14).id]
        assert len(await users.devices(BOB)) == 1

    backend.run(test)


def test_a_device_that_logs_in_again_is_the_same_with_a_new_family(backend: Backend) -> None:
    async def test(stores: Stores) -> None:
        users = stores.users
        await open_accounts(users, ANN)
        await log_in(users, device(10), device(11))
        again = replace(device(12, used_ms=99), id=device(10).id)
        assert await log_in(users, again, devices_max=2) == []
        assert await users.device_of_family("family 10") is None
        assert await users.device_of_family("family 12") == again
        assert [one.id for one in await users.devices(ANN)] == [device(10).id, device(11).id]

    backend.run(test)


def test_a_refresh_token_is_exchanged_once_however_many_try(backend: Backend) -> None:
    async def test(stores: Stores) -> None:
        users = stores.users
        await open_accounts(users, ANN)
        await log_in(users, device(10))
        wins: list[int] = []

        async def rotate(number: int) -> None:
            family = Family("family 10", f"next {number}", "current 10", "nonce", 30, 40)
            if await users.rotate(device(10).id, "current 10", family, 50):
                wins.append(number)

        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(rotate, number)
        assert len(wins) == 1
        found = await users.device_of_family("family 10")
        assert found is not None
        assert found == replace(
            device(10), used_ms=50, family=Family("family 10", f"next {wins[0]}", "current 10", "nonce", 30, 40)
        )
        assert not await users.rotate(device(11).id, "current 11", found.family, 60)

    backend.run(test)


def test_a_removed_device_is_gone_with_its_tokens(backend: Backend) -> None:
    async def test(stores: Stores) -> None:
        users = stores.users
        await open_accounts(users, ANN, BOB)
        await log_in(users, device(10), device(11))
        assert not await users.remove_device(BOB, device(10).id)
        assert await users.remove_device(ANN, device(10).id)
        assert not await users.remove_device(ANN, device(10).id)
        assert await users.device_of_family("family 10") is None
        assert [one.id for one in await users.devices(ANN)] == [device(11).id]

    backend.run(test)


def test_a_person_is_a_user_with_a_device_of_its_own(backend: Backend) -> None:
    async def test(stores: Stores) -> None:
        users = stores.users
        await open_accounts(users, ANN, BOB)
        await log_in(users, device(10), device(11, BOB))
        assert await users.person(ANN, device(10).id) == Person(ANN, "Ann Arbor", device(10).id, True)
        assert await users.person(ANN, device(11).id) is None
        assert await users.person(CID, device(10).id) is None
        await users.change(ANN, AccountChange(is_disabled=True))
        assert await users.person(ANN, device(10).id) == Person(ANN, "Ann Arbor", device(10).id, False)

    backend.run(test)


def test_a_new_password_needs_the_old_one_and_logs_the_other_devices_out(backend: Backend) -> None:
    async def test(stores: Stores) -> None:
        users = stores.users
        await open_accounts(users, ANN, BOB)
        await log_in(users, device(10), device(11), device(12), device(13, BOB))
        assert await users.set_password(ANN, "another", "new", None) is None
        assert await users.set_password(CID, "hash of Cid", "new", None) is None
        gone = await users.set_password(ANN, "hash of Ann Arbor", "new", device(11).id)
        assert sorted(gone or []) == [device(10).id, device(12).id]
        assert await users.account(ANN) == replace(account(ANN), password_hash="new")
        assert await users.set_password(ANN, "new", "newer", None) == [device(11).id]
        assert await users.devices(ANN) == []
        assert len(await users.devices(BOB)) == 1

    backend.run(test)


def test_an_erased_account_leaves_its_id_alone(backend: Backend) -> None:
    async def test(stores: Stores) -> None:
        users = stores.users
        await open_accounts(users, ANN, BOB)
        await log_in(users, device(10), device(11))
        await users.set_block(ANN, BOB, True)
        await users.set_block(BOB, ANN, True)
        assert sorted(await users.erase(ANN, 777)) == [device(10).id, device(11).id]
        assert await users.erase(ANN, 888) == await users.erase(CID, 888) == []
        left = Account(ANN, "", "", "", "", 0, Privacy("nobody", False), deleted_ms=777)
        assert await users.account(ANN) == left
        assert await users.accounts([ANN]) == [left]
        assert await users.account_of_email("ann@example.org") is await users.account_of_email("") is None
        assert await users.search("ann", 20) == []
        assert await users.devices(ANN) == []
        assert await users.blocks(ANN) == await users.blocks(BOB) == []
        assert await users.person(ANN, device(10).id) is None
        assert await users.change(ANN, AccountChange(name="Ann")) is None
        assert await users.set_password(ANN, "", "new", None) is None
        assert await users.log_in(device(12), "", 20) is None
        assert await users.pair(ANN, BOB) == frozenset()

    backend.run(test)


def test_the_address_of_an_erased_account_is_free(backend: Backend) -> None:
    async def test(stores: Stores) -> None:
        users = stores.users
        await open_accounts(users, ANN, BOB)
        await users.erase(ANN, 777)
        await users.erase(BOB, 778)
        assert await users.add(account(CID, "ann@example.org"))
        assert not await users.add(account(DAN, "ANN@example.org"))

    backend.run(test)


def test_blocks_have_a_direction(backend: Backend) -> None:
    async def test(stores: Stores) -> None:
        users = stores.users
        await open_accounts(users, ANN, BOB, CID)
        assert await users.set_block(ANN, BOB, True)
        assert not await users.set_block(ANN, BOB, True)
        assert await users.set_block(ANN, CID, True)
        assert await users.set_block(CID, ANN, True)
        assert await users.blocks(ANN) == [BOB, CID]
        assert await users.blocked(ANN, [CID, DAN, ANN]) == {CID}
        assert await users.blockers(ANN, [BOB, CID]) == {CID}
        assert await users.blockers(BOB, [ANN, CID]) == {ANN}
        assert await users.blockers(BOB, []) == frozenset()
        assert await users.pair(ANN, BOB) == await users.pair(BOB, ANN) == frozenset({ANN})
        assert await users.pair(ANN, CID) == frozenset({ANN, CID})
        assert await users.pair(BOB, CID) == frozenset()
        assert await users.pair(ANN, ANN) == frozenset()
        assert await users.pair(ANN, DAN) is await users.pair(DAN, DAN) is None
        assert await users.set_block(ANN, BOB, False)
        assert not await users.set_block(ANN, BOB, False)
        assert await users.blocks(ANN) == [CID]

    backend.run(test)
