"""The outbox and the inbox by themselves."""

import pytest

from core.base.errors import Overloaded
from core.router.inbox import Inbox
from core.router.outbox import Closing, Outbox

# ---- outbox


def test_an_outbox_is_dirty_once_however_much_is_pushed() -> None:
    dirty: list[Outbox] = []
    outbox = Outbox(dirty, 100)
    outbox.push(b"one")
    outbox.push(b"three")
    assert dirty == [outbox]
    assert outbox.chunks == [b"one", b"three"]
    assert outbox.size == 8
    assert outbox.statistics() == (2, 8, False)


def test_an_outbox_knows_when_it_is_above_its_high_mark() -> None:
    outbox = Outbox([], 8)
    outbox.push(b"12345678")
    assert not outbox.is_above_high
    outbox.push(b"9")
    assert outbox.is_above_high
    assert outbox.low_bytes == 2


def test_the_first_close_counts_and_nothing_is_pushed_behind_it() -> None:
    dirty: list[Outbox] = []
    outbox = Outbox(dirty, 100)
    outbox.close(4503, "replaced")
    outbox.close(1000)
    outbox.push(b"late")
    assert outbox.closing == Closing(4503, "replaced")
    assert outbox.chunks == []
    assert dirty == [outbox]


def test_a_close_is_seen_although_the_outbox_waits_for_its_socket() -> None:
    dirty: list[Outbox] = []
    outbox = Outbox(dirty, 100)
    outbox.push(b"blocked")
    dirty.clear()  # as the reactor does, which keeps is_dirty while the socket is blocked
    outbox.close(4503)
    assert dirty == [outbox]


# ---- inbox


def test_calls_come_out_in_order_and_no_more_than_asked_for() -> None:
    inbox = Inbox()
    calls = [lambda number=number: None for number in range(5)]
    for call in calls:
        inbox.put(call)
    assert inbox.take(2) == calls[:2]
    assert inbox.take(10) == calls[2:]
    assert inbox.take(10) == []
    assert len(inbox) == 0


def test_a_full_inbox_refuses_requests_but_no_answers() -> None:
    inbox = Inbox(calls_max=1)
    inbox.put(lambda: None)
    with pytest.raises(Overloaded):
        inbox.put(lambda: None)
    inbox.put_answer(lambda: None)
    assert inbox.statistics() == (2, 1)


def test_only_the_call_into_an_empty_inbox_wakes() -> None:
    woken: list[int] = []
    inbox = Inbox()
    inbox.on_wake = lambda: woken.append(len(inbox))
    inbox.put(lambda: None)
    inbox.put_answer(lambda: None)
    assert woken == [1]
    inbox.take(10)
    inbox.put_answer(lambda: None)
    assert woken == [1, 1]
