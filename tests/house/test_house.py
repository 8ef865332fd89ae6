"""The house rules hold in this tree."""

import json
import re
import tomllib
from collections.abc import Callable, Iterator

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.house import rules
from tests.house.source import ROOT, Finding, Source, sources

PRODUCT = ("core", "sidecars")
EVERYTHING = ("protos", "core", "sidecars", "client", "tests")


@pytest.mark.parametrize(
    ("rule", "folders"),
    [
        (rules.long_files, PRODUCT),
        (rules.missing_docstrings, EVERYTHING),
        (rules.clocks_and_dice, PRODUCT),
        (rules.threads_and_loops, PRODUCT),
        (rules.lowlevel, PRODUCT),
        (rules.core_imports_of_sidecars, PRODUCT),
        (rules.store_imports, PRODUCT),
        (rules.skips, ("tests",)),
        (rules.sleeps, ("tests",)),
    ],
    ids=lambda value: value.__name__ if callable(value) else "+".join(value),
)
def test_the_tree_keeps_the_rule(rule: Callable[[Source], Iterator[Finding]], folders: tuple[str, ...]) -> None:
    findings = [str(finding) for source in sources(*folders) for finding in rule(source)]
    assert not findings, "\n".join(["", rule.__doc__ or "", *findings])


def test_one_module_of_the_reactor_uses_trio_lowlevel() -> None:
    assert len(rules.lowlevel_modules(sources("core/reactor"))) <= 1


def test_every_announced_exception_is_still_needed() -> None:
    for path in rules.LONG_FILES:
        assert (ROOT / path).read_text(encoding="utf-8").count("\n") > rules.LINES_MAX, f"{path} is short again"
    for path in rules.REAL_SLEEPERS:
        text = (ROOT / path).read_text(encoding="utf-8")
        assert any(name in text for name in rules.SLEEPS), f"{path} no longer sleeps"


@pytest.mark.parametrize("name", ["run.txt", "dev.txt", "uv.txt"])
def test_the_lock_files_name_no_address(name: str) -> None:
    assert "://" not in (ROOT / "requirements" / name).read_text(encoding="utf-8")


def test_the_node_lock_names_no_address() -> None:
    lock = json.loads((ROOT / "tests/flow/node/package-lock.json").read_text(encoding="utf-8"))
    assert not [path for path, package in lock["packages"].items() if "resolved" in package]


@pytest.mark.parametrize(
    ("project", "lock"),
    [("pyproject.toml", "run.txt"), ("pyproject.toml", "dev.txt"), ("client/pyproject.toml", "dev.txt")],
)
def test_the_lock_files_satisfy_the_projects(project: str, lock: str) -> None:
    declared = tomllib.loads((ROOT / project).read_text(encoding="utf-8"))["project"]["dependencies"]
    pinned = dict(re.findall(r"^([\w.-]+)==([^ ;]+)", (ROOT / "requirements" / lock).read_text(encoding="utf-8"), re.M))
    for requirement in map(Requirement, declared):
        version = pinned.get(canonicalize_name(requirement.name))
        assert version, f"{requirement} is not in {lock}: make lock"
        assert requirement.specifier.contains(version), f"{requirement}, but {lock} has {version}: make lock"
