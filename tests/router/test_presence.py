"""watch, presence and typing: hints that follow privacy, with a grace, at most a few a second."""

from typing import Any

from core.base.errors import Unavailable
from core.base.ids import UserId, direct_conversation
from core.base.limits import SMALL_GROUP_MEMBERS, Limits
from core.base.records import MemberBody
from tests.router.world import (
    ANN,
    BOB,
    CAT,
    DAN,
    GROUP,
    Connection,
    World,
    change_members,
    client_id,
    make_group,
    user_id,
)

TALK = direct_conversation(ANN, BOB)


def watch(world: World, connection: Connection, *users: UserId) -> list[tuple[UserId, str]]:
    connection.say(type="watch", users=list(users))
    world.settle()
    return states(connection)


def states(connection: Connection) -> list[tuple[UserId, str]]:
    return [(frame["user"], frame["state"]) for frame in connection.take("presence")]


def later(world: World, seconds: int) -> None:
    for _ in range(seconds):
        world.tick()
        world.settle()


def test_watch_is_answered_for_each_user() -> None:
    world = World(ANN, BOB, CAT)
    ann, _ = world.join(ANN), world.join(BOB)
    world.store.hiding.add(CAT)
    assert watch(world, ann, BOB, CAT, DAN) == [(BOB, "online"), (CAT, "hidden"), (DAN, "hidden")]


def test_offline_is_told_after_the_grace_and_a_reconnect_is_not_seen() -> None:
    world = World(ANN, BOB)
    ann, bob = world.join(ANN), world.join(BOB)
    watch(world, ann, BOB)
    bob.drop()
    later(world, 5)
    bob = world.join(BOB)
    later(world, 11)
    assert states(ann) == []
    bob.drop()
    later(world, 11)
    (frame,) = ann.take("presence")
    assert (frame["state"], frame["last_seen_ms"]) == ("offline", world.store.last_seen[BOB])


def test_bye_is_told_at_once_and_a_plain_close_is_not() -> None:
    world = World(ANN, BOB)
    ann, bob = world.join(ANN), world.join(BOB)
    watch(world, ann, BOB)
    bob.outbox.close(1000)  # as the reactor answers a client's Close
    world.settle()
    assert states(ann) == []
    bob = world.join(BOB)
    bob.say(type="bye")
    world.settle()
    assert states(ann) == [(BOB, "offline")]


def test_one_of_two_devices_that_says_bye_changes_nothing() -> None:
    world = World(ANN, BOB)
    ann, bob, _ = world.join(ANN), world.join(BOB), world.join(BOB, 2)
    watch(world, ann, BOB)
    bob.say(type="bye")
    later(world, 12)
    assert states(ann) == []


def test_who_is_arriving_while_its_grace_ends_is_told_offline_and_online_again() -> None:
    world = World(ANN, BOB)
    ann, bob = world.join(ANN), world.join(BOB)
    watch(world, ann, BOB)
    bob.drop()
    for _ in range(9):
        world.tick()
    world.hello(BOB)
    arrive = world.call("arrive")
    for _ in range(3):
        world.tick()
    world.settle()
    arrive.answer()
    world.settle()
    assert states(ann) == [(BOB, "offline"), (BOB, "online")]


def test_a_later_watch_replaces_the_earlier() -> None:
    world = World(ANN, BOB, CAT)
    ann, bob = world.join(ANN), world.join(BOB)
    watch(world, ann, BOB)
    assert watch(world, ann, CAT) == [(CAT, "offline")]
    bob.say(type="bye")
    cat = world.join(CAT)
    later(world, 1)
    assert states(ann) == [(CAT, "online")]
    assert watch(world, ann) == []
    cat.say(type="bye")
    world.settle()
    assert states(ann) == []


def test_so_many_users_are_watched_and_no_more() -> None:
    world = World(ANN, limits=Limits(watched_users=2))
    ann = world.join(ANN)
    ann.say(type="watch", id=1, users=[BOB, CAT, DAN])
    world.settle()
    (error,) = ann.take()
    assert (error["code"], error["field"]) == ("bad_request", "users")


def test_presence_that_cannot_be_asked_for_is_hidden() -> None:
    world = World(ANN, BOB)
    ann = world.join(ANN)
    ann.say(type="watch", users=[BOB])
    world.fail("watched", Unavailable("away"))
    world.settle()
    assert states(ann) == [(BOB, "hidden")]


def test_a_block_hides_both_at_once_and_its_end_shows_them() -> None:
    world = World(ANN, BOB)
    ann, bob = world.join(ANN), world.join(BOB)
    watch(world, ann, BOB)
    watch(world, bob, ANN)
    world.store.blocks.add((BOB, ANN))
    world.router.block_changed(BOB, ANN)
    world.settle()
    assert (states(ann), states(bob)) == ([(BOB, "hidden")], [(ANN, "hidden")])
    bob.say(type="bye")
    world.settle()
    assert states(ann) == []
    world.store.blocks.clear()
    world.router.block_changed(BOB, ANN)
    later(world, 1)
    assert states(ann) == [(BOB, "offline")]


