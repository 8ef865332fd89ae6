"""Access tokens that only look right, and refresh tokens that come twice."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.security.peer import Peer
from tests.security.tokens import ABSENT, Forger
from tests.security.web import at_once, raw_post
from tests.security.world import Person, Target

NOW_S = int(time.time())
SQL = "' UNION SELECT 'key' --"

CLAIMS: dict[str, dict[str, Any]] = {
    "another issuer": {"iss": "evil"},
    "no issuer": {"iss": ABSENT},
    "a list of issuers": {"iss": ["trimaran"]},
    "another audience": {"aud": "other"},
    "no audience": {"aud": ABSENT},
    "a list of audiences": {"aud": ["other", "trimaran"]},
    "no end": {"exp": ABSENT},
    "an end of text": {"exp": str(NOW_S + 600)},
    "an end that is null": {"exp": None},
    "an end that is a fraction": {"exp": NOW_S + 600.5},
    "an end that is a list": {"exp": [NOW_S + 600]},
    "an end in the past": {"exp": NOW_S - 1},
    "a negative end": {"exp": -1},
    "a start ahead": {"nbf": NOW_S + 600},
    "a start of text": {"nbf": "0"},
    "no subject": {"sub": ABSENT},
    "a subject that is no id": {"sub": "admin"},
    "a subject that is SQL": {"sub": SQL},
    "a subject that is a number": {"sub": 1},
    "a subject that does not exist": {"sub": "00000000-0000-7000-8000-000000000000"},
    "no device": {"device": ABSENT},
    "a device that does not exist": {"device": "00000000-0000-7000-8000-000000000000"},
    "a device that is SQL": {"device": SQL},
    "an operator by text": {"is_operator": "true"},
}

HEADERS: dict[str, dict[str, Any]] = {
    "another type": {"typ": "JWT"},
    "the type of a refresh token": {"typ": "rt+jwt"},
    "no type": {"typ": ABSENT},
    "no key id": {"kid": ABSENT},
    "an unknown key id": {"kid": "unknown"},
    "an empty key id": {"kid": ""},
    "a key id that is a path": {"kid": "../../../../dev/null"},
    "a key id that is an absolute path": {"kid": "/dev/null"},
    "a key id that is SQL": {"kid": SQL},
    "a key id with a NUL": {"kid": "\0"},
    "a URL of keys": {"jku": "http://127.0.0.1:{port}/keys.json"},
    "a URL of certificates": {"x5u": "http://127.0.0.1:{port}/key.pem"},
    "a certificate": {"x5c": ["MIIB"]},
    "a key": {"jwk": {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}},
    "a critical extension": {"crit": ["exp"]},
    "an unencoded payload": {"b64": False, "crit": ["b64"]},
    "a compressed payload": {"zip": "DEF"},
    "a type of content": {"cty": "JWT"},
}

OTHERS: dict[str, Callable[[Forger], str]] = {
    "HS256 with the public key": Forger.by_public_key,
    "another's signature": Forger.by_another_key,
    "no algorithm": lambda forger: forger.unsigned("none"),
    "no signature": lambda forger: forger.unsigned("EdDSA"),
    "a refresh token": lambda forger: forger.person.refresh_token,
    "white space inside": lambda forger: forger.token().replace(".", ". ", 1),
    "a fourth part": lambda forger: forger.token() + ".AAAA",
    "padding": lambda forger: forger.token() + "==",
    "standard base64": lambda forger: forger.token().replace("-", "+").replace("_", "/") + "+",
}


@pytest.fixture(scope="module")
def forger(target: Target) -> Forger:
    """For a user of a device that is logged in: all that is asked for would be allowed with a good token."""
    return Forger(target.register())


def test_a_token_that_is_made_as_the_server_makes_it_is_good(forger: Forger) -> None:
    # Else the refusals below would prove nothing.
    assert _answers(forger.person, forger.token()) == (200, None)
    assert _answers(forger.person, forger.token({"nbf": NOW_S - 10, "extra": "x"})) == (200, None)


@pytest.mark.parametrize("kind", CLAIMS)
def test_a_token_with_a_wrong_claim_is_refused(forger: Forger, kind: str) -> None:
    _check_refused(forger.person, forger.token(CLAIMS[kind]), is_expired="past" in kind or "negative" in kind)


@pytest.mark.parametrize("kind", HEADERS)
def test_a_token_with_a_wrong_header_is_refused_and_nothing_is_fetched(forger: Forger, kind: str) -> None:
    with nobody_calls() as port:
        header = {
            name: value.replace("{port}", str(port)) if isinstance(value, str) else value
            for name, value in HEADERS[kind].items()
        }
        for token in (forger.token(header=header), forger.by_another_key(header)):
            _check_refused(forger.person, token)


@pytest.mark.parametrize("kind", OTHERS)
def test_a_token_that_is_not_the_servers_is_refused(forger: Forger, kind: str) -> None:
    _check_refused(forger.person, OTHERS[kind](forger))


def test_a_users_token_makes_no_operator(forger: Forger) -> None:
    answer = forger.person.rest("GET", "/chat-service/statistics")
    assert answer.problem["code"] == "forbidden"


def test_the_same_device_of_another_user_is_refused(target: Target, forger: Forger) -> None:
    other = target.register()
    _check_refused(forger.person, forger.token({"sub": other.id}))


def _answers(person: Person, token: str) -> tuple[int, int | None]:
    """The status of a REST call, and the code that a connection is closed with after hello."""
    status = person.target.rest("GET", "/user-service/users/me", token=token).status
    with Peer(person.target.port) as peer:
        peer.send("hello", token=token)
        if peer.read()["type"] == "welcome":
            return status, None
        return status, peer.close_code()


def _check_refused(person: Person, token: str, *, is_expired: bool = False) -> None:
    status, code = _answers(person, token)
    assert status == 401
    assert code in ((4003,) if is_expired else (4500, 4502))


@contextmanager
def nobody_calls() -> Iterator[int]:
    """A port that listens; who connects to it fails the test."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


