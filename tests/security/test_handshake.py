"""Opening a WebSocket: whose page it is, which token it shows, and what half of a handshake costs."""

from collections.abc import Callable

import pytest

from tests.security.peer import KEY, Peer, Refused, upgrade
from tests.security.tokens import Forger
from tests.security.web import exchange
from tests.security.world import Person, Target, attacked

FOREIGN = [
    "https://evil.test",
    "null",
    "",
    "https://good.test.evil.test",
    "https://good.test@evil.test",
    "https://evil.test#good.test",
    "https://evil.test/https://good.test",
    "https://evil.test\\good.test",
    "https://xgood.test",
    "https://sub.good.test",
    "https://good.test.",
    "https://good.test:444",
    "https://good.test:80",
    "http://good.test",
    "wss://good.test",
    "good.test",
    "//good.test",
    "https://good.test/",
    "https://good.test, https://evil.test",
    "https://good.test https://evil.test",
    "https://gооd.test".encode().decode("latin-1"),
    "file://",
    "chrome-extension://good.test",
    "data:text/html,x",
    "*",
]


@pytest.mark.parametrize("origin", FOREIGN)
def test_a_page_from_elsewhere_is_refused(target: Target, origin: str) -> None:
    with pytest.raises(Refused) as refused:
        Peer(target.port, headers={"Origin": origin})
    assert refused.value.status == 403


def test_a_page_of_the_same_host_on_another_port_is_refused(target: Target) -> None:
    for origin in (f"http://127.0.0.1:{target.port + 1}", "http://127.0.0.1", f"http://localhost:{target.port}"):
        with pytest.raises(Refused) as refused:
            Peer(target.port, headers={"Origin": origin})
        assert refused.value.status == 403


def test_one_of_two_origins_does_not_do(target: Target) -> None:
    twice = upgrade(headers={"Origin": "https://good.test\r\nOrigin: https://evil.test"})
    assert exchange(target.port, twice).startswith(b"HTTP/1.1 400 ")


def test_our_own_pages_those_of_allowed_origins_and_programs_may(target: Target) -> None:
    for headers in ({"Origin": f"http://127.0.0.1:{target.port}"}, {"Origin": "https://good.test"}, {}):
        with Peer(target.port, headers=headers) as peer:
            peer.hello(target.register().token)


BAD_TOKENS: dict[str, Callable[[Forger], str]] = {
    "empty": lambda forger: "",
    "cut": lambda forger: forger.person.token[:-1],
    "cut to its claims": lambda forger: forger.person.token.rpartition(".")[0],
    "longer": lambda forger: forger.person.token + "A",
    "altered header": lambda forger: "f" + forger.person.token[1:],
    "altered claims": lambda forger: _altered(forger.person.token, 1),
    "altered signature": lambda forger: _altered(forger.person.token, 2),
    "alg none": lambda forger: forger.unsigned("none"),
    "alg None": lambda forger: forger.unsigned("None"),
    "alg EdDSA, no signature": lambda forger: forger.unsigned("EdDSA"),
    "HS256 with the public key": lambda forger: forger.by_public_key(),
    "a stranger's key": lambda forger: forger.by_another_key(),
    "a refresh token": lambda forger: forger.person.refresh_token,
    "expired": lambda forger: forger.token({"exp": 1_000_000_000}),
    "two tokens": lambda forger: f"{forger.person.token},{forger.person.token}",
    "no token at all": lambda forger: "{}.{}.{}",
    "text of other alphabets": lambda forger: "т" * 40,
    "8 KiB": lambda forger: "A" * 8_192,
    "60 KiB": lambda forger: "A" * 60 * 1_024,
}


def _altered(token: str, part: int) -> str:
    parts = token.split(".")
    middle = len(parts[part]) // 2
    letter = "A" if parts[part][middle] != "A" else "B"
    parts[part] = parts[part][:middle] + letter + parts[part][middle + 1 :]
    return ".".join(parts)


@pytest.mark.parametrize("kind", BAD_TOKENS)
def test_a_bad_token_in_hello_is_told_so_and_ends_the_connection(target: Target, somebody: Person, kind: str) -> None:
    with Peer(target.port) as peer:
        peer.send("hello", id=7, token=BAD_TOKENS[kind](Forger(somebody)))
        error = peer.read()
        assert (error["type"], error["id"], error["code"]) == ("error", 7, "unauthenticated")
        assert peer.close_code() == (4003 if kind == "expired" else 4500)


def test_a_hello_without_a_token_is_told_so_and_ends_the_connection(target: Target) -> None:
    with Peer(target.port) as peer:
        peer.send("hello")
        assert peer.read()["code"] == "unauthenticated"
        assert peer.close_code() == 4500


