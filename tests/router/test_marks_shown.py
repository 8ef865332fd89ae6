"""What is shown of marks is what relay has stored."""

from tests.router.sends import TALK, say
from tests.router.world import ANN, BOB, World


def test_a_delivered_that_is_not_stored_yet_is_shown_to_nobody() -> None:
    world = World(ANN, BOB)
    ann, bob = world.join(ANN), world.join(BOB)
    say(ann, 1)
    say(ann, 2)
    world.settle()
    world.tick(5)
    world.settle()
    ann.take("marks")
    bob.say(type="mark", conversation=TALK, delivered=1)
    world.turn()
    storing = world.call("merge")
    bob.say(type="mark", conversation=TALK, delivered=2)  # while the batch with the first one is out
    world.turn()
    storing.do()
    storing.answer()
    world.turn()
    shown = [mark["delivered"] for frame in ann.take("marks") for mark in frame["marks"] if mark["user"] == BOB]
    assert shown == [1]
