"""The import contracts of pyproject.toml hold in this tree, and each of them notices its breach."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.source import ROOT

CORE = ("base", "rules", "bridge", "protocol", "router", "reactor", "links", "history", "process")
SIDECARS = ("ports", "user", "group", "last_seen", "relay", "message", "group_message", "stores", "process")


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Holds the Python packages of a folder against the contracts of this repository."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--config", str(ROOT / "pyproject.toml")]
    command += ["--cache-dir", str(folder / ".cache" / "import-linter")]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100, check=False)


@pytest.fixture
def skeleton(tmp_path: Path) -> Path:
    """The packages of the repository, all of them empty."""
    core = [f"core/{name}" for name in CORE]
    sidecars = [f"sidecars/{name}" for name in SIDECARS]
    for package in ["protos", "core", "sidecars", "trimaran_client", *core, *sidecars]:
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
    return tmp_path


def test_imports_follow_the_architecture() -> None:
    run = lint_imports(ROOT)
    assert run.returncode == 0, run.stdout + run.stderr
    assert " 0 broken" in run.stdout


def test_an_empty_skeleton_breaks_nothing(skeleton: Path) -> None:
    run = lint_imports(skeleton)
    assert run.returncode == 0, run.stdout + run.stderr


def test_planted_imports_break_their_contracts(skeleton: Path) -> None:
    planted = [
        ("core.links.a", "sidecars.user", "protos <- core <- sidecars"),
        ("protos.a", "core.base", "protos <- core <- sidecars"),
        ("core.process.a", "tests", "Nothing imports tests or bench"),
        ("trimaran_client.a", "core.base", "The client stands alone"),
        ("core.base.a", "core.rules", "The core, bottom up"),
        ("core.router.a", "core.reactor", "The core, bottom up"),
        ("core.router.b", "core.bridge", "Rules, protocol and router know no bridge"),
        ("sidecars.user.a", "sidecars.stores", "Services and stores meet in sidecars.process alone"),
        ("sidecars.user.b", "sidecars.group", "Services and stores meet in sidecars.process alone"),
        ("sidecars.ports.a", "sidecars.message", "Services and stores meet in sidecars.process alone"),
    ]
    for module, imported, _ in planted:
        path = (skeleton / module.replace(".", "/")).with_suffix(".py")
        path.write_text(f"import {imported}\n", encoding="utf-8")

    run = lint_imports(skeleton)

    assert run.returncode == 1, run.stdout + run.stderr
    for module, imported, contract in planted:
        assert f"{contract} BROKEN" in run.stdout
        assert f"{module} -> {imported} (l.1)" in run.stdout
