"""Coming in, staying in, and being put out."""

from dataclasses import replace

import pytest
import trio

from core.base.errors import Rejected, TrimaranError, Unavailable
from core.base.ids import DeviceId, is_uuid
from core.base.limits import DEFAULTS, LOGIN_FAILURES_WINDOW_S, REFRESH_RETRY_S, Limits
from core.bridge.pool import Pool
from sidecars.user.sessions import LoggedIn
from tests.user.world import ACCESS_TOKEN_S, ELSEWHERE, HERE, PASSWORD, REFRESH_TOKEN_S, World, open_world, refused

NO_LIMITS = replace(DEFAULTS, logins_per_hour=0, registrations_per_hour=0, login_failures=0)


async def is_out(world: World, token: str) -> bool:
    """Whether a refresh token is refused."""
    try:
        await world.service.sessions.refresh(token)
    except Rejected as error:
        return error.code == "unauthenticated"
    return False


# ---- coming in


async def test_who_registers_is_logged_in() -> None:
    async with open_world() as world:
        ann = await world.service.sessions.register(
            " Ann@Example.org ", " Ann  Arbor ", PASSWORD, device_name="phone", address=HERE
        )
        assert (ann.account.name, ann.account.email) == ("Ann Arbor", "Ann@Example.org")
        assert not ann.account.is_operator
        assert is_uuid(ann.account.id)
        assert is_uuid(ann.device)
        assert ann.expires_in_s == ACCESS_TOKEN_S
        claims = world.verifier.verify(ann.access_token, world.clock.wall_ms())
        assert (claims.user, claims.device, claims.is_operator) == (ann.account.id, ann.device, False)
        assert [device.name for device in await world.service.sessions.devices(ann.account.id)] == ["phone"]
        again = await world.service.sessions.log_in("ANN@example.org", PASSWORD, address=ELSEWHERE)
        assert again.account == ann.account
        assert again.device != ann.device


async def test_one_address_registered_fifty_times_at_once_has_one_account() -> None:
    async with open_world() as world:
        outcomes: list[str] = []

        async def register(number: int) -> None:
            email = "ann@example.org" if number % 2 else "ANN@EXAMPLE.ORG"
            try:
                await world.service.sessions.register(email, f"Ann {number}", PASSWORD, address=HERE)
            except Rejected as error:
                outcomes.append(f"{error.code}: {error.field}")
            else:
                outcomes.append("ok")

        async with trio.open_nursery() as nursery:
            for number in range(50):
                nursery.start_soon(register, number)
        assert sorted(outcomes) == ["conflict: email"] * 49 + ["ok"]
        assert len(await world.service.search("ann")) == 1


@pytest.mark.parametrize(
    ("email", "name", "password", "device_name", "field"),
    [
        ("ann", "Ann", PASSWORD, "", "email"),
        ("ann@example.org", "\u200b", PASSWORD, "", "name"),
        ("ann@example.org", "Ann", "short", "", "password"),
        ("ann@example.org", "Ann", "x" * 1_000_000, "", "password"),
        ("ann@example.org", "Ann", PASSWORD, "x" * 65, "device_name"),
    ],
)
async def test_a_bad_registration_names_the_field_and_does_nothing(
    email: str, name: str, password: str, device_name: str, field: str
) -> None:
    async with open_world(replace(NO_LIMITS, registrations_per_hour=1)) as world:
        for _ in range(3):
            async with refused("bad_request", field):
                await world.service.sessions.register(email, name, password, device_name=device_name, address=HERE)
        assert world.pool.calls == 0
        await world.register()


async def test_a_wrong_password_and_an_unknown_address_are_answered_alike_after_the_same_work() -> None:
    async with open_world() as world:
        await world.register()
        said = []
        for name in ("Ann", "Nobody"):
            before = world.pool.calls
            async with refused("unauthenticated") as caught:
                await world.log_in(name, "wrong password")
            said.append((str(caught.value), caught.value.retry_after_s, world.pool.calls - before))
        assert said[0] == said[1]
        assert said[0][2] == 1


async def test_a_megabyte_of_password_is_refused_before_hashing_and_a_short_one_is_just_wrong() -> None:
    async with open_world() as world:
        await world.register()
        before = world.pool.calls
        async with refused("bad_request", "password"):
            await world.log_in(password="x" * 1_000_000)
        assert world.pool.calls == before
        async with refused("unauthenticated"):
            await world.log_in(password="x")