# ---- refresh tokens

REFRESH = "/user-service/auth/refresh"


def _refresh(target: Target, token: object) -> Any:
    answer = target.rest("POST", REFRESH, {"refresh_token": token})
    if answer.status == 200:
        target.secrets |= {answer.json["refresh_token"], answer.json["access_token"]}
    return answer


def test_a_refresh_token_that_comes_after_its_successor_ends_the_whole_family(target: Target) -> None:
    person = target.register()
    second = _refresh(target, person.refresh_token).json
    third = _refresh(target, second["refresh_token"]).json
    assert _refresh(target, person.refresh_token).problem["code"] == "unauthenticated"
    for token in (third["refresh_token"], second["refresh_token"]):
        assert _refresh(target, token).problem["code"] == "unauthenticated"
    for token in (person.token, third["access_token"]):
        assert target.rest("GET", "/user-service/users/me", token=token).problem["code"] == "unauthenticated"


def test_the_end_of_a_family_is_not_that_of_others(target: Target) -> None:
    person = target.register()
    other = person.log_in_again()
    second = _refresh(target, person.refresh_token).json
    _refresh(target, second["refresh_token"])
    assert _refresh(target, person.refresh_token).status == 401
    assert _refresh(target, other.refresh_token).status == 200


def test_two_refreshes_at_one_instant_make_one_chain(target: Target) -> None:
    person = target.register()
    answers = at_once(target.port, [raw_post(REFRESH, {"refresh_token": person.refresh_token})] * 8)
    assert {answer.status for answer in answers} <= {200, 503}
    chains = {answer.json["refresh_token"] for answer in answers if answer.status == 200}
    target.secrets |= chains
    assert len(chains) == 1
    assert _refresh(target, chains.pop()).status == 200


def test_a_lost_reply_may_be_asked_for_again_and_is_the_same(target: Target) -> None:
    person = target.register()
    first, again = (_refresh(target, person.refresh_token).json["refresh_token"] for _ in range(2))
    assert first == again
    assert _refresh(target, first).status == 200


def test_refresh_tokens_are_stored_hashed(target: Target) -> None:
    person = target.register()
    newest = _refresh(target, person.refresh_token).json["refresh_token"]
    stored = target.stored_bytes()
    for part in (*person.refresh_token.split("."), *newest.split(".")):
        assert part.encode() not in stored
        assert bytes.fromhex(part) not in stored


def test_after_logout_a_refresh_token_is_worth_nothing(target: Target) -> None:
    person = target.register()
    assert person.rest("POST", "/user-service/auth/logout").status == 204
    assert _refresh(target, person.refresh_token).problem["code"] == "unauthenticated"


NO_REFRESH_TOKENS: dict[str, Callable[[Person], str]] = {
    "empty": lambda person: "",
    "an access token": lambda person: person.token,
    "cut": lambda person: person.refresh_token[:-1],
    "in capitals": lambda person: person.refresh_token.upper(),
    "with another secret": lambda person: person.refresh_token[:-4] + "0000",
    "the family alone": lambda person: person.refresh_token.partition(".")[0],
    "SQL": lambda person: SQL,
    "60 KiB": lambda person: "a" * 60_000,
    "with a line end": lambda person: person.refresh_token + "\n",
    "other letters": lambda person: "é" * 64 + "." + "é" * 64,
}


@pytest.mark.parametrize("kind", NO_REFRESH_TOKENS)
def test_what_is_no_refresh_token_is_refused(target: Target, kind: str) -> None:
    answer = _refresh(target, NO_REFRESH_TOKENS[kind](target.register()))
    assert answer.problem["code"] == "unauthenticated"


def test_a_stranger_cannot_end_a_family_without_knowing_it(target: Target) -> None:
    person = target.register()
    for token in ("0" * 64 + "." + "0" * 64, "0" * 64 + "." + person.refresh_token.partition(".")[2]):
        assert _refresh(target, token).status == 401
    assert _refresh(target, person.refresh_token).status == 200
