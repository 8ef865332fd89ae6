"""Families of refresh tokens: one chain whatever is lost, repeated or raced; and an end to it when one is used twice."""

from random import Random

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from core.base.clock import ManualClock
from core.base.errors import Rejected
from core.base.ids import IdSource
from core.base.limits import REFRESH_RETRY_S
from sidecars.ports.users import Family
from sidecars.user import refresh
from sidecars.user.refresh import Exchanged, Expired, Repeated, Reused

LIFETIME_S = 1_000
RETRY_MS = int(REFRESH_RETRY_S * 1_000)
IDS = IdSource(ManualClock(), Random(1))


def exchange(family: Family, token: str, now_ms: int) -> Exchanged | Repeated | Reused | Expired:
    return refresh.exchange(family, refresh.parse(token), IDS, now_ms, LIFETIME_S)


def exchanged(family: Family, token: str, now_ms: int) -> Exchanged:
    answer = exchange(family, token, now_ms)
    assert isinstance(answer, Exchanged)
    return answer


def test_the_store_has_hashes_only() -> None:
    first = refresh.start(IDS, 0, LIFETIME_S)
    second = exchanged(first.family, first.token, 1)
    third = exchanged(second.family, second.token, 2)
    kept = repr([first.family, second.family, third.family])
    for issued in (first, second, third):
        assert not any(half in kept for half in issued.token.split("."))


def test_a_lost_reply_is_repeated_for_a_while_and_gives_the_same_token() -> None:
    first = refresh.start(IDS, 0, LIFETIME_S)
    second = exchanged(first.family, first.token, 5)
    for later_ms in (0, 1, RETRY_MS):
        assert exchange(second.family, first.token, 5 + later_ms) == Repeated(second.token)
    assert exchange(second.family, first.token, 5 + RETRY_MS + 1) == Reused()


def test_once_the_next_was_used_no_reply_was_lost() -> None:
    first = refresh.start(IDS, 0, LIFETIME_S)
    second = exchanged(first.family, first.token, 5)
    third = exchanged(second.family, second.token, 6)
    assert exchange(third.family, first.token, 7) == Reused()


def test_a_token_ends_and_a_refresh_begins_its_life_anew() -> None:
    first = refresh.start(IDS, 0, LIFETIME_S)
    assert exchange(first.family, first.token, LIFETIME_S * 1_000) == Expired()
    second = exchanged(first.family, first.token, LIFETIME_S * 1_000 - 1)
    assert second.family.expires_ms == 2 * LIFETIME_S * 1_000 - 1


def test_a_token_that_was_never_given_out_is_like_one_used_twice_only_for_who_has_the_families_half() -> None:
    first, other = refresh.start(IDS, 0, LIFETIME_S), refresh.start(IDS, 0, LIFETIME_S)
    half = first.token.partition(".")[0]
    assert exchange(first.family, f"{half}.{'0' * 64}", 1) == Reused()
    assert refresh.parse(other.token).family_hash != first.family.family_hash


@pytest.mark.parametrize(
    "token",
    ["", ".", "a.b", "0" * 64, "0" * 129, "0" * 64 + "." + "0" * 63, "0" * 64 + "." + "G" * 64, "0" * 64 + "." + "A" * 64,
     "0" * 64 + "." + "0" * 64 + "\n", "\u0660" * 64 + "." + "0" * 64, "x" * 1_000_000, "eyJhbGciOiJFZERTQSJ9.e30.AAAA"],
)  # fmt: skip
def test_what_is_no_refresh_token_is_refused(token: str) -> None:
    with pytest.raises(Rejected) as caught:
        refresh.parse(token)
    assert caught.value.code == "unauthenticated"


class Chain(RuleBasedStateMachine):
    """Clients and thieves present any token ever given out, at any time, some of them from a stale read of the store."""

    @initialize()
    def log_in(self) -> None:
        self.now_ms = 0
        first = refresh.start(IDS, self.now_ms, LIFETIME_S)
        self.stored: Family | None = first.family
        self.stale = first.family
        self.chain = [first.token]
        self.rotated_ms = 0
        self.expires_ms = LIFETIME_S * 1_000

    @rule(ms=st.sampled_from([0, 1, 999, RETRY_MS - 1, RETRY_MS, RETRY_MS + 1, LIFETIME_S * 500]))
    def wait(self, ms: int) -> None:
        self.now_ms += ms

    @rule()
    def read_the_store(self) -> None:
        if self.stored is not None:
            self.stale = self.stored

    @rule(back=st.integers(0, 3), is_stale=st.booleans())
    def present(self, back: int, is_stale: bool) -> None:
        if self.stored is None or back >= len(self.chain):
            return
        token = self.chain[-1 - back]
        answer = exchange(self.stale if is_stale else self.stored, token, self.now_ms)
        if isinstance(answer, Exchanged) and is_stale and self.stale.current_hash != self.stored.current_hash:
            answer = exchange(self.stored, token, self.now_ms)  # the store refused to replace what it no longer had
            assert not isinstance(answer, Exchanged)
        elif is_stale and self.stale.current_hash != self.stored.current_hash:
            return  # decided on a state of long ago; the service reads once per decision
        self.compare(token, back, answer)

    def compare(self, token: str, back: int, answer: Exchanged | Repeated | Reused | Expired) -> None:
        if back == 0 and self.now_ms >= self.expires_ms:
            assert answer == Expired()
        elif back == 0:
            assert isinstance(answer, Exchanged)
            assert answer.token not in self.chain
            self.stored = answer.family
            self.chain.append(answer.token)
            self.rotated_ms = self.now_ms
            self.expires_ms = self.now_ms + LIFETIME_S * 1_000
        elif back == 1 and self.now_ms - self.rotated_ms <= RETRY_MS:
            assert answer == Repeated(self.chain[-1])
        else:
            assert answer == Reused()
            self.stored = None

    @invariant()
    def only_the_newest_can_be_exchanged(self) -> None:
        if self.stored is None:
            return
        outcomes = [exchange(self.stored, token, self.now_ms) for token in self.chain]
        assert sum(isinstance(outcome, Exchanged) for outcome in outcomes) <= 1


TestChain = Chain.TestCase
