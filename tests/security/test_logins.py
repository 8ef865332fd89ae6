"""Logging in and registering: who tries to guess learns nothing, and who is one of many makes one account."""

import sqlite3
from collections.abc import Iterator

import pytest

from tests.security.web import at_once, raw_post
from tests.security.world import PASSWORD, UNLIMITED, Target, attacked, new_id

LOGIN = "/user-service/auth/login"
REGISTER = "/user-service/auth/register"
WRONG = "wrong horse 1"


@pytest.fixture(scope="module")
def dear(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """Passwords cost what they cost in earnest; nobody is counted."""
    settings = UNLIMITED | {"TRIMARAN_PASSWORD_COST": "argon2", "TRIMARAN_LIMIT_LOGIN_FAILURES": "0"}
    with attacked(tmp_path_factory.mktemp("dear"), settings) as found:
        yield found


# ---- guessing


def test_an_unknown_address_and_a_wrong_password_are_answered_the_same(target: Target) -> None:
    person = target.register()
    answers = [
        target.rest("POST", LOGIN, {"email": email, "password": WRONG})
        for email in (person.email, f"{new_id()}@people.test")
    ]
    for answer in answers:
        assert answer.problem["code"] == "unauthenticated"
    known, unknown = ({**answer.headers, "date": ""} for answer in answers)
    assert (answers[0].status, answers[0].body, known) == (answers[1].status, answers[1].body, unknown)


def test_an_unknown_address_and_a_wrong_password_cost_the_same(dear: Target) -> None:
    person = dear.register()
    spent = []
    for email in (person.email, f"{new_id()}@people.test"):
        before = dear.cpu_ticks()
        for _ in range(10):
            assert dear.rest("POST", LOGIN, {"email": email, "password": WRONG}).status == 401
        spent.append(dear.cpu_ticks() - before)
    assert min(spent) * 2 + 10 > max(spent)
    assert min(spent) >= 10  # a hundredth of a second each, at least: there is a hash in both


def test_after_ten_wrong_passwords_the_owner_still_gets_in_from_elsewhere(target: Target) -> None:
    person, other = target.register(), target.register()
    wrong = {"email": person.email, "password": WRONG}
    for _ in range(10):
        assert target.rest("POST", LOGIN, wrong).status == 401
    right = {"email": person.email, "password": PASSWORD}
    for headers in (
        {},
        {"X-Forwarded-For": "203.0.113.7"},
        {"X-Real-IP": "203.0.113.7"},
        {"Forwarded": "for=203.0.113.7"},
    ):
        for body in (wrong, right, {**wrong, "email": person.email.upper()}):
            answer = target.rest("POST", LOGIN, body, headers=headers)
            assert answer.problem["code"] == "rate_limited"
            assert 0 < int(answer.headers["retry-after"]) <= 900
    assert target.rest("POST", LOGIN, {"email": other.email, "password": PASSWORD}).status == 200
    assert target.rest("POST", LOGIN, right, source="127.0.3.1").status == 200


def test_ten_wrong_passwords_at_an_unknown_address_are_answered_as_at_a_known_one(target: Target) -> None:
    wrong = {"email": f"{new_id()}@people.test", "password": WRONG}
    statuses = [target.rest("POST", LOGIN, wrong).status for _ in range(11)]
    assert statuses == [401] * 10 + [429]


def test_guesses_at_once_are_counted_too(target: Target) -> None:
    wrong = {"email": target.register().email, "password": WRONG}
    statuses = [answer.status for answer in at_once(target.port, [raw_post(LOGIN, wrong)] * 40)]
    assert statuses.count(401) == 10
    assert statuses.count(429) == 30


def test_guesses_by_a_changing_of_the_password_are_counted_as_logins_are(target: Target) -> None:
    person = target.register()
    change = {"password": PASSWORD, "current_password": WRONG}
    statuses = [person.rest("PATCH", "/user-service/users/me", change).status for _ in range(11)]
    assert statuses == [403] * 10 + [429]


def test_registrations_and_logins_of_an_address_are_limited(limited: Target) -> None:
    statuses = []
    for number in range(21):
        wish = {"email": f"{new_id()}@people.test", "name": f"n{number}", "password": PASSWORD}
        statuses.append(limited.rest("POST", REGISTER, wish, source="127.0.4.1").status)
    assert statuses == [201] * 20 + [429]
    person = limited.register(source="127.0.4.2")
    right = {"email": person.email, "password": PASSWORD}
    statuses = [limited.rest("POST", LOGIN, right, source="127.0.4.3").status for _ in range(61)]
    assert statuses == [200] * 60 + [429]
    assert limited.rest("POST", LOGIN, right, source="127.0.4.4").status == 200


# ---- passwords


def test_passwords_are_kept_as_argon2id_of_the_stated_cost(dear: Target) -> None:
    dear.register()
    assert b"$argon2id$v=19$m=19456,t=2,p=1$" in dear.stored_bytes()
    assert PASSWORD.encode() not in dear.stored_bytes()


def test_a_crowd_of_logins_is_answered_or_told_to_come_again_and_the_chat_goes_on(dear: Target) -> None:
    person = dear.register()
    right = raw_post(LOGIN, {"email": person.email, "password": PASSWORD})
    with person.open() as peer:
        peer.ping()
        answers = at_once(dear.port, [right] * 300)
        peer.send("bye")
        assert peer.close_code() in (1000, 4502)  # so many logins may have ended this device
    statuses = {answer.status for answer in answers}
    assert statuses <= {200, 503}
    assert 200 in statuses
    assert 503 in statuses
    for answer in answers:
        if answer.status == 503:
            assert answer.problem["code"] == "unavailable"
        else:
            dear.secrets |= {answer.json["access_token"], answer.json["refresh_token"]}


def test_the_chat_answers_while_passwords_are_hashed(dear: Target) -> None:
    person = dear.register()
    wrong = raw_post(LOGIN, {"email": person.email, "password": WRONG})
    with person.open() as peer:
        for _ in range(3):
            assert {answer.status for answer in at_once(dear.port, [wrong] * 5)} == {401}
            peer.ping()


@pytest.mark.parametrize("path", [LOGIN, REGISTER])
def test_a_megabyte_of_password_is_refused_before_it_is_hashed(dear: Target, path: str) -> None:
    wish = {"email": f"{new_id()}@people.test", "name": "x", "password": "x" * 1_000_000}
    before = dear.cpu_ticks()
    for _ in range(5):
        answer = dear.rest("POST", path, wish)
        assert (answer.status, answer.problem["field"]) == (422, "password")
        assert len(answer.body) < 1_000
    assert dear.cpu_ticks() - before < 50
    assert dear.rest("POST", path, {**wish, "password": "x" * 2_000_000}).status == 413


def test_all_of_a_password_counts(target: Target) -> None:
    email = f"{new_id()}@people.test"
    long = "p" * 1_000 + "1"
    assert target.rest("POST", REGISTER, {"email": email, "name": "x", "password": long}).status == 201
    for guess in (long[:-1] + "2", long[:-1], long[:72], long + "x"):
        assert target.rest("POST", LOGIN, {"email": email, "password": guess}).status == 401
    assert target.rest("POST", LOGIN, {"email": email, "password": long}).status == 200


@pytest.mark.parametrize("password", ["pass\0word", "password\0"])
def test_a_password_with_a_nul_is_refused_and_not_cut(target: Target, password: str) -> None:
    answer = target.rest("POST", REGISTER, {"email": f"{new_id()}@people.test", "name": "x", "password": password})
    assert answer.status in (400, 422)


def test_a_password_is_the_same_however_its_letters_are_composed(target: Target) -> None:
    email = f"{new_id()}@people.test"
    composed, decomposed = "Zoe\u0308 caf\u00e9 1", "Zo\u00eb cafe\u0301 1"
    assert target.rest("POST", REGISTER, {"email": email, "name": "x", "password": composed}).status == 201
    assert target.rest("POST", LOGIN, {"email": email, "password": decomposed}).status == 200
    assert target.rest("POST", LOGIN, {"email": email, "password": "Zoe cafe 1"}).status == 401
    assert target.rest("POST", LOGIN, {"email": email, "password": composed + " "}).status == 401


# ---- registering


def test_one_address_that_registers_fifty_times_at_once_gets_one_account(target: Target) -> None:
    email = f"{new_id()}@people.test"
    spellings = [email, email.upper(), f" {email}", email.capitalize()]
    wishes = [{"email": spellings[n % 4], "name": "x", "password": PASSWORD} for n in range(50)]
    answers = at_once(target.port, [raw_post(REGISTER, wish) for wish in wishes])
    made = [answer for answer in answers if answer.status == 201]
    assert len(made) == 1
    target.secrets |= {made[0].json["access_token"], made[0].json["refresh_token"]}
    assert {answer.status for answer in answers} <= {201, 409, 503}
    assert target.rest("POST", LOGIN, {"email": email, "password": PASSWORD}).json["user"] == made[0].json["user"]
    with sqlite3.connect(f"file:{target.server.data_dir / 'trimaran.db'}?mode=ro", uri=True) as database:
        tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        users = next(table for table in tables if table in ("user", "users", "account", "accounts"))
        (count,) = database.execute(f"SELECT count(*) FROM {users} WHERE email_key = ?", (email,)).fetchone()
    database.close()
    assert count == 1


@pytest.mark.parametrize("name", ["Аnn", "Ann\u0430", "Αnn", "A\u03bfn"])
def test_a_name_that_mixes_letters_that_look_alike_is_refused(target: Target, name: str) -> None:
    answer = target.rest("POST", REGISTER, {"email": f"{new_id()}@people.test", "name": name, "password": PASSWORD})
    assert (answer.status, answer.problem["field"]) == (422, "name")


@pytest.mark.parametrize(
    "name", ["An\u200bn", "\u202eAnn", "Ann\ufeff", "A\u00adnn", "\u2066Ann\u2069", "  Ann  ", "Ann\ufe0f"]
)
def test_what_cannot_be_seen_is_not_kept_in_a_name(target: Target, name: str) -> None:
    assert target.register(name).name == "Ann"


@pytest.mark.parametrize("name", ["", " ", "\u200b", "\u3164", "x" * 65, "a\0b", "a\u001bb"])
def test_a_name_that_shows_nothing_or_too_much_is_refused(target: Target, name: str) -> None:
    wish = {"email": f"{new_id()}@people.test", "name": name, "password": PASSWORD}
    assert target.rest("POST", REGISTER, wish).status in (400, 422)


FORGED = {
    "id": "00000000-0000-7000-8000-000000000000",
    "is_admin": True,
    "is_operator": True,
    "is_disabled": True,
    "email_verified": True,
    "email": "other@people.test",
    "created_ms": 1,
    "password_hash": "x",
}


@pytest.mark.parametrize("field", FORGED)
def test_what_is_not_ones_own_to_change_is_ignored(target: Target, field: str) -> None:
    person = target.register()
    me = person.rest("GET", "/user-service/users/me").json
    assert person.rest("PATCH", "/user-service/users/me", {field: FORGED[field]}).status in (200, 422)
    assert person.rest("GET", "/user-service/users/me").json == me
    wish = {"email": f"{new_id()}@people.test", "name": "x", "password": PASSWORD}
    made = target.rest("POST", REGISTER, {field: FORGED[field], **wish}).json["user"]
    assert made["id"] != FORGED["id"]
    assert made["is_operator"] is False
    assert made["email"] == wish["email"]
