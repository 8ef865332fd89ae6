"""Nothing acknowledged is lost, doubled or moved when the process is killed or the power fails; and a fault that should
break a promise does break it, or these tests would prove nothing.
"""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.history.verdict import Invariant
from tests.faults.forgetful_vfs import EXIT_CODE
from tests.faults.run_under_faults import Run
from tests.harness.server import TRIMARAN, Server

SEED = 1
FEW = range(60, 120)
"""Acknowledgements before a fault: enough for a planted fault to show."""


def launcher(name: str, *arguments: str) -> tuple[str, ...]:
    """The command that starts the server with something wrong."""
    return (sys.executable, "-m", f"tests.faults.launchers.{name}", *arguments)


@contextmanager
def serving(folder: Path, command: tuple[str, ...] = TRIMARAN) -> Iterator[Server]:
    """A server that is gone after the block, however many of its processes died in it."""
    server = Server(folder, command=command)
    try:
        server.start()
        yield server
    finally:
        if server.is_running:
            server.kill()


def kill(server: Server) -> None:
    """kill -9."""
    server.kill()


def cut_power(server: Server) -> None:
    """What was not synced is gone, and so is the process."""
    server.signal(signal.SIGUSR1)
    assert server.wait() == EXIT_CODE


@pytest.mark.timeout_s(90)
async def test_killed_three_times_under_load_the_server_keeps_every_promise(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        run = Run(server, tmp_path, SEED)
        verdict = await run.judge(kill, 3)
        assert verdict.is_whole, run.report()
        assert verdict.statistics.crashes == 3
        assert verdict.statistics.duplicates > 0
        assert not verdict.statistics.refused
        assert "Traceback" not in server.log_text(), server.log_text()


@pytest.mark.timeout_s(90)
async def test_a_power_cut_under_load_takes_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    with serving(tmp_path, launcher("power_cut", str(SEED))) as server:
        run = Run(server, tmp_path, SEED)
        verdict = await run.judge(cut_power, 3)
        assert verdict.is_whole, run.report()
        assert verdict.statistics.crashes == 3
        assert not verdict.statistics.refused


@pytest.mark.timeout_s(60)
async def test_without_syncing_a_power_cut_takes_what_was_acknowledged(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        # The people are there already: it is their messages that get lost.
        run = Run(server, tmp_path, SEED)
        server.stop()
        server.command = launcher("power_cut_unsynced")
        server.start()
        verdict = await run.judge(cut_power, 1, acks=FEW, settle_s=0)
        assert verdict.counts[Invariant.I1], run.report()


@pytest.mark.timeout_s(60)
async def test_acknowledged_before_the_commit_a_message_is_lost_by_a_kill(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        run = Run(server, tmp_path, SEED)
        server.stop()
        server.command = launcher("ack_before_commit")
        server.start()
        verdict = await run.judge(kill, 1, acks=FEW, settle_s=0)
        assert verdict.counts[Invariant.I1], run.report()


@pytest.mark.timeout_s(60)
async def test_without_looking_for_duplicates_a_retried_message_is_there_twice(tmp_path: Path) -> None:
    with serving(tmp_path, launcher("no_dedupe")) as server:
        run = Run(server, tmp_path, SEED)
        verdict = await run.judge(kill, 1, acks=FEW, settle_s=0)
        assert verdict.counts[Invariant.I2], run.report()
