"""What a routes.py is written with: who calls, what was sent, how lists are paged."""

from urllib.parse import quote

import msgspec
import pytest
from quart import Blueprint, Response

from core.rules.names import OPEN, OPERATOR, READ, SIGNED_IN
from sidecars.ports.http import (
    Route,
    body,
    caller,
    cursor,
    make_cursor,
    no_content,
    query_int,
    query_text,
    reply,
    route,
    routes_of,
)
from tests.process.door import BEARER, DEVICE, USER, Served, World, serving

JSON = {**BEARER, "Content-Type": "application/json"}


class Inner(msgspec.Struct):
    seq: int


class Sent(msgspec.Struct):
    name: str
    inner: Inner | None = None
    many: list[Inner] = []
    body: msgspec.Raw = msgspec.Raw(b"{}")


def pages() -> Blueprint:
    """A service's routes."""
    blueprint = Blueprint("things", __name__, url_prefix="/thing-service")

    @route(blueprint, "GET", "/open", rule=OPEN)
    async def get_open() -> Response:
        return reply({"open": True})

    @route(blueprint, "GET", "/me", rule=SIGNED_IN)
    async def me() -> Response:
        return reply({"user": caller().user, "device": caller().device})

    @route(blueprint, "DELETE", "/me", rule=SIGNED_IN)
    @route(blueprint, "PUT", "/me", rule=SIGNED_IN)
    async def change() -> Response:
        return no_content()

    @route(blueprint, "GET", "/nodes", rule=OPERATOR)
    async def nodes() -> Response:
        return reply([])

    @route(blueprint, "POST", "/things", rule=SIGNED_IN)
    async def create() -> Response:
        return reply(await body(Sent), 201, {"Location": "/thing-service/things/1"})

    @route(blueprint, "GET", "/things/<thing>/parts", rule=READ)
    async def parts(thing: str) -> Response:
        after = cursor(int) or 0
        limit = query_int("limit", 2, 1, 100)
        listed = [f"{thing}-{number}" for number in range(after + 1, after + 1 + limit)]
        return reply({"parts": listed, "q": query_text("q", ""), "cursor": make_cursor(after + limit)})

    return blueprint


def problem(answer: object) -> tuple[int, str, str | None]:
    status, said = answer.status, answer.json  # type: ignore[attr-defined]
    assert answer.headers["Content-Type"] == "application/problem+json"  # type: ignore[attr-defined]
    assert said["status"] == status
    assert said["detail"]
    return status, said["code"], said.get("field")


# ---- rules


def test_every_route_of_an_application_names_its_rule() -> None:
    app = World(pages()).app
    routes = list(routes_of(app))
    assert Route("PUT", "/thing-service/me", SIGNED_IN) in routes
    assert Route("DELETE", "/thing-service/me", SIGNED_IN) in routes
    assert Route("GET", "/healthz", OPEN) in routes
    assert Route("GET", "/chat-service/statistics", OPERATOR) in routes
    assert all(found.rule is not None for found in routes)


def test_a_route_without_a_rule_is_found() -> None:
    blueprint = Blueprint("bare", __name__)

    @blueprint.get("/bare")
    async def bare() -> Response:
        return reply({})

    assert Route("GET", "/bare", None) in list(routes_of(World(blueprint).app))


# ---- who calls


async def test_a_good_token_says_who_calls() -> None:
    async with serving(World(pages())) as served:
        answer = await served.get("/thing-service/me", BEARER)
        assert answer.json == {"user": USER, "device": DEVICE}
        assert (await served.get("/thing-service/me", {"Authorization": "bearer  good"})).status == 200
        assert (await served.get("/thing-service/open")).json == {"open": True}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": "good"},
        {"Authorization": "Basic good"},
        {"Authorization": "Bearer bad"},
        {"Authorization": "Bearer good\r\nAuthorization: Bearer other"},
        {"Authorization": "Bearer " + "x" * 10_000},
        {"X-User-Id": USER, "Cookie": "token=good"},
    ],
)
async def test_without_a_good_token_nobody_gets_in(headers: dict[str, str]) -> None:
    async with serving(World(pages())) as served:
        for path in ("/thing-service/me", "/thing-service/things/1/parts", "/thing-service/nodes"):
            answer = await served.get(path, headers)
            assert problem(answer) == (401, "unauthenticated", None)
            assert answer.headers["Www-Authenticate"] == "Bearer"
        assert all(len(token) <= 4_096 for token in served.world.verifier.seen)


@pytest.mark.parametrize("name", ["token", "access_token", "refresh_token", "jwt", "authorization"])
async def test_a_token_in_the_url_is_refused_even_beside_a_good_one(name: str) -> None:
    async with serving(World(pages())) as served:
        for path in ("/thing-service/me", "/thing-service/open"):
            for headers in ({}, BEARER):
                assert problem(await served.get(f"{path}?{name}=good", headers))[0] == 401
        assert served.world.verifier.seen == []


async def test_a_device_that_was_logged_out_is_nobody() -> None:
    async with serving(World(pages())) as served:
        served.world.logged_out.add(DEVICE)
        assert problem(await served.get("/thing-service/me", BEARER)) == (401, "unauthenticated", None)


async def test_what_is_for_operators_is_for_nobody_else() -> None:
    async with serving(World(pages())) as served:
        for path in ("/thing-service/nodes", "/chat-service/statistics"):
            assert problem(await served.get(path, BEARER)) == (403, "forbidden", None)
            assert (await served.get(path, {"Authorization": "Bearer operator"})).status == 200


# ---- what was sent


