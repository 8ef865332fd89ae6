"""Passwords are argon2id, every byte counts, and what is out of bounds is never hashed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.base.errors import Rejected, Unavailable
from core.base.limits import PASSWORD_CHARS_MAX
from sidecars.user.passwords import Passwords, check_new
from tests.user.world import InlinePool


async def test_full_cost_is_the_minimum_of_owasp_or_more() -> None:
    passwords = Passwords(InlinePool())
    kept = await passwords.hash("correct horse")
    assert kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert await passwords.matches("correct horse", kept)
    assert not await passwords.matches("correct horsf", kept)


async def test_nobodys_hash_costs_what_a_real_one_costs_and_matches_nothing() -> None:
    pool = InlinePool()
    passwords = Passwords(pool, "test")
    kept = await passwords.hash("correct horse")
    before = pool.calls
    assert not await passwords.matches("correct horse", None)
    assert pool.calls == before + 1
    nobodys = passwords._nobodys
    assert nobodys.rpartition("$")[0].rpartition("$")[0] == kept.rpartition("$")[0].rpartition("$")[0]
    assert len(nobodys) == len(kept)


async def test_the_same_password_has_another_hash_each_time() -> None:
    passwords = Passwords(InlinePool(), "test")
    assert await passwords.hash("correct horse") != await passwords.hash("correct horse")


async def test_the_last_of_many_characters_counts_and_nul_ends_nothing() -> None:
    passwords = Passwords(InlinePool(), "test")
    for one, other in (
        ("x" * 1_023 + "a", "x" * 1_023 + "b"),
        ("pass\0word", "pass\0worm"),
        ("\ud800" * 8, "\ud801" * 8),
    ):
        kept = await passwords.hash(one)
        assert await passwords.matches(one, kept)
        assert not await passwords.matches(other, kept)


async def test_letters_may_be_composed_or_not() -> None:
    passwords = Passwords(InlinePool(), "test")
    assert await passwords.matches("e\u0301te\u0301 soleil", await passwords.hash("\u00e9t\u00e9 soleil"))


async def test_case_and_spaces_count() -> None:
    passwords = Passwords(InlinePool(), "test")
    kept = await passwords.hash("Correct Horse")
    for other in ("correct horse", "Correct Horse ", " Correct Horse", "CorrectHorse"):
        assert not await passwords.matches(other, kept)


async def test_out_of_bounds_is_refused_before_hashing() -> None:
    pool = InlinePool()
    passwords = Passwords(pool, "test")
    for password in ("", "1234567", "x" * (PASSWORD_CHARS_MAX + 1), "x" * 1_000_000):
        with pytest.raises(Rejected) as caught:
            await passwords.hash(password)
        assert (caught.value.code, caught.value.field) == ("bad_request", "password")
        assert "8 to 1024" in caught.value.message
        with pytest.raises(Rejected):
            check_new(password)
    with pytest.raises(Rejected):
        await passwords.matches("x" * (PASSWORD_CHARS_MAX + 1), None)
    assert pool.calls == 0


async def test_a_short_guess_is_compared_like_any_other() -> None:
    pool = InlinePool()
    assert not await Passwords(pool, "test").matches("x", None)
    assert pool.calls == 1


async def test_a_damaged_hash_matches_nothing() -> None:
    passwords = Passwords(InlinePool(), "test")
    assert not await passwords.matches("correct horse", "")
    with pytest.raises(Unavailable):
        await passwords.matches("correct horse", "$argon2id$nonsense")


@given(st.text(min_size=8, max_size=60))
async def test_any_password_matches_itself(password: str) -> None:
    passwords = Passwords(InlinePool(), "test")
    assert await passwords.matches(password, await passwords.hash(password))
