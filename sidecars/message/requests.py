"""What users do with conversations by REST and gRPC: pages within their bounds, and sends, which the owner appends."""

from typing import Final, Protocol

from core.base.errors import Rejected, Unavailable, not_found
from core.base.ids import (
    ClientId,
    ConversationId,
    DeviceId,
    UserId,
    direct_users,
    is_group,
    parse_conversation,
    parse_uuid,
)
from core.base.limits import PULL_LIMIT_MAX
from core.base.records import CLIENT_KINDS, REF_KINDS, Kind, Page, PageQuery, Reader, Send, Sent

SEQ_MAX: Final = (1 << 63) - 1
_BOUNDS_TRIES: Final = 4  # a reader's membership may change while a page is read; more often than this it does not


class Pages(Protocol):
    """Where pages come from: a MessageService."""

    async def page(self, query: PageQuery) -> Page:
        """A page as of now."""


class Bounds(Protocol):
    """Who may read what: the relay service."""

    async def reader(self, user: UserId, conversation: ConversationId) -> Reader:
        """What a user may see of a conversation. Raises: Rejected (not_found) for a stranger."""


class Owner(Protocol):
    """The way to the node that owns a conversation: a router's door."""

    async def submit(self, send: Send) -> Sent:
        """Have a send appended; returns when it is in the log. Raises: any TrimaranError."""


class UserMessages:
    """What users do with conversations of one kind (`are_groups`) by REST and gRPC."""

    def __init__(self, pages: Pages, bounds: Bounds, owner: Owner, *, are_groups: bool) -> None:
        self._pages = pages
        self._bounds = bounds
        self._owner = owner
        self._are_groups = are_groups

    async def page(
        self,
        user: UserId,
        conversation: str,
        *,
        limit: int,
        after: int | None = None,
        before: int | None = None,
        around: int | None = None,
    ) -> Page:
        """A page of at most `limit` entries, by default the newest ones.

        A membership that changes while the page is read makes it read again: what is given never passes the removal.
        Raises: Rejected - bad_request; not_found for strangers, as for what does not exist.
        """
        assert 1 <= limit <= PULL_LIMIT_MAX, limit
        places = {"after": after, "before": before, "around": around}
        given = [name for name, seq in places.items() if seq is not None]
        if len(given) > 1:
            raise Rejected("bad_request", f"expected one of after, before and around, got {len(given)}", field=given[1])
        if not given:
            before = SEQ_MAX
        name = self._own(conversation)
        reader = await self._bounds.reader(user, name)
        for _ in range(_BOUNDS_TRIES):
            page = await self._pages.page(PageQuery(name, reader, limit, after, before, around))
            bounds = await self._bounds.reader(user, name)
            if bounds == reader:
                return page
            reader = bounds
        raise Unavailable("the membership changes too often to read")

    async def send(
        self,
        user: UserId,
        device: DeviceId,
        conversation: str,
        *,
        client_id: str,
        kind: Kind,
        body: bytes,
        ref: int,
    ) -> Sent:
        """Have a message appended; `kind` is one of clients' and `body` has been checked for it.

        It counts as a retry, since it may be one.
        Raises: Rejected, as the owner decides; Unavailable: repeat with the same `client_id`.
        """
        name = self._own(conversation)
        assert kind in CLIENT_KINDS, kind
        parse_uuid(client_id, "client_id")
        if kind in REF_KINDS and ref == 0:
            raise Rejected("bad_request", f"{kind} needs the seq that it is about", field="ref")
        if is_group(name) or ref or user not in direct_users(name):
            # A stranger's send gets no further: nothing is loaded for it. A direct conversation may be new.
            reader = await self._bounds.reader(user, name)
            if 0 < ref < reader.first:
                raise Rejected("not_found", "ref names no message of this conversation", field="ref")
        return await self._owner.submit(Send(name, user, device, ClientId(client_id), kind, body, ref, is_retry=True))

    def _own(self, conversation: str) -> ConversationId:
        """The conversation, if it is of our kind; the other kind's do not exist here."""
        name = parse_conversation(conversation)
        if is_group(name) != self._are_groups:
            raise not_found("conversation")
        return name