async def create(served: Served, sent: bytes) -> tuple[int, str, str | None]:
    return problem(await served.post("/thing-service/things", sent, JSON))


async def test_a_body_becomes_the_struct_and_what_is_json_already_stays_as_it_is() -> None:
    async with serving(World(pages())) as served:
        answer = await served.post(
            "/thing-service/things", '{"unknown": 1, "name": "é", "body": {"b":1.0,  "a":"\\u00e9"}}'.encode(), JSON
        )
        assert answer.status == 201
        assert answer.headers["Location"] == "/thing-service/things/1"
        assert answer.headers["Content-Type"] == "application/json"
        assert b'"body":{"b":1.0,  "a":"\\u00e9"}' in answer.content


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        (b"{}", "name"),
        (b'{"name": null}', "name"),
        (b'{"name": 5}', "name"),
        (b'{"name": "a", "inner": {}}', "inner.seq"),
        (b'{"name": "a", "inner": {"seq": "9"}}', "inner.seq"),
        (b'{"name": "a", "inner": {"seq": 1.5}}', "inner.seq"),
        (b'{"name": "a", "inner": {"seq": ' + b"9" * 50_000 + b"}}", "inner.seq"),
        (b'{"name": "a", "many": [{"seq": 1}, {"seq": true}]}', "many[1].seq"),
        (b'{"name": "a", "many": {}}', "many"),
    ],
)
async def test_a_field_at_fault_is_named(sent: bytes, field: str) -> None:
    async with serving(World(pages())) as served:
        assert await create(served, sent) == (422, "bad_request", field)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"[]",
        b"null",
        b"name=a",
        b'{"name": "a"',
        b'{"name": "a"} trailing',
        b'\xef\xbb\xbf{"name": "a"}',
        b'{"name": "\\ud800"}',
        b'{"name": "a", "body": {"t": "\\udc00"}}',
        b'{"name": "a", "body": {"t": "\xff"}}',
        b'{"name": "a", "unknown": "\xed\xa0\x80"}',
        b'{"name": "a\\u0000"}',
        b'{"name": "a", "body": {"\\\\\\u0000": 1}}',
        b'{"name": "a\x00"}',
        b'{"name": "a", "inner": {"seq": NaN}}',
        b'{"name": "a", "unknown": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
        b'{"name": "a", "body": ' + b'{"a":' * 10_000 + b"1" + b"}" * 10_000 + b"}",
    ],
)
async def test_what_is_no_json_object_of_clean_text_is_a_bad_request(sent: bytes) -> None:
    async with serving(World(pages())) as served:
        assert await create(served, sent) == (400, "bad_request", None)
        assert not served.world.metrics.errors


async def test_of_duplicate_keys_the_last_counts_and_a_spelled_out_escape_is_text() -> None:
    async with serving(World(pages())) as served:
        answer = await served.post("/thing-service/things", b'{"name": "a", "name": "\\\\u0000"}', JSON)
        assert answer.json["name"] == "\\u0000"


@pytest.mark.parametrize(
    "text", ["-1", "0", "101", "1000000000", "text", "", "1.5", "1e1", " 5", "+5", "٣", "9" * 4_000, "5&limit=6"]
)
async def test_a_number_of_the_query_out_of_bounds_is_named(text: str) -> None:
    async with serving(World(pages())) as served:
        path = f"/thing-service/things/1/parts?limit={quote(text, safe='&=')}"
        assert problem(await served.get(path, BEARER)) == (422, "bad_request", "limit")


async def test_text_of_the_query_is_text() -> None:
    async with serving(World(pages())) as served:
        for text in ("'; DROP TABLE users; --", "\u202e", "a" * 4_096):
            answer = await served.get(f"/thing-service/things/1/parts?q={quote(text)}", BEARER)
            assert answer.json["q"] == text
        for raw in ("a%00", "a" * 4_097):
            assert problem(await served.get(f"/thing-service/things/1/parts?q={raw}", BEARER))[2] == "q"
        assert (await served.get("/thing-service/things/1/parts?q=%ff%ed%a0%80", BEARER)).status == 200


# ---- lists in pages


async def test_a_cursor_leads_on_from_where_the_page_ended() -> None:
    async with serving(World(pages())) as served:
        first = (await served.get("/thing-service/things/7/parts", BEARER)).json
        second = (await served.get(f"/thing-service/things/7/parts?cursor={first['cursor']}", BEARER)).json
        assert (first["parts"], second["parts"]) == (["7-1", "7-2"], ["7-3", "7-4"])


async def test_a_cursor_is_good_for_its_list_and_its_caller_alone() -> None:
    async with serving(World(pages())) as served:
        given = (await served.get("/thing-service/things/7/parts", BEARER)).json["cursor"]
        other = {"Authorization": "Bearer other"}
        assert problem(await served.get(f"/thing-service/things/8/parts?cursor={given}", BEARER))[2] == "cursor"
        assert problem(await served.get(f"/thing-service/things/7/parts?cursor={given}", other))[2] == "cursor"


async def test_a_cursor_that_was_altered_is_refused() -> None:
    async with serving(World(pages())) as served:
        given = (await served.get("/thing-service/things/7/parts", BEARER)).json["cursor"]
        altered = [given[:-1], given + "AAAA", given[1:], "x", "2", "%ff", "é", "A" * 5_000, given[:-2] + "zz"]
        altered += [
            given[:position] + ("A" if given[position] != "A" else "B") + given[position + 1 :]
            for position in range(10)
        ]
        for text in altered:
            answer = await served.get(f"/thing-service/things/7/parts?cursor={quote(text, safe='%')}", BEARER)
            assert problem(answer) == (422, "bad_request", "cursor"), text
