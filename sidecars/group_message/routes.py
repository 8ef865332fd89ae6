"""REST of the group_message service: that of message, below its own name."""

from quart import Blueprint

from core.base.limits import Limits
from sidecars.message.requests import UserMessages
from sidecars.message.routes import routes as message_routes


def routes(messages: UserMessages, limits: Limits) -> Blueprint:
    """All paths below /group-message-service."""
    return message_routes(messages, limits, name="group_message")
