"""The request head of a new connection, and the answers to it: the opening handshake of RFC 6455, section 4.2, over RFC
9112.

A head is taken strictly: what two programs could read differently (bare LF, folded lines, white space around names) is
refused, since what is not ours goes on to another HTTP server. Nothing here repeats a header's value or a URL in an
answer: they may carry secrets.
"""

import binascii
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha1
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl

import msgspec

from core.base.errors import ErrorCode
from core.base.limits import REQUEST_HEAD_BYTES_MAX

SUBPROTOCOL: Final = "trimaran.v1"
HEAD_END: Final = b"\r\n\r\n"

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", re.ASCII)  # RFC 9110, section 5.6.2
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")  # RFC 9110, section 5.5: not in a field value; the tab may
_TARGET = re.compile(r"[\x21-\x7e]+")
_HOST = re.compile(r"[^\s/?#@\\]*")
_ORIGIN = re.compile(r"https?://([^\s/?#@\\]+)")  # RFC 6454, section 6.2: scheme and authority, no more
_KEY_CHARS: Final = 24  # 16 bytes in base64
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3
_ONCE: Final = frozenset(
    {"host", "sec-websocket-key", "sec-websocket-version", "origin", "authorization", "content-length"}
)
_TOKEN_PARAMETERS: Final = frozenset(
    {"access_token", "authorization", "bearer", "id_token", "jwt", "refresh_token", "token"}
)


@dataclass(frozen=True, slots=True)
class Request:
    """A request head. Names of headers are in lower case; values of a repeated header are joined by commas."""

    method: str
    target: str  # as it was sent
    path: str  # of the target, still percent-encoded
    query: str
    version: str  # "1.0" or "1.1"
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Accepted:
    """The answer of an application that takes the connection; `context` comes back to it in `on_open` (verified claims,
    say).
    """

    context: object = None


@dataclass(frozen=True, slots=True)
class Refused:
    """A status of HTTP and why, told to the peer in a problem detail."""

    status: int
    detail: str
    code: ErrorCode = "bad_request"
    retry_after_s: int | None = None
    headers: tuple[tuple[str, str], ...] = ()


TOO_LARGE: Final = Refused(431, f"a request head has at most {REQUEST_HEAD_BYTES_MAX} bytes", "too_large")
TOO_SLOW: Final = Refused(408, "the request head did not come in time")


def parse_head(head: bytes) -> Request | Refused:
    """Read a request head that ends with HEAD_END and is no longer than REQUEST_HEAD_BYTES_MAX."""
    assert head.endswith(HEAD_END)
    assert len(head) <= REQUEST_HEAD_BYTES_MAX
    lines = head[: -len(HEAD_END)].decode("latin-1").split("\r\n")
    # One search finds bare CR and LF (RFC 9112, section 2.2), NUL, and whatever else could be read in two ways.
    if _CONTROL.search("".join(lines)):
        return Refused(400, "control characters in the request head")
    parts = lines[0].split(" ")
    if len(parts) != 3 or not _TOKEN.fullmatch(parts[0]) or not _TARGET.fullmatch(parts[1]):
        return Refused(400, "malformed request line")
    method, target, version = parts
    if version not in ("HTTP/1.1", "HTTP/1.0"):
        return Refused(505, "only HTTP/1.1 is spoken here") if version.startswith("HTTP/") else Refused(400, "no HTTP")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        # RFC 9112, section 5.1: no white space before the colon; section 5.2: a folded line, which begins with it, is
        # refused.
        if not colon or not _TOKEN.fullmatch(name):
            return Refused(400, "malformed header line")
        name = name.lower()
        value = value.strip(" \t")
        if name in headers:
            if name in _ONCE:
                return Refused(400, "a header that may come once came twice")
            value = f"{headers[name]}, {value}"
        headers[name] = value
    # RFC 9112, section 3.2: a request of HTTP/1.1 has exactly one Host, and a malformed one is refused.
    host = headers.get("host")
    if host is None and version == "HTTP/1.1":
        return Refused(400, "no Host header")
    if host is not None and not _HOST.fullmatch(host):
        return Refused(400, "malformed Host header")
    path, _, query = target.partition("?")
    return Request(method, target, path, query, version[5:], headers)


