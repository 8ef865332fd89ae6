"""How the tests run: async ones under Trio with a guard, Hypothesis by profile, the slow folders marked and last.

A plain `async def test_...` runs in `trio.run`. Two parameters are special:

- `clock`: the test runs on this virtual clock, which jumps to the next deadline whenever every task waits.
- `nursery`: a nursery around the test, cancelled when the test returns.
"""

import functools
import inspect
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import trio
import trio.testing
from hypothesis.configuration import set_hypothesis_home_dir

# For the tests of this file itself.
pytest_plugins = ["pytester"]

TIMEOUT_S = 30.0
# On a virtual clock the guard can be far off: waiting costs nothing, and a deadlock jumps there at once.
TIMEOUT_VIRTUAL_S = 3600.0

# In this order, after everything else: what fails quickly fails first.
SLOW_FOLDERS = ("flow", "conformance", "security", "faults", "browser")

set_hypothesis_home_dir(Path(__file__).parent.parent / ".cache" / "hypothesis")
hypothesis.settings.register_profile("ci", derandomize=True, print_blob=True, deadline=None)
hypothesis.settings.register_profile("dev", deadline=None)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "dev")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the tests of the slow folders and moves them behind the others; else the order stays."""
    rank = {folder: number for number, folder in enumerate(SLOW_FOLDERS, start=1)}
    ranks: dict[pytest.Item, int] = {}
    tests = Path(__file__).parent
    for item in items:
        parts = item.path.relative_to(tests).parts if item.path.is_relative_to(tests) else ()
        ranks[item] = rank.get(parts[0], 0) if parts else 0
        if ranks[item]:
            item.add_marker("slow")
    items.sort(key=ranks.__getitem__)


@pytest.fixture
def clock() -> trio.testing.MockClock:
    """The virtual clock that the test runs on: time passes only while everything waits, and then at once."""
    return trio.testing.MockClock(autojump_threshold=0)


@pytest.fixture
def nursery() -> None:
    """A nursery around the async test; `pytest_pyfunc_call` puts it in place, since it must live inside the run."""


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> None:
    """Makes an async test function a plain one; pytest then calls it as any other."""
    test = pyfuncitem.obj
    if hasattr(test, "hypothesis") and inspect.iscoroutinefunction(test.hypothesis.inner_test):
        # Hypothesis calls the inner test once per example: each example is a run of its own.
        test.hypothesis.inner_test = _plain(test.hypothesis.inner_test, pyfuncitem)
    elif inspect.iscoroutinefunction(test):
        pyfuncitem.obj = _plain(test, pyfuncitem)


def _plain(test: Callable[..., Awaitable[None]], item: pytest.Function) -> Callable[..., None]:
    marker = item.get_closest_marker("timeout_s")

    @functools.wraps(test)
    def run(**arguments: Any) -> None:
        virtual = next((value for value in arguments.values() if isinstance(value, trio.testing.MockClock)), None)
        timeout_s = marker.args[0] if marker else TIMEOUT_S if virtual is None else TIMEOUT_VIRTUAL_S
        trio.run(_guarded, test, arguments, timeout_s, clock=virtual)

    return run


async def _guarded(test: Callable[..., Awaitable[None]], arguments: dict[str, Any], timeout_s: float) -> None:
    stuck: BaseException | None = None
    with trio.move_on_after(timeout_s) as scope:
        try:
            await _with_nursery(test, arguments)
        except BaseException as error:
            stuck = error
            raise
    if scope.cancelled_caught:
        # The cause's traceback shows where the test was waiting.
        raise trio.TooSlowError(f"the test took longer than {timeout_s} s") from stuck


async def _with_nursery(test: Callable[..., Awaitable[None]], arguments: dict[str, Any]) -> None:
    if "nursery" not in arguments:
        await test(**arguments)
        return
    try:
        async with trio.open_nursery() as nursery:
            await test(**(arguments | {"nursery": nursery}))
            nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        # The common case is one failed assertion: show it bare.
        if len(group.exceptions) == 1:
            raise group.exceptions[0] from None
        raise
