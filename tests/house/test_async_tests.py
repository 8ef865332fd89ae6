"""Async test functions run as tests/conftest.py says."""

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from tests.house.source import ROOT


async def test_an_async_test_runs_under_trio() -> None:
    await trio.lowlevel.checkpoint()
    assert trio.lowlevel.in_trio_task()


async def test_the_clock_jumps_while_everything_waits(clock: trio.testing.MockClock) -> None:
    start_s = trio.current_time()
    await trio.sleep(1800)
    assert trio.current_time() == start_s + 1800
    assert trio.lowlevel.current_clock() is clock


async def test_the_nursery_ends_with_the_test(nursery: trio.Nursery) -> None:
    nursery.start_soon(trio.sleep_forever)
    await trio.testing.wait_all_tasks_blocked()
    assert len(nursery.child_tasks) == 1


@given(number=st.integers(0, 3))
async def test_each_example_of_hypothesis_is_a_run(number: int) -> None:
    await trio.lowlevel.checkpoint()
    assert 0 <= number <= 3


@pytest.fixture
def inner(pytester: pytest.Pytester) -> pytest.Pytester:
    """A test session of its own, in a folder `tests` with the conftest of this one."""
    pytester.makeini("[pytest]\nmarkers = slow\n  timeout_s\naddopts = --import-mode=importlib -p no:cacheprovider")
    conftest = (ROOT / "tests" / "conftest.py").read_text(encoding="utf-8")
    (pytester.mkdir("tests") / "conftest.py").write_text(conftest, encoding="utf-8")
    return pytester


def test_a_bad_async_test_fails_and_says_why(inner: pytest.Pytester) -> None:
    (inner.path / "tests" / "test_bad.py").write_text(
        """
import pytest, trio

async def test_wrong():
    assert 1 == 2

async def test_wrong_in_a_nursery(nursery):
    assert 3 == 4

@pytest.mark.timeout_s(0.01)
async def test_hangs():
    await trio.sleep_forever()

async def test_deadlocks(clock):
    await trio.Event().wait()
""",
        encoding="utf-8",
    )
    result = inner.runpytest_subprocess()
    result.assert_outcomes(failed=4)
    result.stdout.fnmatch_lines(
        [
            "E *assert 1 == 2",
            "E *assert 3 == 4",
            "*TooSlowError: the test took longer than 0.01 s",
            "*TooSlowError: the test took longer than 3600.0 s",
        ]
    )


def test_the_slow_folders_are_marked_and_run_last(inner: pytest.Pytester) -> None:
    for name in ("browser", "flow", "router"):
        folder = inner.path / "tests" / name
        folder.mkdir()
        (folder / "test_a.py").write_text("def test_a(request):\n    print(list(request.node.iter_markers()))\n")
    result = inner.runpytest_subprocess("-v", "-s")
    result.stdout.fnmatch_lines(
        ["tests/router/*[[][]]*", "tests/flow/*name='slow'*", "tests/browser/*name='slow'*"],
        consecutive=False,
    )
