"""REST of the message services, after protocol.md; group_message answers in the same shape below its own name."""

from typing import Annotated, Literal

from msgspec import Meta, Raw, Struct
from quart import Blueprint, Response

from core.base.limits import PULL_LIMIT, PULL_LIMIT_MAX, Limits
from core.protocol.bodies import check_body
from core.protocol.envelope import page_json, sent_fields
from core.rules.names import READ, SEND
from sidecars.message.requests import SEQ_MAX, UserMessages
from sidecars.ports.http import body, caller, query_int, reply, route


class SendMessage(Struct):
    """Body of POST /conversations/{conversation}/messages."""

    client_id: str
    body: Raw = Raw()  # checked as in a frame, and kept as these bytes
    kind: Literal["text", "edit", "delete", "reaction"] = "text"
    ref: Annotated[int, Meta(ge=0, le=SEQ_MAX)] = 0


def routes(messages: UserMessages, limits: Limits, *, name: str = "message") -> Blueprint:
    """All paths below /<name>-service, with dashes."""
    blueprint = Blueprint(name, __name__, url_prefix=f"/{name.replace('_', '-')}-service")

    @route(blueprint, "GET", "/conversations/<conversation>/messages", rule=READ)
    async def page(conversation: str) -> Response:
        found = await messages.page(
            caller().user,
            conversation,
            limit=query_int("limit", PULL_LIMIT, 1, PULL_LIMIT_MAX),
            after=query_int("after", None, 0, SEQ_MAX),
            before=query_int("before", None, 1, SEQ_MAX),
            around=query_int("around", None, 1, SEQ_MAX),
        )
        return reply(Raw(page_json(found)))

    @route(blueprint, "POST", "/conversations/<conversation>/messages", rule=SEND)
    async def send(conversation: str) -> Response:
        wish = await body(SendMessage, limit=limits.frame_bytes)
        sent = await messages.send(
            caller().user,
            caller().device,
            conversation,
            client_id=wish.client_id,
            kind=wish.kind,
            body=check_body(wish.kind, wish.body if bytes(wish.body) else None, limits.body_bytes),
            ref=wish.ref,
        )
        return reply(Raw(b"{" + sent_fields(sent) + b"}"), 200 if sent.duplicate else 201)

    return blueprint