async def test_a_disabled_account_is_told_so_only_with_its_password() -> None:
    async with open_world() as world:
        ann = await world.register()
        await world.service.set_disabled(ann.account.id, True)
        async with refused("unauthenticated"):
            await world.log_in(password="wrong password")
        async with refused("forbidden"):
            await world.log_in()
        assert await is_out(world, ann.refresh_token)
        assert world.events.revoked == [(ann.account.id, ann.device)]
        assert not await world.service.is_active(ann.account.id, ann.device)
        await world.service.set_disabled(ann.account.id, False)
        await world.log_in()


async def test_an_operator_is_known_by_the_next_token() -> None:
    async with open_world() as world:
        root = await world.service.sessions.add("root@example.org", "Root", PASSWORD, is_operator=True)
        logged_in = await world.log_in("Root")
        assert logged_in.account.id == root.id
        assert world.verifier.verify(logged_in.access_token, world.clock.wall_ms()).is_operator
        await world.service.set_operator(root.id, False)
        logged_in = await world.service.sessions.refresh(logged_in.refresh_token)
        assert not world.verifier.verify(logged_in.access_token, world.clock.wall_ms()).is_operator


# ---- limits


async def test_ten_wrong_passwords_shut_the_account_at_that_address_alone() -> None:
    async with open_world(replace(NO_LIMITS, login_failures=10)) as world:
        await world.register()
        await world.register("Bob")
        for _ in range(10):
            async with refused("unauthenticated"):
                await world.log_in(password="wrong password")
            world.clock.advance(1.0)
        hashed = world.pool.calls
        for password in ("wrong password", PASSWORD):
            async with refused("rate_limited") as caught:
                await world.log_in(password=password)
            assert caught.value.retry_after_s == LOGIN_FAILURES_WINDOW_S - 10.0
        assert world.pool.calls == hashed
        await world.log_in(address=ELSEWHERE)
        await world.log_in("Bob")
        world.clock.advance(LOGIN_FAILURES_WINDOW_S - 10.0)
        await world.log_in()


async def test_wrong_passwords_at_once_do_not_slip_through() -> None:
    async with open_world(replace(NO_LIMITS, login_failures=10)) as world:
        await world.register()
        outcomes: list[str] = []

        async def guess() -> None:
            try:
                await world.log_in(password="wrong password")
            except TrimaranError as error:
                outcomes.append(error.code)

        async with trio.open_nursery() as nursery:
            for _ in range(50):
                nursery.start_soon(guess)
        assert sorted(outcomes) == ["rate_limited"] * 40 + ["unauthenticated"] * 10


async def test_an_unknown_address_is_shut_out_like_a_known_one() -> None:
    async with open_world(replace(NO_LIMITS, login_failures=2)) as world:
        for code in ("unauthenticated", "unauthenticated", "rate_limited"):
            async with refused(code):
                await world.log_in("Nobody")


async def test_who_gets_it_right_begins_anew() -> None:
    async with open_world(replace(NO_LIMITS, login_failures=2)) as world:
        await world.register()
        for _ in range(3):
            async with refused("unauthenticated"):
                await world.log_in(password="wrong password")
            await world.log_in()


async def test_an_address_may_log_in_and_register_so_often_an_hour() -> None:
    async with open_world(replace(NO_LIMITS, logins_per_hour=3, registrations_per_hour=2)) as world:
        await world.register("Ann")
        await world.register("Bob")
        async with refused("rate_limited") as caught:
            await world.register("Cid")
        assert caught.value.retry_after_s == 3_600.0
        await world.register("Cid", address=ELSEWHERE)
        await world.log_in("Ann")
        await world.log_in("Bob")
        async with refused("unauthenticated"):
            await world.log_in("Nobody")
        async with refused("rate_limited"):
            await world.log_in("Ann")
        await world.log_in("Ann", address=ELSEWHERE)
        world.clock.advance(3_600.0)
        await world.log_in("Ann")


async def test_what_we_cannot_serve_counts_against_nobody() -> None:
    limits = Limits(logins_per_hour=1, registrations_per_hour=1, login_failures=1)
    async with open_world(limits) as world:
        world.pool.is_full = True
        for _ in range(3):
            async with refused("unavailable"):
                await world.register()
        world.pool.is_full = False
        await world.register()
        world.pool.is_full = True
        for _ in range(3):
            async with refused("unavailable"):
                await world.log_in()
        world.pool.is_full = False
        await world.log_in()


