"""The command `trimaran`, as whoever types it sees it."""

import os
import signal
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest

from core.base.config import Config
from core.base.errors import Unavailable
from sidecars.process.__main__ import BAD_INPUT, DONE, main
from tests.house.source import ROOT


@pytest.fixture(autouse=True)
def _plain_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("TRIMARAN_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


Install = Callable[[Callable[[Config], int]], None]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Install:
    """Puts a stand-in into the place of the embedded system."""

    def put(run: Callable[[Config], int]) -> None:
        stand_in = types.ModuleType("sidecars.process.all_in_one")
        stand_in.main = run  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, stand_in.__name__, stand_in)
        monkeypatch.setattr("sidecars.process.all_in_one", stand_in, raising=False)
        monkeypatch.setattr(signal, "signal", lambda *_: None)

    return put


def test_config_shows_each_value_and_where_it_comes_from(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TRIMARAN_PORT", "9999")
    assert main(["config"]) == DONE
    lines = capsys.readouterr().out.splitlines()
    assert any(line.split() == ["TRIMARAN_PORT=9999", "#", "environment"] for line in lines)
    assert any(line.split() == ["TRIMARAN_HOST=127.0.0.1", "#", "default"] for line in lines)


@pytest.mark.parametrize("command", ["config", "run"])
def test_a_wrong_configuration_stops_the_start_with_a_line_for_each_problem(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], install: Install
) -> None:
    install(lambda _: pytest.fail("it must not start"))
    monkeypatch.setenv("TRIMARAN_PORT", "http")
    monkeypatch.setenv("TRIMARAN_PROT", "80")
    assert main([command]) == BAD_INPUT
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "trimaran: TRIMARAN_PORT=http (environment): expected an integer from 0 to 65535",
        "trimaran: TRIMARAN_PROT=80 (environment): there is no such setting; did you mean TRIMARAN_PORT?",
    ]


def test_run_runs_the_embedded_system_with_the_configuration(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], install: Install
) -> None:
    seen: list[Config] = []

    def run(config: Config) -> int:
        seen.append(config)
        return 0

    install(run)
    monkeypatch.setenv("TRIMARAN_PASSWORD_COST", "test")
    assert main(["run"]) == DONE
    assert seen[0].password_cost == "test"
    assert "WARNING: TRIMARAN_PASSWORD_COST=test" in capsys.readouterr().err


@pytest.mark.parametrize(
    "error",
    [
        Unavailable("the data directory is locked by another process"),
        PermissionError(13, "Permission denied", "/data"),
        ExceptionGroup("", [ExceptionGroup("", [Unavailable("the data directory is locked by another process")])]),
    ],
)
def test_what_keeps_it_from_starting_is_told_in_a_line(
    error: Exception, capsys: pytest.CaptureFixture[str], install: Install
) -> None:
    def run(_: Config) -> int:
        raise error

    install(run)
    assert main(["run"]) == BAD_INPUT
    told = capsys.readouterr().err
    assert told.startswith("trimaran: ")
    assert told.count("\n") == 1


def test_a_bug_shows_its_trace(install: Install) -> None:
    def run(_: Config) -> int:
        raise KeyError("a bug")

    install(run)
    with pytest.raises(KeyError):
        main(["run"])


def test_ctrl_c_is_a_good_end(install: Install) -> None:
    def run(_: Config) -> int:
        raise KeyboardInterrupt

    install(run)
    assert main(["run"]) == DONE


def test_check_reads_histories_and_says_what_it_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(tmp_path / "missing.jsonl")]) == BAD_INPUT
    assert "missing.jsonl" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["rnu"], ["check"], ["config", "--jsno"], ["run", "extra"]])
def test_a_wrong_command_is_told_with_the_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == BAD_INPUT
    assert "usage: trimaran" in capsys.readouterr().err


def test_the_installed_command_answers_without_loading_the_system() -> None:
    script = (
        "import sys; from sidecars.process.__main__ import main; code = main([sys.argv[1]]);"
        "heavy = {'trio', 'quart', 'hypercorn', 'apsw', 'structlog', 'prometheus_client', 'cryptography', 'argon2'};"
        "print(sorted(heavy & set(sys.modules)), code)"
    )
    for command in ("version", "config"):
        done = subprocess.run(
            [sys.executable, "-c", script, command], capture_output=True, text=True, timeout=20, check=True, cwd=ROOT
        )
        assert done.stdout.splitlines()[-1] == "[] 0"
        assert done.stderr == ""


def test_version_names_the_program(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version"]) == DONE
    assert capsys.readouterr().out.startswith("trimaran 0.")


def test_a_reader_that_has_enough_is_no_error() -> None:
    done = subprocess.run(
        f"{sys.executable} -m sidecars.process config | head -n 1",
        shell=True, capture_output=True, text=True, timeout=20, check=True, cwd=ROOT,
    )  # fmt: skip
    assert done.stderr == ""
