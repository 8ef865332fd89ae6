"""The door: what services do at the router, awaited, and what they tell it."""

import pytest
import trio
import trio.testing

from core.base.errors import Close, DeadlineExceeded, Overloaded, Rejected
from core.base.ids import direct_conversation
from core.base.limits import REQUEST_DEADLINE_S
from core.base.records import Send
from core.links.door import Door
from core.router.inbox import Inbox
from tests.router.world import ANN, BOB, CAT, World, client_id, device_id

TALK = direct_conversation(ANN, BOB)
SEND = Send(TALK, ANN, "", client_id(1), "text", b'{"text":"hi"}')


def door_to(world: World, nursery: trio.Nursery) -> tuple[Door, Inbox]:
    """A door into a world whose turns a task of the test runs."""
    inbox = Inbox()
    door = Door(inbox)
    door.connect(world.router)

    async def turns() -> None:
        while True:
            for call in inbox.take(10):
                call()
            world.settle()
            await trio.lowlevel.checkpoint()

    nursery.start_soon(turns)
    return door, inbox


async def test_a_submitted_send_is_answered_after_the_append(nursery: trio.Nursery) -> None:
    world = World(ANN, BOB)
    door, _ = door_to(world, nursery)
    sent = await door.submit(SEND)
    again = await door.submit(SEND)
    assert (sent.seq, sent.duplicate, again.seq, again.duplicate) == (1, False, 1, True)


async def test_what_the_owner_refuses_is_raised(nursery: trio.Nursery) -> None:
    world = World(ANN)
    door, _ = door_to(world, nursery)
    with pytest.raises(Rejected) as caught:
        await door.submit(SEND)
    assert caught.value.code == "not_found"


async def test_a_mark_returns_once_it_is_stored(nursery: trio.Nursery) -> None:
    world = World(ANN, BOB)
    door, _ = door_to(world, nursery)
    await door.submit(SEND)
    world.clock.advance(2)
    await door.mark(BOB, device_id(1), TALK, 1)
    assert world.store.rows[BOB, TALK].delivered == 1


async def test_a_full_inbox_refuses_requests_but_no_events() -> None:
    world = World(ANN, BOB)
    inbox = Inbox(0)
    door = Door(inbox)
    door.connect(world.router)
    with pytest.raises(Overloaded):
        await door.submit(SEND)
    with pytest.raises(Overloaded):
        await door.mark(BOB, device_id(1), TALK, 1)
    with pytest.raises(Overloaded):
        await door.relist(BOB, TALK)
    ann = world.join(ANN)
    door.on_revoked(ANN, device_id(1))
    door.on_block_changed(ANN, BOB)
    door.on_privacy_changed(ANN)
    for call in inbox.take(10):
        call()
    world.turn()
    assert ann.close_code == Close.SESSION_REVOKED


async def test_a_router_that_does_not_answer_is_given_up(clock: trio.testing.MockClock) -> None:
    world = World(ANN, BOB)
    door = Door(Inbox())
    door.connect(world.router)
    with pytest.raises(DeadlineExceeded):
        await door.submit(SEND)
    assert trio.current_time() == pytest.approx(REQUEST_DEADLINE_S + 1, abs=0.1)


async def test_relist_tells_the_sessions_of_a_conversation_that_they_know(nursery: trio.Nursery) -> None:
    world = World(ANN, BOB, CAT)
    door, inbox = door_to(world, nursery)
    await door.submit(SEND)
    bob, cat = world.join(BOB), world.join(CAT)
    world.store.rows[BOB, TALK].muted = True
    await door.relist(BOB, TALK)
    await door.relist(CAT, TALK)
    while len(inbox):
        await trio.lowlevel.checkpoint()
    world.settle()
    assert [each["muted"] for frame in bob.take("conversations") for each in frame["conversations"]] == [True]
    assert not cat.take("conversations")
