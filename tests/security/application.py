"""The HTTP application with all routes of the embedded system, and nothing behind them: to be looked at, not called."""

from functools import cache
from typing import Any, cast

from prometheus_client import CollectorRegistry
from quart_trio import QuartTrio

from core.base.clock import ManualClock
from core.base.ids import IdSource
from core.base.limits import DEFAULTS
from core.base.metrics import Metrics
from sidecars.ports.http import Edge, Route, routes_of
from sidecars.process import all_in_one
from sidecars.process.http import create_app


class _Nothing:
    """Stands where a service would."""

    def __getattr__(self, name: str) -> "_Nothing":
        return _Nothing()


class _Settings:
    limits = DEFAULTS

    def __getattr__(self, name: str) -> Any:
        return _Nothing()


def application() -> QuartTrio:
    """The application as `trimaran run` wires it."""
    clock = ManualClock()
    edge = Edge(verifier=cast(Any, _Nothing()), is_active=cast(Any, _Nothing()), clock=clock, cursor_key=bytes(32))
    return create_app(
        all_in_one._blueprints(cast(Any, _Settings()), cast(Any, _Nothing())),
        edge=edge,
        ids=IdSource(clock),
        metrics=Metrics(),
        registry=CollectorRegistry(),
        is_ready=lambda: None,
        statistics=dict,
        files=all_in_one._web_files(),
    )


@cache
def all_routes() -> list[Route]:
    """All routes, by path."""
    return sorted(routes_of(application()), key=lambda route: (route.path, route.method))