def is_websocket(request: Request) -> bool:
    """Whether the request wants to become a WebSocket, well-formed or not (RFC 6455, section 4.1)."""
    return "websocket" in _elements(request, "upgrade") and "upgrade" in _elements(request, "connection")


def check_upgrade(request: Request) -> Refused | None:
    """What is wrong with the opening handshake (RFC 6455, section 4.2.1), or None."""
    if request.method != "GET":
        return Refused(405, "a WebSocket is opened by GET", headers=(("Allow", "GET"),))
    if not is_websocket(request):
        return Refused(426, "a WebSocket is expected here", headers=(("Upgrade", "websocket"),))
    if request.version != "1.1":
        return Refused(400, "a WebSocket is opened by HTTP/1.1")
    # What follows the head is frames, never a body.
    if "transfer-encoding" in request.headers or request.headers.get("content-length", "0") != "0":
        return Refused(400, "an opening handshake has no body")
    # Section 4.2.2: another version is answered by the one that is spoken.
    if request.headers.get("sec-websocket-version") != "13":
        return Refused(426, "WebSocket version 13 is spoken here", headers=(("Sec-WebSocket-Version", "13"),))
    if not _is_key(request.headers.get("sec-websocket-key", "")):
        return Refused(400, "Sec-WebSocket-Key must be 16 bytes in base64")
    if has_token_in_url(request):
        return Refused(400, "a token never goes into the URL; send it in the hello frame or as Authorization")
    return None


def has_token_in_url(request: Request) -> bool:
    """Whether the query has a parameter that names a token: it would lie in logs and histories."""
    if not request.query:
        return False
    names = (name for name, _ in parse_qsl(request.query, keep_blank_values=True))
    return any(name.lower() in _TOKEN_PARAMETERS for name in names)


def origin_allowed(origin: str | None, host: str | None, allowed: frozenset[str] = frozenset()) -> bool:
    """Whether a page of `origin` may open a WebSocket here (RFC 6455, section 10.2).

    Without an Origin it is no browser, and nobody's cookies are at stake. Otherwise it is one of `allowed`
    (`https://host[:port]`, lower case), or its host and port are those that the request itself names. `null`, user
    parts and look-alikes are none of these.
    """
    if origin is None:
        return True
    origin = origin.lower()
    match = _ORIGIN.fullmatch(origin)
    if match is None:
        return False
    return origin in allowed or (host is not None and match[1] == host.lower())


def accept_response(request: Request) -> bytes:
    """The 101 that opens the WebSocket (RFC 6455, section 4.2.2) of a request that passed `check_upgrade`. No extension
    is ever agreed to.
    """
    key = request.headers["sec-websocket-key"].encode()
    # RFC 6455 made SHA-1 a magic word, not a protection.
    accept = b64encode(sha1(key + _GUID, usedforsecurity=False).digest())
    offered = request.headers.get("sec-websocket-protocol")
    chosen = b""
    if offered is not None and SUBPROTOCOL in [name.strip(" \t") for name in offered.split(",")]:
        chosen = b"Sec-WebSocket-Protocol: trimaran.v1\r\n"
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
        + accept
        + b"\r\n"
        + chosen
        + b"\r\n"
    )


def refusal_response(refused: Refused) -> bytes:
    """A whole response, after which the connection is closed; the body is a problem detail (RFC 9457)."""
    title = HTTPStatus(refused.status).phrase
    problem: dict[str, object] = {
        "type": "about:blank",
        "title": title,
        "status": refused.status,
        "detail": refused.detail,
        "code": refused.code,
    }
    headers = list(refused.headers)
    if refused.retry_after_s is not None:
        problem["retry_after_s"] = refused.retry_after_s
        headers.append(("Retry-After", str(refused.retry_after_s)))
    body = msgspec.json.encode(problem)
    headers += [
        ("Content-Type", "application/problem+json"),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
        ("Connection", "close"),
    ]
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"HTTP/1.1 {refused.status} {title}\r\n{lines}\r\n".encode("latin-1") + body


def _elements(request: Request, name: str) -> list[str]:
    """The elements of a comma list, in lower case (RFC 9110, section 5.6.1)."""
    return [element.strip(" \t").lower() for element in request.headers.get(name, "").split(",")]


def _is_key(key: str) -> bool:
    if len(key) != _KEY_CHARS:
        return False
    try:
        return len(b64decode(key, validate=True)) == 16
    except (binascii.Error, ValueError):
        return False