def test_privacy_that_changes_nothing_for_a_watcher_is_not_told_to_it() -> None:
    world = World(ANN, BOB)
    ann, _ = world.join(ANN), world.join(BOB)
    watch(world, ann, BOB)
    world.router.privacy_changed(BOB)
    world.settle()
    assert states(ann) == []


def test_a_state_that_waits_for_its_turn_is_not_told_after_it_was_hidden() -> None:
    world = World(ANN, *map(user_id, range(2, 9)))
    ann = world.join(ANN)
    others = [user_id(number) for number in range(2, 9)]
    watch(world, ann, *others)
    for other in others:
        world.join(other)
    assert len(states(ann)) == 5
    world.store.hiding.add(others[-1])
    world.router.privacy_changed(others[-1])
    world.settle()
    later(world, 1)
    assert states(ann) == [(others[5], "online"), (others[6], "hidden")]


def test_no_session_gets_more_than_five_changes_a_second_and_the_newest_wins() -> None:
    others = [user_id(number) for number in range(2, 10)]
    world = World(ANN, *others)
    ann = world.join(ANN)
    watch(world, ann, *others)
    connections = [world.hello(other) for other in others]
    world.settle()
    assert len(states(ann)) == 5
    connections[-1].say(type="bye")
    world.settle()
    later(world, 1)
    assert states(ann) == [(others[5], "online"), (others[6], "online"), (others[7], "offline")]


def test_a_new_member_is_asked_about_and_others_are_not() -> None:
    world = World(ANN, BOB, CAT, DAN)
    make_group(world, ANN, BOB)
    ann = world.join(ANN)
    watch(world, ann, BOB, CAT)
    asked: list[Any] = []
    original = world.store.watched

    def noting(watcher: UserId, users: Any) -> Any:
        asked.append((watcher, list(users)))
        return original(watcher, users)

    world.store.watched = noting  # type: ignore[method-assign]
    change_members(world, MemberBody(ANN, added=[CAT]))
    change_members(world, MemberBody(ANN, added=[DAN]))
    assert asked == [(ANN, [CAT])]


# ---- typing


def test_typing_reaches_the_others_and_not_oneself() -> None:
    world = World(ANN, BOB)
    make_group(world, ANN, BOB)
    ann, phone, bob = world.join(ANN), world.join(ANN, 2), world.join(BOB)
    ann.say(type="typing", conversation=GROUP, on=True)
    world.settle()
    assert bob.take("typing") == [{"type": "typing", "conversation": GROUP, "user": ANN, "on": True}]
    assert not ann.take("typing")
    assert not phone.take("typing")


def test_typing_is_not_told_in_large_groups() -> None:
    crowd = [UserId(f"{number:08d}-0000-7000-8000-00000000aaaa") for number in range(SMALL_GROUP_MEMBERS)]
    world = World(ANN, BOB, *crowd)
    make_group(world, ANN, BOB, *crowd)
    ann, bob = world.join(ANN), world.join(BOB)
    ann.say(type="typing", conversation=GROUP, on=True)
    world.settle()
    assert not bob.take("typing")


def test_neither_a_removed_one_nor_a_reader_is_seen_typing() -> None:
    world = World(ANN, BOB, CAT)
    make_group(world, ANN, BOB)
    change_members(world, MemberBody(ANN, added=[CAT], roles={CAT: "reader"}))
    ann, bob, cat = world.join(ANN), world.join(BOB), world.join(CAT)
    change_members(world, MemberBody(ANN, removed=[BOB]))
    for connection in (bob, cat):
        connection.say(type="typing", conversation=GROUP, on=True)
    world.settle()
    assert not ann.take("typing", "error")


def test_typing_stops_with_a_block_also_with_an_append_in_flight() -> None:
    world = World(ANN, BOB)
    ann, bob = world.join(ANN), world.join(BOB)
    ann.say(type="send", client_id=client_id(1), to=BOB, body={})
    world.settle()
    ann.say(type="send", client_id=client_id(2), to=BOB, body={})
    append = world.append_call()
    world.store.blocks.add((BOB, ANN))
    world.router.block_changed(BOB, ANN)
    append.answer()
    ann.say(type="typing", conversation=TALK, on=True)
    bob.say(type="typing", conversation=TALK, on=True)
    world.settle()
    assert not bob.take("typing")
    assert not ann.take("typing")


def test_typing_goes_on_after_an_unblock_also_with_an_append_in_flight() -> None:
    world = World(ANN, BOB)
    ann, bob = world.join(ANN), world.join(BOB)
    ann.say(type="send", client_id=client_id(1), to=BOB, body={})
    world.settle()
    world.store.blocks.add((BOB, ANN))
    world.router.block_changed(BOB, ANN)
    ann.say(type="send", client_id=client_id(2), to=BOB, body={})
    world.call("load").answer()
    append = world.append_call()
    world.store.blocks.clear()
    world.router.block_changed(BOB, ANN)
    append.answer()
    world.settle()
    ann.say(type="typing", conversation=TALK, on=True)
    world.settle()
    assert bob.take("typing")
