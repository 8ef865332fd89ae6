"""REST of the last_seen service, after protocol.md."""

from typing import Final

from quart import Blueprint, Response

from core.base.errors import Rejected
from core.base.limits import KIB
from core.rules.names import WATCH
from sidecars.last_seen.service import LastSeenService
from sidecars.ports.http import caller, query_text, reply, route

IDS_CHARS_MAX: Final = 16 * KIB


def routes(service: LastSeenService) -> Blueprint:
    """All paths below /last-seen-service."""
    blueprint = Blueprint("last_seen", __name__, url_prefix="/last-seen-service")

    @route(blueprint, "GET", "/users/<user>", rule=WATCH)
    async def one(user: str) -> Response:
        return reply((await service.seen(caller().user, [user]))[0])

    @route(blueprint, "GET", "/users", rule=WATCH)
    async def several() -> Response:
        ids = query_text("ids", "", chars_max=IDS_CHARS_MAX)
        if not ids:
            raise Rejected("bad_request", "ids: expected user ids, parted by commas", field="ids")
        return reply({"users": await service.seen(caller().user, ids.split(","))})

    return blueprint
