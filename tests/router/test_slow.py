"""A client that reads slowly: its memory is bounded, it is told what it missed, and nobody else notices."""

from core.base.ids import direct_conversation
from core.base.limits import Limits
from tests.router.world import ANN, BOB, CAT, Connection, World, client_id

TALK = direct_conversation(ANN, BOB)
LIMITS = Limits(sends_per_s=0, frames_per_s=0, handshakes_per_s=0, outbox_bytes=4_000)


def send(world: World, connection: Connection, first: int, count: int) -> None:
    for number in range(first, first + count):
        connection.say(type="send", client_id=client_id(number), to=BOB, body={"text": "x" * 200})
    world.settle()


def test_beyond_the_high_mark_entries_are_no_longer_queued_and_behind_says_so() -> None:
    world = World(ANN, BOB, limits=LIMITS)
    ann, bob = world.join(ANN), world.join(BOB)
    send(world, ann, 1, 1)
    bob.take()
    bob.bytes_per_turn = 0
    send(world, ann, 2, 200)
    assert bob.outbox.size < 5_000
    assert len(ann.take("ack")) == 201
    bob.bytes_per_turn = None
    world.settle()
    frames = bob.take("message", "behind")
    (behind,) = [frame for frame in frames if frame["type"] == "behind"]
    assert behind["conversations"] == [{"conversation": TALK, "head": 201}]
    assert frames[-1] is behind
    assert world.metrics.behind == 1


def test_who_was_behind_is_pushed_again_from_then_on() -> None:
    world = World(ANN, BOB, limits=LIMITS)
    ann, bob = world.join(ANN), world.join(BOB)
    bob.bytes_per_turn = 0
    send(world, ann, 1, 50)
    bob.bytes_per_turn = None
    world.settle()
    bob.take()
    send(world, ann, 51, 1)
    assert [frame["seq"] for frame in bob.take("message")] == [51]


def test_a_slow_client_is_not_read() -> None:
    world = World(ANN, BOB, CAT, limits=LIMITS)
    ann, bob = world.join(ANN), world.join(BOB)
    send(world, ann, 1, 1)
    bob.bytes_per_turn = 0
    send(world, ann, 2, 50)
    bob.say(type="send", client_id=client_id(999), to=CAT, body={})
    world.settle()
    assert not world.store.entries(direct_conversation(BOB, CAT))
    bob.bytes_per_turn = None
    world.settle()
    assert len(world.store.entries(direct_conversation(BOB, CAT))) == 1


def test_a_replay_is_made_as_the_client_reads_never_ahead() -> None:
    world = World(ANN, BOB, limits=LIMITS)
    ann = world.join(ANN)
    send(world, ann, 1, 60)
    bob = world.open()
    bob.bytes_per_turn = 500
    bob.say(type="hello", token=world.token(BOB), replay_each=10_000)
    largest = 0
    for _ in range(400):
        world.turn()
        largest = max(largest, bob.outbox.size)
        if world.calls:
            world.calls.pop(0).answer()
    assert [frame["seq"] for frame in bob.frames if frame["type"] == "message"] == list(range(1, 61))
    assert bob.frames[-1]["type"] == "synced"
    assert largest < 60 * 600


def test_hints_are_shed_first() -> None:
    world = World(ANN, BOB, limits=LIMITS)
    ann, bob = world.join(ANN), world.join(BOB)
    send(world, ann, 1, 1)
    bob.take()
    bob.bytes_per_turn = 0
    send(world, ann, 2, 4)
    ann.say(type="typing", conversation=TALK, on=True)
    world.settle()
    bob.bytes_per_turn = None
    world.settle()
    assert not bob.take("typing")
    assert world.metrics.shed["typing"] == 1


def test_no_listing_passes_the_frame_limit() -> None:
    limits = Limits(body_bytes=2_000, frame_bytes=9_000, server_frame_bytes=9_000, sends_per_s=0, handshakes_per_s=0)
    users = [f"{number:08d}-0000-7000-8000-00000000bbbb" for number in range(40)]
    world = World(BOB, *users, limits=limits)  # type: ignore[arg-type]
    for user in users:
        other = world.join(user)  # type: ignore[arg-type]
        other.say(type="send", client_id=client_id(1), to=BOB, body={"text": "x" * 1_000})
        world.settle()
        other.drop()
    bob = world.hello(BOB, replay=0)
    world.settle()
    listed = [each for frame in bob.frames if frame["type"] == "conversations" for each in frame["conversations"]]
    assert len({each["conversation"] for each in listed}) == len(listed) == 40
    told = [each for frame in bob.frames if frame["type"] == "behind" for each in frame["conversations"]]
    assert len(told) + len(bob.frames[-1]["pending"]) == 40
    assert max(bob.sizes) <= 9_000
