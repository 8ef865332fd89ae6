"""Malformed requests: an answer of 4xx or none, never of 5xx, and the process serves on."""

import re
import socket

import pytest

from tests.security.peer import Peer, upgrade
from tests.security.web import connect, exchange, read_to_end
from tests.security.world import Person, Target

HEALTH = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
LOGIN = "POST /user-service/auth/login HTTP/1.1\r\nHost: localhost\r\n"
UPGRADE = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
CHUNKED = "Transfer-Encoding: chunked\r\n"

MALFORMED: dict[str, str | bytes] = {
    "an upgrade with a chunked body": f"{HEALTH}{UPGRADE}{CHUNKED}\r\n5\r\nhello\r\n0\r\n\r\n",
    "an upgrade with a chunked body by POST": f"{LOGIN}{UPGRADE}{CHUNKED}\r\n5\r\nhello\r\n0\r\n\r\n",
    "an upgrade with a chunked body, of the WebSocket": (
        f"GET /chat/ws HTTP/1.1\r\nHost: localhost\r\n{UPGRADE}{CHUNKED}\r\n5\r\nhello\r\n0\r\n\r\n"
    ),
    "an upgrade with a body": f"{HEALTH}{UPGRADE}Content-Length: 5\r\n\r\nhello",
    "an upgrade alone": f"{HEALTH}{UPGRADE}\r\n",
    "an upgrade to h2c": f"{HEALTH}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9),
    "HTTP/2 by its version": "GET /healthz HTTP/2.0\r\nHost: localhost\r\n\r\n",
    "HTTP/0.9": "GET /healthz\r\n\r\n",
    "HTTP/1.2": "GET /healthz HTTP/1.2\r\nHost: localhost\r\n\r\n",
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(64)) + b"\r\n\r\n",
    "no host": "GET /healthz HTTP/1.1\r\n\r\n",
    "two hosts": f"{HEALTH}Host: evil.test\r\n\r\n",
    "both lengths": f"{LOGIN}Content-Length: 4\r\n{CHUNKED}\r\n0\r\n\r\n",
    "two lengths": f"{LOGIN}Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
    "a negative length": f"{LOGIN}Content-Length: -1\r\n\r\n",
    "a length that is no number": f"{LOGIN}Content-Length: 1e3\r\n\r\n",
    "a length of other digits": f"{LOGIN}Content-Length: ".encode() + "٤".encode() + b"\r\n\r\nabcd",
    "a length beyond all": f"{LOGIN}Content-Length: {10**30}\r\n\r\n",
    "an unknown encoding": f"{LOGIN}Transfer-Encoding: gzip\r\n\r\nabc",
    "an encoding twice": f"{LOGIN}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "an encoding with a vertical tab": f"{LOGIN}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "a chunk size that is no number": f"{LOGIN}{CHUNKED}\r\nxyz\r\nabc\r\n0\r\n\r\n",
    "a negative chunk size": f"{LOGIN}{CHUNKED}\r\n-1\r\nabc\r\n0\r\n\r\n",
    "a chunk size beyond all": f"{LOGIN}{CHUNKED}\r\n{'f' * 40}\r\nabc\r\n0\r\n\r\n",
    "a chunk longer than it says": f"{LOGIN}{CHUNKED}\r\n1\r\nabc\r\n0\r\n\r\n",
    "a chunk extension without end": f"{LOGIN}{CHUNKED}\r\n1;{'x' * 30_000}",
    "a trailer without end": f"{LOGIN}{CHUNKED}\r\n0\r\n{'X: 1' * 10_000}",
    "a header without a colon": f"{HEALTH}nonsense\r\n\r\n",
    "a header without a name": f"{HEALTH}: value\r\n\r\n",
    "a space before the colon": f"{HEALTH}Content-Length : 4\r\n\r\nabcd",
    "a folded header": f"{HEALTH}X-A: 1\r\n  2\r\n\r\n",
    "a NUL in a header": f"{HEALTH}X-A: a\0b\r\n\r\n",
    "a bare carriage return": f"{HEALTH}X-A: a\rX-B: b\r\n\r\n",
    "a bare line feed": f"{HEALTH}X-A: a\nX-B: b\r\n\r\n",
    "a header of other letters": f"{HEALTH}X-Ä: a\r\n\r\n".encode("latin-1"),
    "a thousand headers": HEALTH + "".join(f"X-{number}: {number}\r\n" for number in range(3_000)) + "\r\n",
    "a long header": f"{HEALTH}X-A: {'a' * 60_000}\r\n\r\n",
    "a long target": f"GET /{'a' * 60_000} HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a target with a space": "GET /health z HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a target of other letters": "GET /ä HTTP/1.1\r\nHost: localhost\r\n\r\n".encode("latin-1"),
    "an asterisk": "GET * HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "CONNECT": "CONNECT evil.test:443 HTTP/1.1\r\nHost: evil.test\r\n\r\n",
    "TRACE": "TRACE / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "an unknown method": "BREW /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a method in small letters": "get /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a broken percent encoding": "GET /%zz%c0%af HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a NUL in the path": "GET /user-service/users/%00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a path upwards": "GET /../../../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a path upwards, encoded": "GET /%2e%2e/%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a path upwards, from a file": "GET /js/..%2f..%2f..%2fetc%2fpasswd HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "two slashes": "GET //evil.test/%2f.. HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a body of 1 MiB that nobody wants": f"{LOGIN}Content-Length: 10000000\r\n\r\n{'x' * 1_000_000}",
    "an expectation": f"{LOGIN}Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{{}}",
    "an unknown expectation": f"{LOGIN}Expect: a miracle\r\nContent-Length: 2\r\n\r\n{{}}",
    "a body with GET": f"{HEALTH}Content-Length: 5\r\n\r\nhello",
    "random letters": b"\xff\xfe\xfd" * 100 + b"\r\n\r\n",
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_a_malformed_request_gets_no_5xx_and_the_process_serves_on(target: Target, somebody: Person, kind: str) -> None:
    sent = MALFORMED[kind]
    with somebody.open() as other, connect(target.port) as sock:
        try:
            sock.sendall(sent if isinstance(sent, bytes) else sent.encode("latin-1"))
            sock.shutdown(socket.SHUT_WR)
            answer = read_to_end(sock)
        except (ConnectionResetError, BrokenPipeError):
            answer = b""
        statuses = _statuses(answer)
        # What is not spoken here has its own codes: a transfer coding (RFC 9112, section 6.1) and a version.
        assert all(100 <= status < 500 or status in (501, 505) for status in statuses), answer
        assert b"root:" not in answer
        assert b"Traceback" not in answer
        assert b"evil.test" not in answer
        other.ping()
    target.lives()


