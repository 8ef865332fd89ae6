"""REST of the user service, through the application that serves it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry
from quart import typing as quart_typing
from quart.testing.utils import sentinel

from core.base.limits import DEFAULTS, Limits
from core.base.metrics import Metrics
from sidecars.ports.http import Edge, routes_of
from sidecars.process.http import create_app
from sidecars.user.routes import routes
from tests.user.world import ACCESS_TOKEN_S, ELSEWHERE, HERE, PASSWORD, World, open_world

ANN = {"email": "ann@example.org", "name": "Ann", "password": PASSWORD, "device_name": "phone"}
BOB = {"email": "bob@example.org", "name": "Bob", "password": PASSWORD}
BASE = "/user-service"


@dataclass
class Answer:
    """A response, read."""

    status: int
    headers: Any
    body: Any


@dataclass
class Rest:
    """The service by its routes."""

    world: World
    client: quart_typing.TestClientProtocol

    async def __call__(
        self, method: str, path: str, body: object = None, *, token: str = "", address: str = HERE
    ) -> Answer:
        response = await self.client.open(
            BASE + path,
            method=method,
            data=body if isinstance(body, bytes) else None if body is None else msgspec.json.encode(body),
            json=sentinel,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            scope_base={"client": (address, 1)},
        )
        data: bytes = await response.get_data(as_text=False)
        return Answer(response.status_code, response.headers, msgspec.json.decode(data) if data else None)

    async def register(self, body: dict[str, str]) -> dict[str, Any]:
        answer = await self("POST", "/auth/register", body)
        assert answer.status == 201, answer
        found: dict[str, Any] = answer.body
        return found


@asynccontextmanager
async def open_rest(limits: Limits | None = None) -> AsyncIterator[Rest]:
    async with open_world(limits) as world:
        app = create_app(
            [routes(world.service)],
            edge=Edge(
                verifier=world.verifier,
                is_active=world.service.is_active,
                clock=world.clock,
                cursor_key=bytes(16),
            ),
            ids=world.ids,
            metrics=Metrics(),
            registry=CollectorRegistry(),
            is_ready=lambda: None,
            statistics=dict,
        )
        assert all(route.rule for route in routes_of(app))
        yield Rest(world, app.test_client())


def assert_problem(answer: Answer, status: int, code: str, field: str | None = None) -> None:
    assert (answer.status, answer.body["code"], answer.body.get("field")) == (status, code, field), answer.body
    assert answer.headers["Content-Type"] == "application/problem+json"
    if status in (429, 503):
        assert int(answer.headers["Retry-After"]) >= 1


async def test_registering_logging_in_and_refreshing_answer_alike() -> None:
    async with open_rest() as rest:
        registered = await rest("POST", "/auth/register", ANN)
        logged_in = await rest("POST", "/auth/login", {"email": "ANN@example.org", "password": PASSWORD})
        refreshed = await rest("POST", "/auth/refresh", {"refresh_token": registered.body["refresh_token"]})
        assert [answer.status for answer in (registered, logged_in, refreshed)] == [201, 200, 200]
        for answer in (registered, logged_in, refreshed):
            assert answer.body.keys() == {
                "user", "device", "access_token", "refresh_token", "token_type", "expires_in_s"
            }  # fmt: skip
            assert answer.body["user"] == registered.body["user"]
            assert (answer.body["token_type"], answer.body["expires_in_s"]) == ("Bearer", ACCESS_TOKEN_S)
            assert answer.headers["Cache-Control"] == "no-store"
            me = await rest("GET", "/users/me", token=answer.body["access_token"])
            assert me.body == answer.body["user"]
        assert registered.body["user"]["email"] == "ann@example.org"
        assert registered.body["device"] == refreshed.body["device"] != logged_in.body["device"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code", "field"),
    [
        ("POST", "/auth/register", b"", 400, "bad_request", None),
        ("POST", "/auth/register", b"{", 400, "bad_request", None),
        ("POST", "/auth/register", b"\xff", 400, "bad_request", None),
        ("POST", "/auth/register", b"[" * 50_000, 400, "bad_request", None),
        ("POST", "/auth/register", [], 400, "bad_request", None),
        ("POST", "/auth/register", {}, 422, "bad_request", "email"),
        ("POST", "/auth/register", ANN | {"email": 5}, 422, "bad_request", "email"),
        ("POST", "/auth/register", ANN | {"email": "ann"}, 422, "bad_request", "email"),
        ("POST", "/auth/register", ANN | {"name": None}, 422, "bad_request", "name"),
        ("POST", "/auth/register", ANN | {"name": " "}, 422, "bad_request", "name"),
        ("POST", "/auth/register", ANN | {"password": ["x"]}, 422, "bad_request", "password"),
        ("POST", "/auth/register", ANN | {"password": "short"}, 422, "bad_request", "password"),
        ("POST", "/auth/register", ANN | {"password": "x" * 1_000_000}, 422, "bad_request", "password"),
        ("POST", "/auth/register", ANN | {"password": "x" * 2_000_000}, 413, "too_large", None),
        ("POST", "/auth/register", ANN | {"device_name": "x" * 65}, 422, "bad_request", "device_name"),
        ("POST", "/auth/login", {"email": "ann@example.org"}, 422, "bad_request", "password"),
        ("POST", "/auth/login", ANN | {"password": "x" * 1_000_000}, 422, "bad_request", "password"),
        ("POST", "/auth/login", ANN | {"device": 7}, 422, "bad_request", "device"),
        ("POST", "/auth/login", ANN, 401, "unauthenticated", None),
        ("POST", "/auth/refresh", {}, 422, "bad_request", "refresh_token"),
        ("POST", "/auth/refresh", {"refresh_token": "x"}, 401, "unauthenticated", None),
        ("GET", "/users/me", None, 401, "unauthenticated", None),
        ("POST", "/auth/logout", None, 401, "unauthenticated", None),
        ("GET", "/auth/login", None, 405, "bad_request", None),
    ],
)
async def test_what_is_wrong_is_named(
    method: str, path: str, body: object, status: int, code: str, field: str | None
) -> None:
    async with open_rest() as rest:
        assert_problem(await rest(method, path, body), status, code, field)


async def test_a_second_account_of_an_address_is_a_conflict() -> None:
    async with open_rest() as rest:
        await rest.register(ANN)
        assert_problem(
            await rest("POST", "/auth/register", ANN | {"email": "Ann@Example.ORG"}), 409, "conflict", "email"
        )


async def test_ten_wrong_passwords_are_answered_with_when_to_come_again_and_the_owner_gets_in_elsewhere() -> None:
    async with open_rest(replace(DEFAULTS, login_failures=10)) as rest:
        await rest.register(ANN)
        wrong = ANN | {"password": "wrong password"}
        for _ in range(10):
            assert_problem(await rest("POST", "/auth/login", wrong), 401, "unauthenticated")
        answer = await rest("POST", "/auth/login", ANN)
        assert_problem(answer, 429, "rate_limited")
        assert answer.headers["Retry-After"] == "900"
        assert (await rest("POST", "/auth/login", ANN, address=ELSEWHERE)).status == 200


async def test_unknown_address_and_wrong_password_have_one_answer() -> None:
    async with open_rest() as rest:
        await rest.register(ANN)
        wrong = await rest("POST", "/auth/login", ANN | {"password": "wrong password"})
        unknown = await rest("POST", "/auth/login", BOB)
        assert wrong.body == unknown.body
        assert wrong.status == unknown.status == 401


async def test_after_logging_out_neither_token_is_worth_anything() -> None:
    async with open_rest() as rest:
        ann = await rest.register(ANN)
        assert (await rest("POST", "/auth/logout", token=ann["access_token"])).status == 204
        assert_problem(await rest("GET", "/users/me", token=ann["access_token"]), 401, "unauthenticated")
        assert_problem(
            await rest("POST", "/auth/refresh", {"refresh_token": ann["refresh_token"]}), 401, "unauthenticated"
        )


async def test_a_profile_changes_by_its_name_and_password_only() -> None:
    async with open_rest() as rest:
        ann = await rest.register(ANN)
        wish = {
            "name": " Anna ",
            "id": "x",
            "is_admin": True,
            "is_operator": True,
            "email_verified": True,
            "email": "x@y.z",
        }
        answer = await rest("PATCH", "/users/me", wish, token=ann["access_token"])
        assert (answer.status, answer.body) == (200, ann["user"] | {"name": "Anna"})
        for body, field in (({"name": 5}, "name"), ({"name": None}, "name"), ({"password": "short"}, "password")):
            assert_problem(await rest("PATCH", "/users/me", body, token=ann["access_token"]), 422, "bad_request", field)
        guess = {"password": "battery staple", "current_password": "wrong password"}
        assert_problem(
            await rest("PATCH", "/users/me", guess, token=ann["access_token"]), 403, "forbidden", "current_password"
        )
        change = guess | {"current_password": PASSWORD}
        assert (await rest("PATCH", "/users/me", change, token=ann["access_token"])).status == 200
        assert (await rest("PATCH", "/users/me", {}, token=ann["access_token"])).body["name"] == "Anna"
        assert_problem(await rest("POST", "/auth/login", ANN), 401, "unauthenticated")


async def test_of_others_id_and_name_are_shown() -> None:
    async with open_rest() as rest:
        ann, bob = await rest.register(ANN), await rest.register(BOB)
        token, ann_id, bob_id = ann["access_token"], ann["user"]["id"], bob["user"]["id"]
        card = {"id": bob_id, "name": "Bob"}
        assert (await rest("GET", f"/users/{bob_id}", token=token)).body == card
        missing = rest.world.ids.uuid7()
        answer = await rest("GET", f"/users?ids={bob_id},{missing},{ann_id},x", token=token)
        assert answer.body == {"users": [card, {"id": ann_id, "name": "Ann"}]}
        for text in ("bo", "BOB@example.org", "bob%40example.org"):
            assert (await rest("GET", f"/users?search={text}", token=token)).body == {"users": [card]}
        said = [await rest("GET", f"/users/{user}", token=token) for user in (missing, "x", "%00", "%27%20OR%201%3D1")]
        for answer in said:
            assert_problem(answer, 404, "not_found")
            assert answer.body == said[0].body


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "search"),
        ("?ids=" + ",".join(["x"] * 201), "ids"),
        ("?search=" + "x" * 300, "search"),
        ("?search=%00", "search"),
        ("?search=a&search=b", "search"),
    ],
)
async def test_a_wrong_query_names_the_parameter(query: str, field: str) -> None:
    async with open_rest() as rest:
        ann = await rest.register(ANN)
        assert_problem(await rest("GET", f"/users{query}", token=ann["access_token"]), 422, "bad_request", field)


async def test_devices_are_listed_and_removed() -> None:
    async with open_rest() as rest:
        ann, bob = await rest.register(ANN), await rest.register(BOB)
        rest.world.clock.advance(1.0)
        other = (await rest("POST", "/auth/login", ANN)).body
        token = other["access_token"]
        devices = (await rest("GET", "/users/me/devices", token=token)).body["devices"]
        assert [(one["id"], one["name"], one["is_current"]) for one in devices] == [
            (other["device"], "phone", True),
            (ann["device"], "phone", False),
        ]
        assert devices[0].keys() == {"id", "name", "created_ms", "last_used_ms", "is_current"}
        for foreign in (bob["device"], "x"):
            assert_problem(await rest("DELETE", f"/users/me/devices/{foreign}", token=token), 404, "not_found")
        assert (await rest("DELETE", f"/users/me/devices/{ann['device']}", token=token)).status == 204
        assert_problem(await rest("GET", "/users/me", token=ann["access_token"]), 401, "unauthenticated")
        assert rest.world.events.revoked == [(ann["user"]["id"], ann["device"])]


async def test_blocks_are_put_listed_and_deleted() -> None:
    async with open_rest() as rest:
        ann, bob = await rest.register(ANN), await rest.register(BOB)
        token, bob_id = ann["access_token"], bob["user"]["id"]
        for _ in range(2):
            assert (await rest("PUT", f"/users/me/blocks/{bob_id}", token=token)).status == 204
        assert (await rest("GET", "/users/me/blocks", token=token)).body == {"users": [{"id": bob_id, "name": "Bob"}]}
        for _ in range(2):
            assert (await rest("DELETE", f"/users/me/blocks/{bob_id}", token=token)).status == 204
        assert (await rest("GET", "/users/me/blocks", token=token)).body == {"users": []}
        assert_problem(await rest("PUT", "/users/me/blocks/x", token=token), 404, "not_found")
        assert_problem(
            await rest("PUT", f"/users/me/blocks/{ann['user']['id']}", token=token), 422, "bad_request", "user"
        )


async def test_privacy_is_read_and_put() -> None:
    async with open_rest() as rest:
        token = (await rest.register(ANN))["access_token"]
        path = "/users/me/privacy"
        assert (await rest("GET", path, token=token)).body == {"last_seen": "contacts", "read_receipts": True}
        wish = {"last_seen": "nobody", "read_receipts": False}
        assert (await rest("PUT", path, wish, token=token)).body == wish
        assert (await rest("GET", path, token=token)).body == wish
        for body, field in (
            ({"last_seen": "friends", "read_receipts": True}, "last_seen"),
            ({"last_seen": "nobody", "read_receipts": "no"}, "read_receipts"),
            ({"last_seen": "nobody"}, "read_receipts"),
        ):
            assert_problem(await rest("PUT", path, body, token=token), 422, "bad_request", field)


async def test_an_account_is_exported_and_deleted() -> None:
    async with open_rest() as rest:
        ann = await rest.register(ANN)
        token = ann["access_token"]
        export = await rest("GET", "/users/me/export", token=token)
        assert export.body["user"] == ann["user"]
        assert export.body.keys() == {"user", "privacy", "devices", "blocks"}
        assert not any(secret in repr(export.body) for secret in ("argon2", "hash", "nonce"))
        assert (await rest("DELETE", "/users/me", token=token)).status == 204
        assert_problem(await rest("GET", "/users/me", token=token), 401, "unauthenticated")
        assert_problem(await rest("POST", "/auth/login", ANN), 401, "unauthenticated")
        await rest.register(ANN)


async def test_the_keys_are_open_to_all() -> None:
    async with open_rest() as rest:
        answer = await rest("GET", "/.well-known/jwks.json")
        assert answer.status == 200
        assert [key["kid"] for key in answer.body["keys"]] == [rest.world.service.jwks()["keys"][0]["kid"]]


async def test_no_secret_is_logged(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    async with open_rest() as rest:
        ann = await rest.register(ANN)
        await rest("POST", "/auth/login", ANN | {"password": "a wrong password"})
        await rest("POST", "/auth/refresh", {"refresh_token": ann["refresh_token"]})
        await rest("POST", "/auth/refresh", {"refresh_token": "x" * 1_000})
        await rest("GET", "/users/me", token=ann["access_token"] + "x")
    out = capsys.readouterr()
    said = out.out + out.err + caplog.text
    for secret in (PASSWORD, "a wrong password", "ann@example.org", ann["refresh_token"], ann["access_token"]):
        assert secret not in said