@pytest.mark.parametrize("kind", [kind for kind in BAD_TOKENS if kind != "text of other alphabets"])
def test_a_bad_token_in_the_handshake_is_refused_there(target: Target, somebody: Person, kind: str) -> None:
    token = BAD_TOKENS[kind](Forger(somebody))
    with pytest.raises(Refused) as refused:
        Peer(target.port, headers={"Authorization": f"Bearer {token}"})
    assert refused.value.status == (431 if kind == "60 KiB" else 401)
    assert not token or token.encode() not in refused.value.response


@pytest.mark.parametrize("scheme", ["", "Basic", "Token", "bearer-"])
def test_another_scheme_than_bearer_is_refused(target: Target, scheme: str) -> None:
    with pytest.raises(Refused) as refused:
        Peer(target.port, headers={"Authorization": f"{scheme} {target.register().token}"})
    assert refused.value.status == 401


def test_a_token_of_64_kib_costs_no_memory_that_stays(target: Target) -> None:
    def attack() -> None:
        for _ in range(40):
            with pytest.raises(Refused):
                Peer(target.port, headers={"Authorization": f"Bearer {'A' * 64 * 1_024}"})
            with Peer(target.port) as peer:
                peer.send("hello", token="A" * 63 * 1_024)
                peer.end()

    attack()
    before_kib = target.resident_kib()
    attack()
    assert target.resident_kib() - before_kib < 8 * 1_024


IN_URL = ["token", "access_token", "Token", "%74oken", "a=1&token", "jwt", "bearer", "authorization", "refresh_token"]


@pytest.mark.parametrize("name", IN_URL)
def test_a_token_in_the_url_is_refused_and_not_repeated(target: Target, somebody: Person, name: str) -> None:
    token = somebody.token
    with pytest.raises(Refused) as refused:
        Peer(target.port, target=f"/chat/ws?{name}={token}")
    assert refused.value.status in (400, 401)
    assert token.encode() not in refused.value.response
    answer = target.rest("GET", f"/user-service/users/me?{name}={token}")
    assert answer.problem["code"] == "unauthenticated"
    assert token.encode() not in answer.body


@pytest.mark.parametrize("name", IN_URL)
def test_a_token_in_the_url_is_refused_although_there_is_a_good_one_in_the_header(target: Target, name: str) -> None:
    person = target.register()
    answer = person.rest("GET", f"/user-service/users/me?{name}={person.token}")
    assert answer.problem["code"] == "unauthenticated"


BROKEN_UPGRADES = {
    "no key": {"Sec-WebSocket-Key": ""},
    "a short key": {"Sec-WebSocket-Key": "c2hvcnQ="},
    "a key that is no base64": {"Sec-WebSocket-Key": "!" * 24},
    "two keys": {"Sec-WebSocket-Key": f"{KEY}\r\nSec-WebSocket-Key: {KEY}"},
    "an old version": {"Sec-WebSocket-Version": "8"},
    "a body": {"Content-Length": "5"},
    "a chunked body": {"Transfer-Encoding": "chunked"},
    "no upgrade": {"Upgrade": "h2c"},
    "no connection": {"Connection": "close"},
    "two hosts": {"Host": "localhost\r\nHost: evil.test"},
    "a host with a path": {"Host": "localhost/evil"},
    "a folded line": {"X-A": "1\r\n 2"},
    "a bare line feed": {"X-A": "1\nX-B: 2"},
    "a NUL": {"X-A": "1\0"},
    "white space before the colon": {"X-A ": "1"},
}


@pytest.mark.parametrize("kind", BROKEN_UPGRADES)
def test_a_broken_handshake_gets_a_client_error(target: Target, kind: str) -> None:
    answer = exchange(target.port, upgrade(headers=BROKEN_UPGRADES[kind]))
    assert answer[:10] == b"HTTP/1.1 4", answer
    assert b"application/problem+json" in answer
    target.lives()


def test_new_connections_above_the_rate_are_told_to_come_again(tmp_path_factory: pytest.TempPathFactory) -> None:
    settings = {"TRIMARAN_LIMIT_HANDSHAKES_PER_S": "1"}
    with attacked(tmp_path_factory.mktemp("crowded"), settings) as crowded:
        responses = [exchange_head(crowded, upgrade()) for _ in range(20)]
        refused = [response for response in responses if response.startswith(b"HTTP/1.1 503 ")]
        assert len(refused) >= 10
        assert all(b"\r\nRetry-After: " in response for response in refused)
        assert crowded.register().rest("GET", "/user-service/users/me").status == 200


def exchange_head(target: Target, sent: bytes) -> bytes:
    """The response of a handshake, whichever it is."""
    try:
        with Peer(target.port):
            return b""
    except Refused as refused:
        return refused.response
