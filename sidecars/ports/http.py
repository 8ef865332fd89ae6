"""What every routes.py is written with: a route that names its rule, who calls, what was sent, how to answer.

A handler sees typed, checked values and raises `TrimaranError`s; what becomes of those, of headers and of deadlines
is the business of sidecars/process. Nothing here knows a service. Bearer tokens: RFC 6750, section 2.1 only (the
header; never the URL).
"""

import functools
import hmac
import ipaddress
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, Protocol, TypeVar

import msgspec
import trio
from quart import Blueprint, Quart, Response, current_app, g, request
from werkzeug.exceptions import RequestTimeout

from core.base.clock import Clock
from core.base.errors import DeadlineExceeded, Rejected
from core.base.ids import DeviceId, UserId
from core.base.limits import HTTP_BODY_BYTES_MAX, HTTP_BODY_S, KIB, REQUEST_DEADLINE_S
from core.rules.names import OPEN, OPERATOR, Rule

T = TypeVar("T")
Handler = Callable[..., Awaitable[Response]]
HandlerT = TypeVar("HandlerT", bound=Handler)

TOKEN_CHARS_MAX: Final = 4 * KIB
QUERY_CHARS_MAX: Final = 4 * KIB
CURSOR_CHARS_MAX: Final = 1 * KIB
MESSAGE_CHARS_MAX: Final = 200
"""A problem's text may quote what was sent; it is cut here."""

# ---- what the wiring passes in


class Claims(Protocol):
    """What a valid access token says."""

    @property
    def user(self) -> UserId: ...
    @property
    def device(self) -> DeviceId: ...
    @property
    def is_operator(self) -> bool: ...


class TokenVerifier(Protocol):
    """Tells a good access token from a bad one, without asking anyone."""

    def verify(self, token: str, now_ms: int) -> Claims:
        """The claims of a token. Raises: Rejected (unauthenticated)."""


IsActive = Callable[[UserId, DeviceId], Awaitable[bool]]
"""Whether the account and the device of a token still exist: a token outlives both by minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """What the routes of one application share.

    `cursor_key`: 16 to 64 secret bytes, the same in all processes of a service.
    """

    verifier: TokenVerifier
    is_active: IsActive
    clock: Clock
    cursor_key: bytes

    def install(self, app: Quart) -> None:
        """Make this the edge of `app`."""
        assert 16 <= len(self.cursor_key) <= 64, len(self.cursor_key)
        app.extensions[_EXTENSION] = self


_EXTENSION: Final = "trimaran.edge"


def _edge() -> Edge:
    edge = current_app.extensions[_EXTENSION]
    assert isinstance(edge, Edge)
    return edge


# ---- routes and their rules


def route(
    blueprint: Blueprint, method: str, path: str, *, rule: Rule, deadline_s: float = REQUEST_DEADLINE_S
) -> Callable[[HandlerT], HandlerT]:
    """Register an async handler for `method` and `path`, guarded by `rule`.

    Parts of the path (`<user>`) are the handler's arguments. Who calls is known before it runs, unless the rule is
    OPEN. OPERATOR is decided here; what else a rule says about an object is decided where the object is known, by the
    service. After `deadline_s` the handler is cancelled. May be applied several times to one handler.
    """

    def register(handler: HandlerT) -> HandlerT:
        @functools.wraps(handler)
        async def view(**arguments: str) -> Response:
            with trio.move_on_after(deadline_s):
                await _admit(rule)
                return await handler(**arguments)
            raise DeadlineExceeded(f"no answer within {deadline_s:g} s")

        view.rule = rule  # type: ignore[attr-defined]
        blueprint.add_url_rule(path, f"{handler.__name__}:{method}:{path}".replace(".", "_"), view, methods=[method])
        return handler

    return register


@dataclass(frozen=True, slots=True)
class Route:
    """A route of an application; `rule` is None for one that was registered without."""

    method: str
    path: str
    rule: Rule | None


def routes_of(app: Quart) -> Iterator[Route]:
    """All routes that an application answers; the HEAD and OPTIONS that come with another method are left out."""
    for entry in app.url_map.iter_rules():
        rule = getattr(app.view_functions[entry.endpoint], "rule", None)
        methods = entry.methods or set()
        for method in sorted(methods if len(methods) == 1 else methods - {"HEAD", "OPTIONS"}):
            yield Route(method, entry.rule, rule)


# ---- who calls


@dataclass(frozen=True, slots=True)
class Caller:
    """Who the request's token speaks for."""

    user: UserId
    device: DeviceId
    is_operator: bool