def _statuses(answer: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]


HIDDEN = "GET /user-service/.well-known/jwks.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    "headers",
    [
        f"Content-Length: 5\r\n{CHUNKED}",
        f"{CHUNKED}Content-Length: 5\r\n",
        "Transfer-Encoding : chunked\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 0\r\n",
    ],
)
def test_a_request_that_two_servers_read_in_two_ways_is_the_last_of_its_connection(
    target: Target, headers: str
) -> None:
    # RFC 9112, section 6.1: whoever sends both lengths is answered, at most once, and the connection ends.
    answer = exchange(target.port, f"{LOGIN}{headers}\r\n0\r\n\r\n{HIDDEN}".encode())
    assert b'"keys"' not in answer
    assert _statuses(answer) in ([400], [501])


def test_requests_in_a_row_are_answered_in_order(target: Target) -> None:
    answer = exchange(
        target.port,
        f"{HEALTH}\r\n{HEALTH}\r\nGET /nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode(),
    )
    assert _statuses(answer) == [200, 200, 404]


def test_an_upgrade_elsewhere_than_for_the_chat_opens_no_websocket(target: Target) -> None:
    for path in ("/", "/healthz", "/user-service/users/me", "/chat/ws/", "/chat//ws", "/CHAT/WS", "/chat/%77s"):
        answer = exchange(target.port, upgrade(path, {"Connection": "Upgrade, close"}))
        assert b" 101 " not in answer.split(b"\r\n")[0], path


