"""Each route of these services names the rule that guards it, and none is open to the world."""

from core.rules import names
from sidecars.ports.http import routes_of
from tests.group.world import open_world

GUARDS = {
    "GET /message-service/conversations/<conversation>/messages": names.READ,
    "POST /message-service/conversations/<conversation>/messages": names.SEND,
    "GET /group-message-service/conversations/<conversation>/messages": names.READ,
    "POST /group-message-service/conversations/<conversation>/messages": names.SEND,
    "GET /relay-service/conversations": names.SIGNED_IN,
    "PUT /relay-service/conversations/<conversation>/mute": names.READ,
    "DELETE /relay-service/conversations/<conversation>/mute": names.READ,
    "GET /relay-service/pending": names.READ,
    "POST /relay-service/delivered": names.MARK,
    "POST /group-service/groups": names.START,
    "GET /group-service/groups": names.SIGNED_IN,
    "GET /group-service/groups/<group>": names.SEE_GROUP,
    "PATCH /group-service/groups/<group>": names.CHANGE_GROUP,
    "DELETE /group-service/groups/<group>": names.END_GROUP,
    "POST /group-service/groups/<group>/members": names.CHANGE_MEMBERS,
    "PATCH /group-service/groups/<group>/members/<user>": names.CHANGE_GROUP,
    "DELETE /group-service/groups/<group>/members/<user>": names.CHANGE_MEMBERS,
    "POST /group-service/groups/<group>/invites": names.INVITE,
    "POST /group-service/invites/<code>/accept": names.INVITE,
    "GET /last-seen-service/users/<user>": names.WATCH,
    "GET /last-seen-service/users": names.WATCH,
}


async def test_these_are_the_routes_and_their_rules() -> None:
    async with open_world() as world:
        found = {f"{route.method} {route.path}": route.rule for route in routes_of(world.app)}
    services = {path.split("/")[1] for path in GUARDS}
    assert {name: rule for name, rule in found.items() if name.split("/")[1] in services} == GUARDS
