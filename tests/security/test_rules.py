"""Every route and every frame names the rule that guards it."""

from typing import get_args

import pytest

from core.protocol.commands import AnyCommand
from core.router.router import FRAME_RULES
from core.rules import names
from core.rules.names import OPEN, OPERATOR
from sidecars.ports.http import Route
from tests.security.application import all_routes
from tests.security.world import Target

ROUTES = all_routes()

OPEN_TO_ALL = {
    ("POST", "/user-service/auth/register"),
    ("POST", "/user-service/auth/login"),
    ("POST", "/user-service/auth/refresh"),
    ("GET", "/user-service/.well-known/jwks.json"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/chat-service/healthz"),
    ("GET", "/chat-service/readyz"),
    ("GET", "/metrics"),
}
"""What the protocol marks as open, and what tells how the process is; beside these only files of the web client."""


def is_api(route: Route) -> bool:
    """Whether it is more than a file of the web client."""
    return "-service/" in route.path or (route.method, route.path) in OPEN_TO_ALL


def test_there_are_routes_of_every_service() -> None:
    services = {route.path.split("/")[1] for route in ROUTES if "-service/" in route.path}
    assert services >= {
        "user-service",
        "group-service",
        "message-service",
        "group-message-service",
        "relay-service",
        "last-seen-service",
        "chat-service",
    }


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_every_route_names_a_rule(route: Route) -> None:
    assert route.rule is not None
    assert names.ALL[route.rule.name] is route.rule


def test_every_frame_names_a_rule() -> None:
    assert FRAME_RULES.keys() == set(get_args(AnyCommand))
    for rule in FRAME_RULES.values():
        assert names.ALL[rule.name] is rule


def test_no_more_is_open_than_must_be() -> None:
    is_open = {(route.method, route.path) for route in ROUTES if route.rule == OPEN and is_api(route)}
    assert is_open == OPEN_TO_ALL
    files = [route for route in ROUTES if not is_api(route)]
    assert {(route.method, route.rule) for route in files} <= {("GET", OPEN)}


@pytest.mark.parametrize(
    "route", [route for route in ROUTES if route.rule != OPEN], ids=lambda r: f"{r.method} {r.path}"
)
def test_a_route_that_is_not_open_wants_a_token_before_anything_else(target: Target, route: Route) -> None:
    path = route.path.replace("<", "%3C").replace(">", "%3E")
    for raw in (None, b"{}", b"nonsense", b"x" * 200_000):
        for token in (None, "wrong"):
            answer = target.rest(route.method, path, raw=raw, token=token)
            assert answer.problem["code"] == "unauthenticated"
            assert answer.headers["www-authenticate"].startswith("Bearer")


def test_what_is_for_operators_is_forbidden_to_users(target: Target) -> None:
    person = target.register()
    of_operators = [route for route in ROUTES if route.rule == OPERATOR]
    assert of_operators
    for route in of_operators:
        assert person.rest(route.method, route.path).problem["code"] == "forbidden"
