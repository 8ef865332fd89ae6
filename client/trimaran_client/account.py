"""`Account`: a user of one server over REST. Signs in, keeps the tokens fresh, and has one short method for every
route that a program usually wants.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self, TypeVar

import anyio
import httpx
import msgspec

from trimaran_client.clock import Clock, SystemClock
from trimaran_client.commands import encode_body
from trimaran_client.errors import ApiError, Unreachable
from trimaran_client.frames import Ack, ConversationRecord, Message, Page
from trimaran_client.limits import REFRESH_ATTEMPTS, RENEW_SHARE
from trimaran_client.rest import Rest, part

T = TypeVar("T")


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A user, with what this reader may know."""

    id: str
    name: str = ""
    email: str | None = None


class SignedIn(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to register, login and refresh."""

    user: User
    device: str
    access_token: str
    refresh_token: str
    expires_in_s: float
    token_type: str = "Bearer"


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """A device of this user."""

    id: str
    name: str | None = None
    created_ms: int | None = None
    last_used_ms: int | None = None
    is_current: bool = False


class Member(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`role` is `owner`, `admin`, `member` or `reader`."""

    user: str
    role: str = "member"


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """A group; `history` is `joined` or `shared`."""

    id: str
    conversation: str
    name: str = ""
    history: str = "joined"
    members: list[Member] = []


class Invite(msgspec.Struct, frozen=True, kw_only=True):
    """The code by which others join."""

    code: str
    expires_ms: int | None = None


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """Messages of a search, or those not yet given to this device."""

    messages: list[Message] = []
    more: bool = False


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the list of conversations; `cursor` asks for the next, None at the end."""

    conversations: list[ConversationRecord] = []
    cursor: str | None = None


class LastSeen(msgspec.Struct, frozen=True, kw_only=True):
    """`state` is `online`, `offline` or `hidden`."""

    user: str
    state: str
    last_seen_ms: int | None = None


class ChatServer(msgspec.Struct, frozen=True, kw_only=True):
    """Where this user's sockets belong."""

    url: str
    node: str = ""
    slot: int = 0
    alternatives: list[str] = []
    stale: bool = False


class Account:
    """One user on one device. Use as `async with Account(url) as account`, then `register`, `login` or `resume`."""

    def __init__(
        self,
        url: str,
        *,
        http: httpx.AsyncClient | None = None,
        clock: Clock | None = None,
        on_tokens: Callable[[SignedIn], None] | None = None,
    ) -> None:
        """`on_tokens` is called with each new pair of tokens, to be kept for the next run of the program."""
        self.url = url
        self.signed_in: SignedIn | None = None
        self._rest = Rest(url, http=http)
        self._clock = clock or SystemClock()
        self._on_tokens = on_tokens
        self._refresh_token: str | None = None
        self._refreshing = anyio.Lock()
        self._renew_s = 0.0
        self._renew_ms = 0.0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._rest.aclose()

    # --- signing in ---

    async def register(self, email: str, name: str, password: str, *, device_name: str | None = None) -> SignedIn:
        """Makes an account, and signs in."""
        return await self._sign_in(
            "register", {"email": email, "name": name, "password": password, "device_name": device_name}
        )

    async def login(
        self, email: str, password: str, *, device_name: str | None = None, device: str | None = None
    ) -> SignedIn:
        """Signs in, as a new device or as the one named."""
        return await self._sign_in(
            "login", {"email": email, "password": password, "device_name": device_name, "device": device}
        )

    def resume(self, refresh_token: str) -> None:
        """Goes on with the refresh token of an earlier run; the first call that needs a token uses it."""
        self._refresh_token = refresh_token
        self._renew_s = self._clock.now_s()

    async def refresh(self) -> SignedIn:
        """New tokens for old; the old refresh token is spent.

        Raises:
            ApiError: 401, it is of no use any more: log in.
        """
        async with self._refreshing:
            return await self._refresh()

    async def logout(self) -> None:
        """Ends this device's session."""
        await self._call("POST", "/user-service/auth/logout", type(None))
        self.signed_in = self._refresh_token = None

    async def _sign_in(self, how: str, body: dict[str, str | None]) -> SignedIn:
        given = {name: value for name, value in body.items() if value is not None}
        return self._keep(await self._rest.call("POST", f"/user-service/auth/{how}", SignedIn, body=given))

    async def _refresh(self) -> SignedIn:
        if self._refresh_token is None:
            raise ApiError("unauthenticated", 401, "register or log in first")
        # It counts once: one whose reply was lost must be repeated at once, while the server still takes it.
        for attempt in range(1, REFRESH_ATTEMPTS + 1):
            try:
                return await self._sign_in("refresh", {"refresh_token": self._refresh_token})
            except Unreachable:
                if attempt == REFRESH_ATTEMPTS:
                    raise
        raise AssertionError("unreachable")

    def _keep(self, signed_in: SignedIn) -> SignedIn:
        self.signed_in = signed_in
        self._refresh_token = signed_in.refresh_token
        life_s = signed_in.expires_in_s * RENEW_SHARE
        # By both clocks: the one of deadlines stands still while a machine sleeps, the calendar may be set.
        self._renew_s = self._clock.now_s() + life_s
        self._renew_ms = self._clock.time_ms() + 1000 * life_s
        if self._on_tokens is not None:
            self._on_tokens(signed_in)
        return signed_in

    # --- what a chat asks (tokens.Tokens) ---

    async def fresh(self, *, force: bool = False) -> str:
        """An access token that is good for a while yet."""
        before = self.signed_in
        async with self._refreshing:
            if self.signed_in is None or self._is_old() or (force and self.signed_in is before):
                return (await self._refresh()).access_token
            return self.signed_in.access_token

    def renew_in_s(self) -> float | None:
        """In how many seconds `fresh` makes a new one."""
        if self.signed_in is None and self._refresh_token is None:
            return None
        return 0.0 if self._is_old() else self._renew_s - self._clock.now_s()

    def _is_old(self) -> bool:
        return self._clock.now_s() >= self._renew_s or self._clock.time_ms() >= self._renew_ms

    async def _call(
        self,
        method: str,
        path: str,
        answer: type[T],
        body: Any = None,
        **query: str | int | None,
    ) -> T:
        token = await self.fresh()
        try:
            return await self._rest.call(method, path, answer, body=body, query=query, token=token)
        except ApiError as error:
            if error.status != 401 or self._refresh_token is None:
                raise
        # The server has forgotten a token that looked good: once more with a new one.
        token = await self.fresh(force=True)
        return await self._rest.call(method, path, answer, body=body, query=query, token=token)

    async def _list(self, path: str, key: str, item: type[T], **query: str | int | None) -> list[T]:
        return await self._rest.call_list(path, key, item, query=query, token=await self.fresh())

    # --- users ---

    async def me(self) -> User:
        """This user."""
        return await self._call("GET", "/user-service/users/me", User)

    async def change_me(self, **fields: Any) -> User:
        """Changes fields of the profile."""
        return await self._call("PATCH", "/user-service/users/me", User, fields)

    async def user(self, user: str) -> User:
        """One user."""
        return await self._call("GET", f"/user-service/users/{part(user)}", User)

    async def users(self, ids: Iterable[str]) -> list[User]:
        """Those of the named users that there are."""
        return await self._list("/user-service/users", "users", User, ids=",".join(ids))

    async def search_users(self, text: str) -> list[User]:
        """By name, or a whole e-mail address; 20 at most."""
        return await self._list("/user-service/users", "users", User, search=text)

    async def devices(self) -> list[Device]:
        """This user's devices."""
        return await self._list("/user-service/users/me/devices", "devices", Device)

    async def remove_device(self, device: str) -> None:
        """Signs a device out."""
        await self._call("DELETE", f"/user-service/users/me/devices/{part(device)}", type(None))

    async def block(self, user: str) -> None:
        """From now on nothing of this user's in the direct conversation."""
        await self._call("PUT", f"/user-service/users/me/blocks/{part(user)}", type(None))

    async def unblock(self, user: str) -> None:
        """Reveals nothing of what was blocked."""
        await self._call("DELETE", f"/user-service/users/me/blocks/{part(user)}", type(None))

    async def last_seen(self, user: str) -> LastSeen:
        """Whether a user is online, if one may know."""
        return await self._call("GET", f"/last-seen-service/users/{part(user)}", LastSeen)

    # --- groups ---

    async def create_group(
        self, name: str, members: Sequence[str | Member] = (), *, history: str | None = None
    ) -> Group:
        """A group owned by this user."""
        body: dict[str, Any] = {"name": name, "members": [_member(member) for member in members]}
        if history is not None:
            body["history"] = history
        return await self._call("POST", "/group-service/groups", Group, body)

    async def groups(self) -> list[Group]:
        """This user's groups."""
        return await self._list("/group-service/groups", "groups", Group)

    async def group(self, group: str) -> Group:
        """One group."""
        return await self._call("GET", f"/group-service/groups/{part(group)}", Group)

    async def change_group(self, group: str, **fields: Any) -> Group:
        """Renames it and the like."""
        return await self._call("PATCH", f"/group-service/groups/{part(group)}", Group, fields)

    async def delete_group(self, group: str) -> None:
        """Ends it."""
        await self._call("DELETE", f"/group-service/groups/{part(group)}", type(None))

    async def add_members(self, group: str, members: Sequence[str | Member]) -> None:
        """Adds users."""
        body = {"members": [_member(member) for member in members]}
        await self._call("POST", f"/group-service/groups/{part(group)}/members", type(None), body)

    async def change_member(self, group: str, user: str, role: str) -> None:
        """Gives a member another role."""
        path = f"/group-service/groups/{part(group)}/members/{part(user)}"
        await self._call("PATCH", path, type(None), {"role": role})

    async def remove_member(self, group: str, user: str) -> None:
        """Removes a member; oneself: leaves."""
        await self._call("DELETE", f"/group-service/groups/{part(group)}/members/{part(user)}", type(None))

    async def create_invite(self, group: str, *, expires_in_s: int | None = None, uses: int | None = None) -> Invite:
        """A code by which others join."""
        body = {name: value for name, value in (("expires_in_s", expires_in_s), ("uses", uses)) if value is not None}
        return await self._call("POST", f"/group-service/groups/{part(group)}/invites", Invite, body)

    async def accept_invite(self, code: str) -> Group:
        """Joins."""
        return await self._call("POST", f"/group-service/invites/{part(code)}/accept", Group)

    # --- messages ---

    async def messages(
        self,
        conversation: str,
        *,
        after: int | None = None,
        before: int | None = None,
        around: int | None = None,
        limit: int | None = None,
    ) -> Page:
        """A page of a conversation."""
        return await self._call(
            "GET", _messages(conversation), Page, after=after, before=before, around=around, limit=limit
        )

    async def send(
        self,
        conversation: str,
        body: str | dict[str, Any],
        *,
        client_id: str,
        kind: str = "text",
        ref: int | None = None,
    ) -> Ack:
        """Sends without a socket. Nothing is retried here: do it with the same `client_id`."""
        raw = msgspec.Raw(encode_body({"text": body} if isinstance(body, str) else body))
        fields: dict[str, Any] = {"client_id": client_id, "kind": kind, "body": raw}
        if ref is not None:
            fields["ref"] = ref
        return await self._call("POST", _messages(conversation), Ack, fields)

    async def search(self, text: str, *, conversation: str | None = None, groups: bool = False) -> Found:
        """Messages with these words, in direct conversations or in groups."""
        service = "group-message-service" if groups or (conversation or "").startswith("g:") else "message-service"
        return await self._call("GET", f"/{service}/search", Found, q=text, conversation=conversation)

    # --- relay, discovery ---

    async def conversations(self, *, cursor: str | None = None, limit: int | None = None) -> Listed:
        """The list of conversations, newest first."""
        return await self._call("GET", "/relay-service/conversations", Listed, cursor=cursor, limit=limit)

    async def pending(self, *, limit: int | None = None) -> Found:
        """What this device was not given yet, oldest first."""
        return await self._call("GET", "/relay-service/pending", Found, limit=limit)

    async def delivered(self, conversation: str, seq: int) -> None:
        """Moves this device's cursor."""
        body = {"conversation": conversation, "seq": seq}
        await self._call("POST", "/relay-service/delivered", type(None), body)

    async def chat_server(self) -> ChatServer:
        """The node that holds this user's sockets."""
        return await self._call("GET", "/discovery-service/chat-server", ChatServer)


def _member(member: str | Member) -> Member:
    return Member(user=member) if isinstance(member, str) else member


def _messages(conversation: str) -> str:
    service = "group-message-service" if conversation.startswith("g:") else "message-service"
    return f"/{service}/conversations/{part(conversation)}/messages"