def test_data_behind_the_handshake_is_taken_as_frames(target: Target) -> None:
    with connect(target.port) as sock:
        sock.sendall(upgrade() + b"GET / HTTP/1.1\r\n\r\n")
        assert b"\x88" in read_to_end(sock).partition(b"\r\n\r\n")[2]


# ---- what every answer has


PROBLEMS = {
    "no such page": ("GET", "/nothing", 404),
    "no such service": ("GET", "/media-service/", 404),
    "a wrong method": ("DELETE", "/healthz", 405),
    "no token": ("GET", "/user-service/users/me", 401),
    "a slash too many": ("GET", "/user-service/users/me/", 404),
    "two slashes": ("GET", "/user-service//users/me", 404),
    "no body": ("POST", "/user-service/auth/login", 400),
}


@pytest.mark.parametrize("kind", PROBLEMS)
def test_an_error_is_a_problem_detail_that_shows_nothing_of_the_inside(target: Target, kind: str) -> None:
    method, path, status = PROBLEMS[kind]
    answer = target.rest(method, path)
    assert (answer.status, answer.problem["status"]) == (status, status)
    for inside in (b"Traceback", b".py", b"quart", b"hypercorn", b"sqlite", b"/work", b"python"):
        assert inside not in answer.body.lower()
    if status == 401:
        assert answer.headers["www-authenticate"].startswith("Bearer")
    if status == 405:
        assert "GET" in answer.headers["allow"]


@pytest.mark.parametrize(
    "path", ["/", "/healthz", "/nothing", "/user-service/users/me", "/user-service/.well-known/jwks.json"]
)
def test_every_answer_tells_browsers_to_be_careful(target: Target, path: str) -> None:
    headers = target.rest("GET", path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "server" not in headers
    assert "x-powered-by" not in headers
    assert "access-control-allow-origin" not in headers
    assert "set-cookie" not in headers


def test_no_other_origin_is_let_in_by_cors(target: Target) -> None:
    headers = {"Origin": "https://evil.test", "Access-Control-Request-Method": "POST"}
    for method in ("OPTIONS", "GET", "POST"):
        answer = target.rest(method, "/user-service/users/me", headers=headers)
        assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize(
    "name", ["X-User-Id", "X-User", "X-Forwarded-User", "X-Device-Id", "X-Real-IP", "X-Forwarded-For"]
)
def test_a_header_that_names_a_user_proves_nothing(target: Target, name: str) -> None:
    ann, bob = target.people("Ann", "Bob")
    assert target.rest("GET", "/user-service/users/me", headers={name: ann.id}).status == 401
    answer = bob.rest("GET", "/user-service/users/me", headers={name: ann.id})
    assert answer.json["id"] == bob.id


@pytest.mark.parametrize("host", ['evil.test"', "evil.test; script-src *", "a b", "<b>", "x'unsafe-inline'"])
def test_a_host_cannot_change_the_content_security_policy(target: Target, host: str) -> None:
    answer = exchange(target.port, f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    head = answer.partition(b"\r\n\r\n")[0].lower()
    assert b"unsafe-inline" not in head
    assert b"evil.test" not in head
    assert b"script-src *" not in head


def test_operators_pages_are_for_operators(target: Target) -> None:
    assert target.register().rest("GET", "/chat-service/statistics").problem["code"] == "forbidden"
    assert target.rest("GET", "/chat-service/statistics").problem["code"] == "unauthenticated"


def test_a_crowd_of_http_connections_is_bounded_and_leaves_the_chat_alone(target: Target) -> None:
    person = target.register()
    sockets = []
    with person.open() as chatting:
        try:
            for _ in range(450):
                sockets.append(connect(target.port))
                sockets[-1].sendall(LOGIN.encode() + b"Content-Length: 10\r\n\r\n{")
            chatting.ping()
            with Peer(target.port) as another:
                another.hello(
                    target.rest("POST", "/user-service/auth/refresh", {"refresh_token": person.refresh_token}).json[
                        "access_token"
                    ]
                )
        finally:
            for sock in sockets:
                sock.close()
    target.lives()
