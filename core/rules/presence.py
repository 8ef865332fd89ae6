"""Rules about presence and last activity: who may know when somebody was here."""

from typing import Literal

LastSeenPolicy = Literal["everyone", "contacts", "nobody"]


def may_see_presence(watcher: LastSeenPolicy, watched: LastSeenPolicy, *, is_contact: bool, is_blocked: bool) -> bool:
    """Whether one user may see another's presence, from the policies of both.

    `is_contact`: they share a conversation. `is_blocked`: one of them has blocked the other, whichever. Who hides its
    own sees no one else's.
    """
    if is_blocked or watcher == "nobody":
        return False
    return watched == "everyone" or (watched == "contacts" and is_contact)