def caller() -> Caller:
    """The caller of a route that is not open."""
    found = g.caller
    assert isinstance(found, Caller)
    return found


def client_address() -> str:
    """The address that the request came from, as rate limits count it: IPv6 by its /64, since one host has them all."""
    host = (request.scope.get("client") or ("127.0.0.1", 0))[0]
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host  # of a transport without addresses: a Unix socket, a test
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((address, 64), strict=False))


_TOKENS_IN_URL: Final = frozenset(
    {"access_token", "authorization", "bearer", "id_token", "jwt", "refresh_token", "token"}
)


async def _admit(rule: Rule) -> None:
    """Let the request in, or raise: Rejected (unauthenticated, forbidden)."""
    # Even where no token is asked for: what stands in a URL ends up in histories, proxies and logs.
    if any(name.lower() in _TOKENS_IN_URL for name in request.args):
        raise Rejected("unauthenticated", "a token belongs in the Authorization header, never in the URL")
    if rule == OPEN:
        return
    edge = _edge()
    claims = edge.verifier.verify(_bearer_token(), edge.clock.wall_ms())
    if not await edge.is_active(claims.user, claims.device):
        raise Rejected("unauthenticated", "the device is logged out")
    if rule == OPERATOR and not claims.is_operator:
        raise Rejected("forbidden", "for operators only")
    g.caller = Caller(claims.user, claims.device, claims.is_operator)


def _bearer_token() -> str:
    values = request.headers.getlist("Authorization")
    scheme, _, token = values[0].partition(" ") if len(values) == 1 else ("", "", "")
    token = token.strip(" ")
    if scheme.lower() != "bearer" or not token:
        raise Rejected("unauthenticated", "expected one header Authorization: Bearer <access token>")
    if len(token) > TOKEN_CHARS_MAX:
        raise Rejected("unauthenticated", f"the token has {len(token)} characters, at most {TOKEN_CHARS_MAX}")
    return token


# ---- what was sent


async def body(kind: type[T], *, limit: int = HTTP_BODY_BYTES_MAX) -> T:
    """The JSON body as a `kind` (a msgspec struct; unknown fields are ignored, of duplicate keys the last counts).

    Text is free of NUL and lone surrogates, also inside a `msgspec.Raw`; how deep a Raw is nested is for its reader to
    check. Raises: Rejected - too_large beyond `limit` bytes; bad_request, with the field where one is at fault.
    """
    data = await _read_body(limit)
    try:
        # First as a whole: msgspec takes a Raw, and fields that it skips, for UTF-8 without looking.
        data.decode()
        if _NUL.search(data):
            raise Rejected("bad_request", "the body must not contain NUL characters")
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        raise _field_problem(str(error)) from None
    except msgspec.DecodeError as error:
        raise Rejected("bad_request", f"expected a body of JSON: {error}"[:MESSAGE_CHARS_MAX]) from None
    except UnicodeDecodeError:
        raise Rejected("bad_request", "expected a body of JSON in UTF-8") from None
    except RecursionError:
        raise Rejected("bad_request", "the body is nested too deep") from None


_NUL: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
"""An escaped NUL; an even number of backslashes before the `u` spells a backslash and five characters."""

_MISSING_FIELD: Final = re.compile(r"Object missing required field `([^`]*)`")
_PATH: Final = re.compile(r" - at `(?:key in )?\$\.?([^`]*)`$")


