"""The group_message service: the logs of groups.

One implementation with message; what differs is who may append, and that is the owner's to decide.
"""

from sidecars.message.service import MessageService


class GroupMessageService(MessageService):
    """The logs of groups."""
