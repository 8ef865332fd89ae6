"""What the router asks of the world, as plain calls that return at once.

Each answer comes back through the inbox as a call of `then`, in a later turn, with the result or the error. An implementation must answer
every request exactly once, within `REQUEST_DEADLINE_S`; for an append that was not heard of in time it answers `Unknown` outcomes.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from core.base.errors import TrimaranError
from core.base.ids import ClientId, ConversationId, DeviceId, UserId
from core.base.records import (
    Append,
    Entry,
    Listed,
    Loaded,
    Mark,
    Outcome,
    Page,
    PageQuery,
    Person,
    Presence,
    RowChange,
    Watched,
)
from core.base.tokens import Claims

T = TypeVar("T")
Then = Callable[[T | TrimaranError], None]


class Tokens(Protocol):
    """Checks access tokens, at once: it is arithmetic."""

    def verify(self, token: str, now_ms: int) -> Claims:
        """The claims of a token that is ours and in force. Raises: Rejected (unauthenticated)."""


class Logs(Protocol):
    """The logs of all conversations; whether direct or group is the implementation's to see."""

    def append(self, batch: Sequence[Append], then: Callable[[list[Outcome]], None]) -> None:
        """Append conditionally: one outcome per item, in order."""

    def load(self, conversation: ConversationId, epoch: int, then: Then[Loaded]) -> None:
        """Claim a conversation, and gather its members. A direct one with a user that does not exist is Rejected (not_found)."""

    def find(self, conversation: ConversationId, sender: UserId, client_id: ClientId, then: Then[Entry | None]) -> None:
        """Look a send up durably."""

    def entry(self, conversation: ConversationId, seq: int, then: Then[Entry | None]) -> None:
        """Look one entry up."""

    def read(self, conversation: ConversationId, after: int, up_to: int, limit: int, then: Then[list[Entry]]) -> None:
        """Raw entries for a replay."""

    def page(self, query: PageQuery, then: Then[Page]) -> None:
        """A page as of now."""


class Relay(Protocol):
    """Lists, watermarks and membership rows."""

    def arrive(self, user: UserId, device: DeviceId, then: Then[tuple[Person | None, list[Listed]]]) -> None:
        """Who connects, and all of its conversations (none if there is no such person)."""

    def listed(
        self, user: UserId, device: DeviceId, conversations: Sequence[ConversationId], then: Then[list[Listed]]
    ) -> None:
        """Some conversations as they stand now."""

    def prepare(self, changes: Sequence[RowChange], then: Then[None]) -> None:
        """Make changes of membership durable before their entries."""

    def committed(self, entries: Sequence[Entry], changes: Sequence[RowChange], then: Then[None]) -> None:
        """Entries that changed members or group are in the log: have rows confirmed and the group's projection follow."""

    def merge(self, marks: Sequence[Mark], then: Then[None]) -> None:
        """Merge watermarks durably."""


class People(Protocol):
    """Presence, as far as others decide about it."""

    def watched(self, watcher: UserId, users: Sequence[UserId], then: Then[list[Watched]]) -> None:
        """What the watcher may know of each."""

    def report(self, changes: Sequence[Presence]) -> None:
        """Tell last_seen; nothing comes back."""