async def test_a_hundred_logins_at_once_get_their_answer_or_are_told_to_come_again(nursery: trio.Nursery) -> None:
    pool = Pool("passwords", threads=1, waiting_max=8)
    await nursery.start(pool.run)
    async with open_world(NO_LIMITS, pool) as world:
        await world.register()
        outcomes: list[str] = []

        async def log_in() -> None:
            try:
                await world.log_in()
            except Unavailable as error:
                outcomes.append(f"come again in {error.retry_after_s} s")
            else:
                outcomes.append("ok")

        async with trio.open_nursery() as crowd:
            for _ in range(100):
                crowd.start_soon(log_in)
        assert len(outcomes) == 100
        assert outcomes.count("ok") >= 8
        assert set(outcomes) <= {"ok", "come again in 1.0 s"}


# ---- staying


async def test_a_refresh_gives_new_tokens_of_the_same_device() -> None:
    async with open_world() as world:
        ann = await world.register()
        world.clock.advance(600.0)
        again = await world.service.sessions.refresh(ann.refresh_token)
        assert (again.account, again.device) == (ann.account, ann.device)
        assert again.refresh_token != ann.refresh_token
        claims = world.verifier.verify(again.access_token, world.clock.wall_ms())
        assert claims.expires_ms - world.clock.wall_ms() > (ACCESS_TOKEN_S - 2) * 1_000
        (device,) = await world.service.sessions.devices(ann.account.id)
        assert device.used_ms - device.created_ms == 600_000


async def test_a_token_used_twice_ends_the_family() -> None:
    async with open_world() as world:
        ann = await world.register()
        other = await world.log_in()
        second = await world.service.sessions.refresh(ann.refresh_token)
        world.clock.advance(REFRESH_RETRY_S + 1.0)
        assert await is_out(world, ann.refresh_token)
        assert await is_out(world, second.refresh_token)
        assert world.events.revoked == [(ann.account.id, ann.device)]
        assert not await world.service.is_active(ann.account.id, ann.device)
        assert not await is_out(world, other.refresh_token)


async def test_a_token_used_again_after_its_successor_ends_the_family_at_once() -> None:
    async with open_world() as world:
        ann = await world.register()
        second = await world.service.sessions.refresh(ann.refresh_token)
        third = await world.service.sessions.refresh(second.refresh_token)
        assert await is_out(world, ann.refresh_token)
        assert await is_out(world, third.refresh_token)


async def test_a_lost_reply_may_be_asked_for_again() -> None:
    async with open_world() as world:
        ann = await world.register()
        lost = await world.service.sessions.refresh(ann.refresh_token)
        world.clock.advance(REFRESH_RETRY_S)
        again = await world.service.sessions.refresh(ann.refresh_token)
        assert again.refresh_token == lost.refresh_token
        assert not await is_out(world, again.refresh_token)


async def test_refreshes_at_one_instant_give_one_new_chain() -> None:
    async with open_world() as world:
        ann = await world.register()
        answers: list[LoggedIn] = []

        async def refresh() -> None:
            answers.append(await world.service.sessions.refresh(ann.refresh_token))

        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(refresh)
        assert len(answers) == 10
        assert len({answer.refresh_token for answer in answers}) == 1
        assert world.events.revoked == []
        assert not await is_out(world, answers[0].refresh_token)


async def test_a_refresh_token_ends_when_it_was_not_used_for_its_life() -> None:
    async with open_world() as world:
        ann = await world.register()
        world.clock.advance(REFRESH_TOKEN_S - 1.0)
        again = await world.service.sessions.refresh(ann.refresh_token)
        world.clock.advance(REFRESH_TOKEN_S - 1.0)
        again = await world.service.sessions.refresh(again.refresh_token)
        world.clock.advance(float(REFRESH_TOKEN_S))
        assert await is_out(world, again.refresh_token)


async def test_tokens_of_another_kind_refresh_nothing() -> None:
    async with open_world() as world:
        ann = await world.register()
        family, _, secret = ann.refresh_token.partition(".")
        for token in (ann.access_token, "", f"{'0' * 64}.{secret}", f"{secret}.{family}", "x" * 1_000_000, "\ud800"):
            assert await is_out(world, token)
        async with refused("unauthenticated"):
            world.verifier.verify(ann.refresh_token, world.clock.wall_ms())
        assert not await is_out(world, ann.refresh_token)


# ---- devices, and leaving


async def test_after_logging_out_the_tokens_are_worth_nothing() -> None:
    async with open_world() as world:
        ann = await world.register()
        assert await world.service.is_active(ann.account.id, ann.device)
        for _ in range(2):
            await world.service.sessions.log_out(ann.account.id, ann.device)
        assert await is_out(world, ann.refresh_token)
        assert not await world.service.is_active(ann.account.id, ann.device)
        assert await world.service.person(ann.account.id, ann.device) is None
        assert world.events.revoked == [(ann.account.id, ann.device)]


