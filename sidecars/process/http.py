"""The HTTP application around the services' routes: problems, headers, health, metrics, the web client.

Whatever a handler raises becomes a problem detail (RFC 9457) with a `code` of the contract; what we did not foresee
becomes `internal` with an id, by which the log tells its type and place. Nothing here decides who may do what: every
route names its rule.
"""

import math
import re
from collections.abc import Callable, Generator, Iterable
from http import HTTPStatus
from typing import Any, Final

import msgspec
import trio
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from quart import Blueprint, Response, g, request
from quart.wrappers import Request
from quart_trio import QuartTrio
from quart_trio.asgi import TrioASGIHTTPConnection
from quart_trio.wrappers.request import TrioBody, TrioRequest
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from core.base import logs
from core.base.errors import ErrorCode, TrimaranError, Unavailable, http_status
from core.base.ids import IdSource
from core.base.limits import HTTP_BODY_BYTES_MAX, HTTP_BUFFER_BYTES
from core.base.metrics import Metrics
from core.rules.names import OPEN, OPERATOR
from sidecars.ports.http import Edge, reply, route
from sidecars.process import static

PROBLEM: Final = "application/problem+json"

IsReady = Callable[[], str | None]
"""Why the process cannot serve now; None where it can."""

_log = logs.logger("http")


def create_app(
    blueprints: Iterable[Blueprint],
    *,
    edge: Edge,
    ids: IdSource,
    metrics: Metrics,
    registry: CollectorRegistry,
    is_ready: IsReady,
    statistics: Callable[[], object],
    files: dict[str, static.File] | None = None,
) -> QuartTrio:
    """The application that serves `blueprints`.

    `files` is the web client (see static.py), `statistics` gives what the router tells operators.
    """
    app = _Application("trimaran", static_folder=None, template_folder=None)
    # A slash too many is a path that does not exist, not a redirect: its target would come from the client's Host.
    app.url_map.merge_slashes = False
    app.url_map.strict_slashes = True
    edge.install(app)
    for blueprint in blueprints:
        app.register_blueprint(blueprint)
    app.register_blueprint(_health(is_ready, statistics))
    app.register_blueprint(_scraping(registry))
    app.register_blueprint(static.blueprint(files or {}))
    _answer_errors(app, ids, metrics)
    _observe(app, edge, metrics)
    app.after_request(_secure)
    return app


# ---- health and metrics


def _health(is_ready: IsReady, statistics: Callable[[], object]) -> Blueprint:
    pages = Blueprint("chat", __name__)

    @route(pages, "GET", "/chat-service/healthz", rule=OPEN)
    @route(pages, "GET", "/healthz", rule=OPEN)
    async def healthz() -> Response:
        return reply({"status": "ok"})

    @route(pages, "GET", "/chat-service/readyz", rule=OPEN)
    @route(pages, "GET", "/readyz", rule=OPEN)
    async def readyz() -> Response:
        reason = is_ready()
        if reason is not None:
            raise Unavailable(reason)
        return reply({"status": "ready"})

    @route(pages, "GET", "/chat-service/statistics", rule=OPERATOR)
    async def tell() -> Response:
        return reply(statistics())

    return pages


def _scraping(registry: CollectorRegistry) -> Blueprint:
    pages = Blueprint("metrics", __name__)

    @route(pages, "GET", "/metrics", rule=OPEN)
    async def scrape() -> Response:
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)

    return pages


def _observe(app: QuartTrio, edge: Edge, metrics: Metrics) -> None:
    """Measure every request under its route's name; what matches none shares one, so that nobody can grow the table."""

    @app.before_request
    async def start() -> None:
        g.started_s = edge.clock.monotonic_s()

    @app.after_request
    async def stop(response: Response) -> Response:
        if "started_s" in g:
            labels = (request.blueprint or "", request.url_rule.rule if request.url_rule else "")
            metrics.http_seconds[labels].observe(edge.clock.monotonic_s() - g.started_s)
        return response


# ---- problems


def problem(
    status: int,
    code: ErrorCode,
    detail: str,
    *,
    field: str | None = None,
    retry_after_s: float | None = None,
    error_id: str | None = None,
) -> Response:
    """A problem detail. `retry_after_s` goes as a field, and as whole seconds into Retry-After."""
    said: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
    }
    if field is not None:
        said["field"] = field
    if error_id is not None:
        said["error_id"] = error_id
    headers = {}
    if retry_after_s is not None:
        said["retry_after_s"] = retry_after_s
        headers["Retry-After"] = str(max(1, math.ceil(retry_after_s)))
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(msgspec.json.encode(said), status, headers, content_type=PROBLEM)


_CODES: Final[dict[int, ErrorCode]] = {
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    409: "conflict",
    413: "too_large",
    414: "too_large",
    429: "rate_limited",
    431: "too_large",
    503: "unavailable",
}


