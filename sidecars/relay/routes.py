"""REST of the relay service, after protocol.md."""

from typing import Annotated

from msgspec import Meta, Raw, Struct
from quart import Blueprint, Response

from core.base.ids import parse_conversation
from core.base.limits import PULL_LIMIT, PULL_LIMIT_MAX
from core.base.records import PageEntry
from core.protocol.envelope import listed_json, page_entry_json
from core.rules.names import MARK, READ, SIGNED_IN
from sidecars.ports.http import body, caller, cursor, make_cursor, no_content, query_int, reply, route
from sidecars.relay.requests import SEQ_MAX, UserRelay
from sidecars.relay.service import Position, position_of


class Delivered(Struct):
    """Body of POST /delivered."""

    conversation: str
    seq: Annotated[int, Meta(ge=1, le=SEQ_MAX)]


def routes(relay: UserRelay) -> Blueprint:
    """All paths below /relay-service."""
    blueprint = Blueprint("relay", __name__, url_prefix="/relay-service")

    @route(blueprint, "GET", "/conversations", rule=SIGNED_IN)
    async def conversations() -> Response:
        limit = query_int("limit", PULL_LIMIT, 1, PULL_LIMIT_MAX)
        found = await relay.conversations(caller().user, caller().device, cursor(Position), limit + 1)
        answer: dict[str, object] = {"conversations": [Raw(listed_json(listed)) for listed in found[:limit]]}
        if len(found) > limit:
            answer["cursor"] = make_cursor(position_of(found[limit - 1]))
        return reply(answer)

    @route(blueprint, "GET", "/pending", rule=READ)
    async def pending() -> Response:
        limit = query_int("limit", PULL_LIMIT, 1, PULL_LIMIT_MAX)
        messages, more = await relay.pending(caller().user, caller().device, limit)
        return reply({"messages": [Raw(page_entry_json(PageEntry(entry))) for entry in messages], "more": more})

    @route(blueprint, "POST", "/delivered", rule=MARK)
    async def delivered() -> Response:
        mark = await body(Delivered)
        conversation = parse_conversation(mark.conversation)
        await relay.mark_delivered(caller().user, caller().device, conversation, mark.seq)
        return no_content()

    @route(blueprint, "PUT", "/conversations/<conversation>/mute", rule=READ)
    async def mute(conversation: str) -> Response:
        await relay.mute(caller().user, parse_conversation(conversation), muted=True)
        return no_content()

    @route(blueprint, "DELETE", "/conversations/<conversation>/mute", rule=READ)
    async def unmute(conversation: str) -> Response:
        await relay.mute(caller().user, parse_conversation(conversation), muted=False)
        return no_content()

    return blueprint
