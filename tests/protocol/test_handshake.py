"""Request heads and the answers to them: strict in what is read, helpful in what is said."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.protocol.handshake import (
    HEAD_END,
    Refused,
    Request,
    accept_response,
    check_upgrade,
    is_websocket,
    origin_allowed,
    parse_head,
    refusal_response,
)

UPGRADE = {
    "Host": "chat.test:8080",
    "Upgrade": "websocket",
    "Connection": "keep-alive, Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}


def head(line: str = "GET /chat/ws HTTP/1.1", *extra: str, **changed: str | None) -> bytes:
    """A head with the headers of an upgrade, each of which can be changed or (None) left out."""
    headers = dict(UPGRADE) | {name.replace("_", "-"): value for name, value in changed.items()}
    lines = [line, *(f"{name}: {value}" for name, value in headers.items() if value is not None), *extra]
    return "\r\n".join(lines).encode("latin-1") + HEAD_END


def request(line: str = "GET /chat/ws HTTP/1.1", *extra: str, **changed: str | None) -> Request:
    parsed = parse_head(head(line, *extra, **changed))
    assert isinstance(parsed, Request), parsed
    return parsed


def refused_status(data: bytes) -> int:
    parsed = parse_head(data)
    assert isinstance(parsed, Refused), parsed
    return parsed.status


def test_a_head_is_taken_apart() -> None:
    parsed = request("GET /chat/ws?a=1?2 HTTP/1.1", "X-Two: a", "x-two:b\t ", "X-Empty:")
    assert (parsed.method, parsed.target, parsed.path, parsed.query) == ("GET", "/chat/ws?a=1?2", "/chat/ws", "a=1?2")
    assert parsed.version == "1.1"
    assert parsed.headers["host"] == "chat.test:8080"
    assert parsed.headers["x-two"] == "a, b"
    assert parsed.headers["x-empty"] == ""


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n\r\n",
        b"GET / HTTP/1.1\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\x00b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: one\r\n two\r\n\r\n",
        b"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost\r\n\r\n",
        b"GET / HTTP/1.1\r\n: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHo st: a\r\n\r\n",
        b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET HTTP/1.1\r\nHost: a\r\n\r\n",
        b"G(T / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / FTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ],
)
def test_a_head_that_could_be_read_in_two_ways_is_400(data: bytes) -> None:
    assert refused_status(data) == 400


def test_another_version_of_http_is_505() -> None:
    assert refused_status(b"PRI * HTTP/2.0\r\n\r\n") == 505


def test_http_1_0_needs_no_host() -> None:
    assert isinstance(parse_head(b"GET / HTTP/1.0\r\n\r\n"), Request)


@given(st.binary(max_size=200))
def test_no_head_raises(data: bytes) -> None:
    parse_head(data.replace(HEAD_END, b"") + HEAD_END)


# ---- the upgrade


def test_a_good_upgrade_has_nothing_wrong() -> None:
    assert is_websocket(request())
    assert check_upgrade(request()) is None


def test_names_in_the_upgrade_are_compared_without_case() -> None:
    assert check_upgrade(request(Upgrade="WebSocket", Connection="UPGRADE")) is None


@pytest.mark.parametrize(
    ("status", "line", "changed"),
    [
        (405, "POST /chat/ws HTTP/1.1", {}),
        (426, "GET /chat/ws HTTP/1.1", {"Upgrade": None}),
        (426, "GET /chat/ws HTTP/1.1", {"Upgrade": "h2c"}),
        (426, "GET /chat/ws HTTP/1.1", {"Connection": "close"}),
        (426, "GET /chat/ws HTTP/1.1", {"Sec-WebSocket-Version": None}),
        (426, "GET /chat/ws HTTP/1.1", {"Sec-WebSocket-Version": "8"}),
        (400, "GET /chat/ws HTTP/1.0", {}),
        (400, "GET /chat/ws HTTP/1.1", {"Sec-WebSocket-Key": None}),
        (400, "GET /chat/ws HTTP/1.1", {"Sec-WebSocket-Key": ""}),
        (400, "GET /chat/ws HTTP/1.1", {"Sec-WebSocket-Key": "c2hvcnQ="}),
        (400, "GET /chat/ws HTTP/1.1", {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ!!"}),
        (400, "GET /chat/ws HTTP/1.1", {"Sec-WebSocket-Key": "\xe9GhlIHNhbXBsZSBub25jZQ=="}),
        (400, "GET /chat/ws HTTP/1.1", {"Transfer-Encoding": "chunked"}),
        (400, "GET /chat/ws HTTP/1.1", {"Content-Length": "5"}),
    ],
)
def test_a_bad_upgrade_is_told_what_is_wrong(status: int, line: str, changed: dict[str, str | None]) -> None:
    refused = check_upgrade(request(line, **changed))
    assert refused is not None
    assert refused.status == status


def test_a_wrong_version_is_told_the_right_one() -> None:
    refused = check_upgrade(request(**{"Sec-WebSocket-Version": "7"}))
    assert refused is not None
    assert b"\r\nSec-WebSocket-Version: 13\r\n" in refusal_response(refused)


@pytest.mark.parametrize(
    "query", ["token=x", "a=1&access_token=x", "token=", "token", "TOKEN=x", "%74oken=x", "a=1&Access_Token"]
)
def test_a_token_in_the_url_is_400_and_not_repeated(query: str) -> None:
    refused = check_upgrade(request(f"GET /chat/ws?{query} HTTP/1.1"))
    assert refused is not None
    assert refused.status == 400


@pytest.mark.parametrize("query", ["", "a=token", "tokens=1", "x=access_token"])
def test_another_query_is_no_fault(query: str) -> None:
    assert check_upgrade(request(f"GET /chat/ws?{query} HTTP/1.1")) is None


def test_the_acceptance_is_that_of_the_rfc() -> None:
    lines = accept_response(request()).decode().split("\r\n")
    assert lines[0] == "HTTP/1.1 101 Switching Protocols"
    assert "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in lines
    assert lines[-2:] == ["", ""]
    assert not any(line.startswith(("Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions")) for line in lines)


@pytest.mark.parametrize("offered", ["trimaran.v1", "chat, trimaran.v1", "trimaran.v1,other"])
def test_the_subprotocol_is_chosen_when_offered(offered: str) -> None:
    response = accept_response(request(**{"Sec-WebSocket-Protocol": offered}))
    assert b"\r\nSec-WebSocket-Protocol: trimaran.v1\r\n" in response


@pytest.mark.parametrize("offered", ["trimaran.v2", "trimaran", "trimaran.v1.1", ""])
def test_another_subprotocol_is_not_chosen(offered: str) -> None:
    assert b"Sec-WebSocket-Protocol" not in accept_response(request(**{"Sec-WebSocket-Protocol": offered}))


def test_an_extension_is_never_agreed_to() -> None:
    response = accept_response(request(**{"Sec-WebSocket-Extensions": "permessage-deflate"}))
    assert b"Extensions" not in response


# ---- origins


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        (None, "good.test"),
        (None, None),
        ("https://good.test", "good.test"),
        ("http://good.test:8080", "good.test:8080"),
        ("HTTPS://Good.Test", "good.TEST"),
        ("http://[::1]:8080", "[::1]:8080"),
        ("https://listed.test", "good.test"),
    ],
)
def test_a_page_of_this_host_or_of_the_list_may_connect(origin: str | None, host: str | None) -> None:
    assert origin_allowed(origin, host, frozenset({"https://listed.test"}))


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "https://evil.test",
        "https://good.test.evil.test",
        "https://good.test@evil.test",
        "https://evil.test#good.test",
        "https://evil.test/good.test",
        "https://evil.test?good.test",
        "https://evil.test\\good.test",
        "https://good.test:8443",
        "https://good.test:443",
        "https://good.test/",
        "https://good.test.",
        "https://good.test https://evil.test",
        "ftp://good.test",
        "file://",
        "good.test",
        "//good.test",
        "http://listed.test",
        "https://listed.test:444",
    ],
)
def test_a_foreign_page_may_not_connect(origin: str) -> None:
    assert not origin_allowed(origin, "good.test", frozenset({"https://listed.test"}))


def test_without_a_host_no_page_may_connect() -> None:
    assert not origin_allowed("https://good.test", None)


# ---- refusals


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 408, 426, 431, 500, 503, 505])
def test_a_refusal_is_a_whole_response_with_a_problem_detail(status: int) -> None:
    response = refusal_response(Refused(status, "because", "unavailable", retry_after_s=7))
    start, _, rest = response.partition(b"\r\n")
    headers, _, body = rest.partition(HEAD_END)
    lines = headers.split(b"\r\n")
    assert start.startswith(b"HTTP/1.1 %d " % status)
    assert b"Connection: close" in lines
    assert b"Content-Type: application/problem+json" in lines
    assert b"Retry-After: 7" in lines
    assert b"Content-Length: %d" % len(body) in lines
    problem = json.loads(body)
    assert problem["status"] == status
    assert problem["detail"] == "because"
    assert problem["code"] == "unavailable"