async def test_a_device_that_logs_in_again_stays_the_same_device() -> None:
    async with open_world() as world:
        ann, bob = await world.register(), await world.register("Bob")
        again = await world.log_in(device=ann.device)
        assert again.device == ann.device
        assert await is_out(world, ann.refresh_token)
        assert not await is_out(world, again.refresh_token)
        (device,) = await world.service.sessions.devices(ann.account.id)
        assert device.name == "phone"
        for foreign in (bob.device, world.ids.uuid7(), "x", "'; DROP TABLE device; --"):
            assert (await world.log_in(device=foreign)).device not in (ann.device, bob.device, foreign)
        assert not await is_out(world, bob.refresh_token)


async def test_one_login_more_puts_out_the_device_unused_longest() -> None:
    async with open_world(replace(NO_LIMITS, devices_per_user=3)) as world:
        first = await world.register()
        others = []
        for _ in range(2):
            world.clock.advance(1.0)
            others.append(await world.log_in())
        world.clock.advance(1.0)
        await world.service.sessions.refresh(first.refresh_token)
        await world.log_in()
        assert world.events.revoked == [(first.account.id, others[0].device)]
        assert await is_out(world, others[0].refresh_token)
        assert len(await world.service.sessions.devices(first.account.id)) == 3


async def test_only_ones_own_devices_can_be_removed() -> None:
    async with open_world() as world:
        ann, bob = await world.register(), await world.register("Bob")
        said = []
        for device in (bob.device, DeviceId(world.ids.uuid7()), DeviceId("x")):
            async with refused("not_found") as caught:
                await world.service.sessions.remove_device(ann.account.id, device)
            said.append(str(caught.value))
        assert len(set(said)) == 1
        assert world.events.revoked == []
        await world.service.sessions.remove_device(ann.account.id, ann.device)
        assert world.events.revoked == [(ann.account.id, ann.device)]


async def test_a_new_password_puts_the_other_devices_out() -> None:
    async with open_world() as world:
        ann, other = await world.register(), await world.log_in()
        set_password = world.service.sessions.set_password
        async with refused("bad_request", "password"):
            await set_password(ann.account.id, ann.device, PASSWORD, "short", address=HERE)
        async with refused("forbidden", "current_password"):
            await set_password(ann.account.id, ann.device, "wrong password", "battery staple", address=HERE)
        await set_password(ann.account.id, ann.device, PASSWORD, "battery staple", address=HERE)
        assert world.events.revoked == [(ann.account.id, other.device)]
        assert await is_out(world, other.refresh_token)
        assert not await is_out(world, ann.refresh_token)
        async with refused("unauthenticated"):
            await world.log_in()
        await world.log_in(password="battery staple")


async def test_the_present_password_cannot_be_guessed_through_changing_it() -> None:
    async with open_world(replace(NO_LIMITS, login_failures=2)) as world:
        ann = await world.register()
        for code, field in (
            ("forbidden", "current_password"),
            ("forbidden", "current_password"),
            ("rate_limited", None),
        ):
            async with refused(code, field):  # type: ignore[arg-type]
                await world.service.sessions.set_password(
                    ann.account.id, ann.device, "wrong password", "battery staple", address=HERE
                )


async def test_deleting_an_account_puts_it_out_and_frees_its_address() -> None:
    async with open_world() as world:
        ann, other, bob = await world.register(), await world.log_in(), await world.register("Bob")
        await world.service.block(ann.account.id, bob.account.id)
        await world.service.sessions.erase(ann.account.id)
        assert sorted(world.events.revoked) == sorted((ann.account.id, one.device) for one in (ann, other))
        for token in (ann.refresh_token, other.refresh_token):
            assert await is_out(world, token)
        async with refused("unauthenticated"):
            await world.log_in()
        async with refused("not_found"):
            await world.service.user(ann.account.id)
        assert await world.service.search("ann") == await world.service.search("ann@example.org") == []
        assert await world.service.names([ann.account.id]) == {ann.account.id: "Deleted account"}
        assert await world.service.pair(ann.account.id, bob.account.id) == frozenset()
        assert (await world.register()).account.id != ann.account.id


async def test_a_login_that_was_under_way_when_the_account_was_deleted_is_refused() -> None:
    async with open_world() as world:
        ann = await world.register()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(world.service.sessions.erase, ann.account.id)
            async with refused("unauthenticated"):
                while True:
                    await world.log_in()
        assert await world.service.sessions.devices(ann.account.id) == []
