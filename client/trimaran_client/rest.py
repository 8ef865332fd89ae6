"""HTTP for the REST services: addresses, the bearer token, typed answers, errors by RFC 9457."""

import math
import re
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit, urlunsplit

import httpx
import msgspec

from trimaran_client.errors import ApiError, Unreachable
from trimaran_client.limits import HTTP_S

T = TypeVar("T")

_CODES = {
    400: "bad_request",
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    409: "conflict",
    413: "too_large",
    422: "bad_request",
    429: "rate_limited",
    502: "unavailable",
    503: "unavailable",
    504: "unavailable",
}
"""For answers that are no problem of ours, a proxy's for example."""


class _Problem(msgspec.Struct):
    code: str | None = None
    title: str | None = None
    detail: str | None = None
    field: str | None = None
    retry_after_s: float | None = None


def http_address(url: str) -> str:
    """The base of the REST addresses: `ws://host/chat/ws` and `http://host/` give `http://host`."""
    parts = urlsplit(url)
    scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
    path = re.sub(r"(/chat(/[^/]+)?/ws)?/?$", "", parts.path)
    return urlunsplit((scheme, parts.netloc, path, "", ""))


def socket_address(url: str) -> str:
    """The WebSocket address of a server: `http://host` gives `ws://host/chat/ws`; a `ws:` or `wss:` address stays as it is."""
    parts = urlsplit(url)
    if parts.scheme in ("ws", "wss"):
        return url
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme)
    if scheme is None or not parts.netloc:
        raise ValueError(f"{url!r}: expected http://, https://, ws:// or wss:// and a host")
    return urlunsplit((scheme, parts.netloc, parts.path.removesuffix("/") + "/chat/ws", "", ""))


def part(text: str) -> str:
    """Text as one part of a path; the colons of conversation ids stay readable."""
    return quote(text, safe=":")


class Rest:
    """Calls of one server's REST services."""

    def __init__(self, url: str, *, http: httpx.AsyncClient | None = None) -> None:
        """`http` is closed by whoever made it: by `aclose` here if none is given."""
        self._base = http_address(url)
        self._is_mine = http is None
        self._http = http or httpx.AsyncClient(timeout=HTTP_S)

    async def aclose(self) -> None:
        """Closes the connections."""
        if self._is_mine:
            await self._http.aclose()

    async def call(
        self,
        method: str,
        path: str,
        answer: type[T],
        *,
        body: Any = None,
        query: Mapping[str, str | int | None] | None = None,
        token: str | None = None,
    ) -> T:
        """One call; `None` in the query is left out. For an answer without a body `answer` is `type(None)`.

        Raises:
            ApiError: it was refused.
            Unreachable: no answer, or one that makes no sense.
        """
        response = await self._respond(method, path, body, query, token)
        if answer is type(None):
            return None
        try:
            return msgspec.json.decode(response.content, type=answer)
        except msgspec.DecodeError as error:
            raise Unreachable(f"{method} {path}: not the answer that was expected: {error}") from error

    async def call_list(
        self, path: str, key: str, item: type[T], *, query: Mapping[str, str | int | None] | None, token: str
    ) -> list[T]:
        """One call whose answer is a list, alone or under `key`."""
        response = await self._respond("GET", path, None, query, token)
        try:
            data = msgspec.json.decode(response.content)
            found = data.get(key) if isinstance(data, dict) else data
            return msgspec.convert(found, type=list[item])  # type: ignore[valid-type]
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise Unreachable(f"GET {path}: not the answer that was expected: {error}") from error

    async def _respond(
        self, method: str, path: str, body: Any, query: Mapping[str, str | int | None] | None, token: str | None
    ) -> httpx.Response:
        headers = {"Accept": "application/json"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if body is not None:
            headers["Content-Type"] = "application/json"
        params = {name: value for name, value in (query or {}).items() if value is not None}
        try:
            response = await self._http.request(
                method,
                self._base + path,
                content=None if body is None else msgspec.json.encode(body),
                params=params,
                headers=headers,
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unreachable(f"{method} {path}: {str(error) or type(error).__name__}") from error
        if not response.is_success:
            raise _error(response)
        return response


def _error(response: httpx.Response) -> ApiError:
    try:
        problem = msgspec.json.decode(response.content, type=_Problem)
    except msgspec.DecodeError:
        problem = _Problem()
    status = response.status_code
    retry_after_s = problem.retry_after_s
    if retry_after_s is None:
        try:
            retry_after_s = float(response.headers.get("Retry-After", "nan"))
        except ValueError:
            retry_after_s = math.nan
    return ApiError(
        problem.code or _CODES.get(status, "internal" if status >= 500 else "bad_request"),
        status,
        problem.detail or problem.title or response.reason_phrase,
        field=problem.field,
        retry_after_s=retry_after_s if math.isfinite(retry_after_s) else None,
    )