def _answer_errors(app: QuartTrio, ids: IdSource, metrics: Metrics) -> None:
    @app.errorhandler(TrimaranError)
    async def foreseen(error: TrimaranError) -> Response:
        status = http_status(error)
        retry_after_s = error.retry_after_s
        if retry_after_s is None and status in (429, 503):
            retry_after_s = 1.0
        if error.code == "internal":
            return unforeseen_answer(error)
        return problem(status, error.code, error.message, field=error.field, retry_after_s=retry_after_s)

    @app.errorhandler(HTTPException)
    async def of_the_framework(error: HTTPException) -> Response:
        status = error.code or 500
        if status >= 500 and status not in _CODES:
            return unforeseen_answer(error)
        detail = _DETAILS.get(status) or HTTPStatus(status).phrase.lower()
        answer = problem(
            status, _CODES.get(status, "bad_request"), detail, retry_after_s=1.0 if status in (429, 503) else None
        )
        for name, value in error.get_headers():
            if name == "Allow":
                answer.headers[name] = value
        return answer

    @app.errorhandler(Exception)
    async def unforeseen(error: Exception) -> Response:
        return unforeseen_answer(error)

    def unforeseen_answer(error: Exception) -> Response:
        error_id = ids.uuid7()
        metrics.errors["http"] += 1
        route_name = request.url_rule.rule if request.url_rule else None
        _log.error("request failed", error_id=error_id, method=request.method, route=route_name, exc_info=error)
        return problem(500, "internal", "this is our fault; the log has it under error_id", error_id=error_id)


_DETAILS: Final = {
    404: "no such page",
    405: "this path exists, but not for this method",
    408: "the request did not come in time",
    413: f"the body is too large; at most {HTTP_BODY_BYTES_MAX} bytes, where nothing else is said",
}

# ---- headers

_HOST: Final = re.compile(r"(?:[0-9A-Za-z._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?", re.ASCII)
_NO_PAGE: Final = "default-src 'none'; frame-ancestors 'none'"


async def _secure(response: Response) -> Response:
    """What every answer says to a browser: guess no type, frame nothing, tell no one where you were, keep nothing."""
    headers = response.headers
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Referrer-Policy", "no-referrer")
    headers.setdefault("Cache-Control", "no-store")
    if response.mimetype == "text/html":
        headers.setdefault("Content-Security-Policy", page_policy(request.headers.get("Host", "")))
        headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    else:
        headers.setdefault("Content-Security-Policy", _NO_PAGE)
    return response


def page_policy(host: str) -> str:
    """The content security policy of a page: everything from here, nothing inline.

    Sockets to here are named one by one, since for older browsers 'self' does not cover them.
    """
    sockets = f" ws://{host} wss://{host}" if _HOST.fullmatch(host) else ""
    return (
        f"default-src 'self'; connect-src 'self'{sockets}; img-src 'self' blob: data:; media-src 'self' blob:; "
        "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )


# ---- bodies that cannot grow


class _Body(TrioBody):
    """A request's body that holds a bounded part of it: while that is not taken, the socket is not read."""

    def __init__(self, expected_bytes: int | None, bytes_max: int | None) -> None:
        super().__init__(expected_bytes, bytes_max)
        self._room = trio.Event()
        self._is_unwanted = False

    def append(self, data: bytes) -> None:
        if not self._is_unwanted:
            super().append(data)

    async def __anext__(self) -> bytes:
        data = await super().__anext__()
        self._room.set()
        return data

    def __await__(self) -> Generator[Any, None, Any]:
        return self._whole().__await__()

    async def _whole(self) -> bytes:
        data = bytearray()
        async for chunk in self:
            data += chunk
            if len(data) > HTTP_BODY_BYTES_MAX:
                raise RequestEntityTooLarge
        return bytes(data)

    async def wait_for_room(self) -> None:
        """Wait until the handler has taken what is here, or is not interested any more."""
        while len(self._data) >= HTTP_BUFFER_BYTES and not self._is_unwanted:
            self._room = trio.Event()
            await self._room.wait()

    def discard(self) -> None:
        """The answer is decided: what still comes is thrown away."""
        self._is_unwanted = True
        self._data.clear()
        self._room.set()


class _Request(TrioRequest):
    body_class: type[TrioBody] = _Body


class _Connection(TrioASGIHTTPConnection):
    async def handle_messages(  # type: ignore[override]  # Quart-Trio does the same to Quart
        self, nursery: trio.Nursery, request: Request, receive: ASGIReceiveCallable
    ) -> None:
        body = request.body
        assert isinstance(body, _Body)
        while (message := await receive())["type"] != "http.disconnect":
            assert message["type"] == "http.request", message["type"]
            body.append(message["body"])
            if not message["more_body"]:
                body.set_complete()
            await body.wait_for_room()
        nursery.cancel_scope.cancel()

    async def handle_request(  # type: ignore[override]
        self, nursery: trio.Nursery, request: Request, send: ASGISendCallable
    ) -> None:
        response = await self.app.handle_request(request)
        body = request.body
        assert isinstance(body, _Body)
        # Else what the client still sends would fill the queue between Hypercorn and us, in which the news of the
        # answer's end has to fit as well.
        body.discard()
        await self._send_response(send, response)
        nursery.cancel_scope.cancel()


class _Application(QuartTrio):
    asgi_http_class = _Connection
    request_class = _Request
