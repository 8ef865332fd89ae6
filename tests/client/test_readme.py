"""The examples of client/README.md run as they stand."""

import re
from pathlib import Path

import pytest

README = (Path(__file__).parents[2] / "client" / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_first_example_is_a_program_of_twenty_lines() -> None:
    compile(EXAMPLES[0], "README.md", "exec")
    assert len(EXAMPLES[0].splitlines()) <= 20


def test_the_example_without_a_socket_says_what_it_prints(capsys: pytest.CaptureFixture[str]) -> None:
    exec(EXAMPLES[1], {})
    hello, welcome = capsys.readouterr().out.splitlines()
    assert hello == EXAMPLES[1].partition("# ")[2].splitlines()[0]
    assert welcome.startswith("Welcome(user='018f0000")


def test_the_tour_names_every_file() -> None:
    folder = Path(__file__).parents[2] / "client" / "trimaran_client"
    files = {path.name for path in folder.glob("*.py")} - {"__init__.py"}
    assert files == set(re.findall(r"`(\w+\.py)`", README.partition("## The tour")[2]))