def _field_problem(text: str) -> Rejected:
    """Turn `Expected int, got str - at $.a.b` into a problem of the field `a.b`."""
    path = _PATH.search(text)
    field = path[1] if path else ""
    said = text[: path.start()] if path else text
    if missing := _MISSING_FIELD.match(said):
        field = f"{field}.{missing[1]}".lstrip(".")
        said = "required"
    said = said[:1].lower() + said[1:]
    if not field:
        return Rejected("bad_request", f"the body: {said}"[:MESSAGE_CHARS_MAX])
    return Rejected("bad_request", f"{field}: {said}"[:MESSAGE_CHARS_MAX], field=field)


async def _read_body(limit: int) -> bytes:
    declared = request.content_length
    if declared is not None and declared > limit:
        raise Rejected("too_large", f"the body has {declared} bytes, at most {limit}")
    data = bytearray()
    with trio.move_on_after(HTTP_BODY_S):
        async for chunk in request.body:
            data += chunk
            if len(data) > limit:
                raise Rejected("too_large", f"the body has more than {limit} bytes")
        return bytes(data)
    raise RequestTimeout(f"the body did not come within {HTTP_BODY_S:g} s")


def query_text(name: str, default: T, *, chars_max: int = QUERY_CHARS_MAX) -> str | T:
    """A parameter of the query, or `default`. Raises: Rejected (bad_request) naming it."""
    values = request.args.getlist(name)
    if not values:
        return default
    if len(values) > 1:
        raise Rejected("bad_request", f"{name} is given {len(values)} times, expected once", field=name)
    text = values[0]
    if len(text) > chars_max:
        raise Rejected("bad_request", f"{name} has {len(text)} characters, at most {chars_max}", field=name)
    if "\0" in text:
        raise Rejected("bad_request", f"{name} must not contain NUL characters", field=name)
    return text


def query_int(name: str, default: T, low: int, high: int) -> int | T:
    """A parameter of the query as an integer from `low` to `high`, or `default`.

    Raises: Rejected (bad_request) naming it.
    """
    text = query_text(name, None)
    if text is None:
        return default
    if _INTEGER.fullmatch(text) and low <= (value := int(text)) <= high:
        return value
    raise Rejected("bad_request", f"{name}: expected an integer from {low} to {high}", field=name)


_INTEGER: Final = re.compile(r"-?[0-9]{1,19}", re.ASCII)

# ---- lists in pages


def make_cursor(position: object) -> str:
    """An opaque `cursor` for the next page of this very list: sealed for this path and this caller.

    `position` is whatever msgspec encodes, and stays readable for the client; it must not be secret.
    """
    payload = msgspec.json.encode(position)
    return urlsafe_b64encode(_seal(payload) + payload).decode().rstrip("=")


def cursor(kind: type[T]) -> T | None:
    """The position that the query's `cursor` stands for; None for the first page.

    Raises: Rejected (bad_request) for one that was altered, cut, or made for another list or another caller.
    """
    text = query_text("cursor", None, chars_max=CURSOR_CHARS_MAX)
    if not text:
        return None
    try:
        sealed = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        seal, payload = sealed[:_SEAL_BYTES], sealed[_SEAL_BYTES:]
        if hmac.compare_digest(seal, _seal(payload)):
            return msgspec.json.decode(payload, type=kind)
    except (ValueError, msgspec.MsgspecError):
        pass
    raise Rejected("bad_request", "cursor: expected one that this list has given out", field="cursor")


_SEAL_BYTES: Final = 16


def _seal(payload: bytes) -> bytes:
    # An open route's cursors are bound to the path alone. NUL parts the path and the caller: neither can contain it.
    bound = f"{request.path}\0{g.caller.user if 'caller' in g else ''}\0".encode(errors="surrogatepass")
    return blake2b(bound + payload, digest_size=_SEAL_BYTES, key=_edge().cursor_key, person=b"cursor").digest()


# ---- the answer


def reply(value: object = None, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """`value` as a JSON response: a struct, dict, list; parts that are JSON already as `msgspec.Raw`. None: no body."""
    answer = Response(b"" if value is None else msgspec.json.encode(value), status, dict(headers or {}))
    if value is None:
        answer.headers.pop("Content-Type", None)
    else:
        answer.content_type = "application/json"
    return answer


def no_content() -> Response:
    """204: done, and nothing to say."""
    return reply(status=204)
