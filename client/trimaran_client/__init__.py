"""The Python client of Trimaran, on Trio and on asyncio.

Start with `open_chat` for a live chat and `Account` for everything over REST; `ClientState` is the same client without
its socket.
"""

from trimaran_client.account import (
    Account,
    ChatServer,
    Device,
    Found,
    Group,
    Invite,
    LastSeen,
    Listed,
    Member,
    SignedIn,
    User,
)
from trimaran_client.chat import Chat, open_chat
from trimaran_client.clock import ClientIds, Clock, SystemClock
from trimaran_client.conversation import Conversation
from trimaran_client.errors import (
    ApiError,
    ChatClosed,
    ChatError,
    OutboxBroken,
    OutboxFull,
    OutboxInUse,
    Rejected,
    Unreachable,
)
from trimaran_client.events import ConversationChanged, Disconnected, Event, SendFailed, ServerComplained
from trimaran_client.frames import (
    Ack,
    ConversationRecord,
    Edit,
    Mark,
    Marks,
    Message,
    Notification,
    Page,
    Peer,
    Presence,
    Reaction,
    Synced,
    Typing,
    Welcome,
)
from trimaran_client.outbox import direct_conversation
from trimaran_client.outgoing import Outcome
from trimaran_client.state import ClientState, Options, Phase
from trimaran_client.timeline import Timeline

__all__ = [
    # a live chat
    "open_chat",
    "Chat",
    "Conversation",
    "Timeline",
    "direct_conversation",
    # what it tells
    "Event",
    "Message",
    "Edit",
    "Reaction",
    "ConversationChanged",
    "ConversationRecord",
    "Peer",
    "Marks",
    "Mark",
    "Typing",
    "Presence",
    "Notification",
    "Welcome",
    "Synced",
    "Disconnected",
    "SendFailed",
    "ServerComplained",
    "Ack",
    "Page",
    # REST
    "Account",
    "SignedIn",
    "User",
    "Device",
    "Member",
    "Group",
    "Invite",
    "Found",
    "Listed",
    "LastSeen",
    "ChatServer",
    # what can go wrong
    "ChatError",
    "Rejected",
    "ApiError",
    "Unreachable",
    "ChatClosed",
    "OutboxFull",
    "OutboxInUse",
    "OutboxBroken",
    # without a socket
    "ClientState",
    "Options",
    "Outcome",
    "Phase",
    "Clock",
    "SystemClock",
    "ClientIds",
]
