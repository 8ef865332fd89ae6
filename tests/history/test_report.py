"""`trimaran check`: its report names the lines, its exit code tells whole from broken from unusable."""

import io
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from core.history.recorder import Recorder
from core.history.records import Event
from core.history.report import BAD_INPUT, BROKEN, WHOLE, check
from tests.history.faults import FAULTS
from tests.history.world import prelude


def write(path: Path, events: Sequence[Event]) -> Path:
    with path.open("wb") as file:
        recorder = Recorder(file)
        for event in events:
            recorder.record(event)
    return path


def run(*paths: Path | str, as_json: bool = False) -> tuple[int, str]:
    out = io.StringIO()
    return check(paths, out, as_json=as_json), out.getvalue()


def plant(name: str) -> list[Event]:
    return FAULTS[name][1](prelude().end(), lambda places: places[0])


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    return write(tmp_path / "whole.jsonl", prelude().end())


def test_a_whole_history_is_reported_with_what_was_looked_at(whole: Path) -> None:
    code, text = run(whole)
    assert code == WHOLE
    assert text.splitlines()[0] == "trimaran check: 168 events in 1 file"
    assert "3 conversations with 23 entries" in text
    assert "19 sends and 1 retries; 19 acks, 1 of duplicates; refused: none" in text
    assert all(f"  I{number} " in text for number in range(1, 9))
    assert text.splitlines()[-1] == "WHOLE: every promise held"


def test_a_history_in_several_files_is_one(tmp_path: Path) -> None:
    events = prelude().end()
    harness = [event for event in events if getattr(event, "device", None) is None]
    clients = [event for event in events if getattr(event, "device", None) is not None]
    code, text = run(write(tmp_path / "b", harness), write(tmp_path / "a", clients))
    assert code == WHOLE, text


def test_a_broken_history_is_reported_with_the_lines_that_prove_it(tmp_path: Path) -> None:
    path = write(tmp_path / "broken", plant("a_device_sees_another_body"))
    code, text = run(path)
    assert code == BROKEN
    lines = path.read_text().splitlines()
    at = next(number for number, line in enumerate(lines, start=1) if '"body":"other"' in line)
    assert "I4 same order: d:ann:bob: at seq 1 one saw body other, another body of c1" in text
    assert f"    {path}:{at}: {lines[at - 1]}" in text
    assert "  I4 same order    BROKEN, 1 time\n" in text
    assert "  I1 durable       holds\n" in text
    assert text.splitlines()[-1] == "BROKEN: 1 violation of I4"


def test_the_report_is_there_for_programs_too(tmp_path: Path, whole: Path) -> None:
    code, text = run(whole, as_json=True)
    answer = msgspec.json.decode(text)
    assert (code, answer["whole"], answer["violations"], answer["statistics"]["acks"]) == (WHOLE, True, [], 19)
    path = write(tmp_path / "broken", plant("a_retry_is_acknowledged_at_another_seq"))
    code, text = run(path, as_json=True)
    answer = msgspec.json.decode(text)
    assert (code, answer["whole"], answer["counts"]["I2"]) == (BROKEN, False, 1)
    violation = next(one for one in answer["violations"] if one["invariant"] == "I2")
    assert {"path", "line", "text"} == set(violation["evidence"][0])
    assert '"type":"acked"' in violation["evidence"][-1]["text"]


def test_a_long_line_is_quoted_in_part(tmp_path: Path) -> None:
    _, text = run(write(tmp_path / "broken", plant("the_log_has_a_hole")))
    assert max(map(len, text.splitlines())) < 400
    assert "…" in text


def test_a_history_too_thin_to_decide_does_not_pass(tmp_path: Path) -> None:
    events = [event for event in prelude().end() if type(event).__name__ != "ReadBack"]
    code, text = run(write(tmp_path / "thin", events))
    assert code == BAD_INPUT
    assert "d:ann:bob: no final read tells of it" in text
    assert "holds" not in text
    assert text.splitlines()[-1].startswith("NOT DECIDED")


def test_a_broken_line_is_named(tmp_path: Path, whole: Path) -> None:
    with whole.open("a") as file:
        file.write('{"type":"acked"\n')
    code, text = run(whole)
    assert code == BAD_INPUT
    assert text == f"trimaran check: {whole}:169: not an event: Input data was truncated\n"
    assert msgspec.json.decode(run(whole, as_json=True)[1])["error"].startswith(f"{whole}:169: ")


def test_files_that_cannot_be_histories_are_named(tmp_path: Path, whole: Path) -> None:
    empty = write(tmp_path / "empty", [])
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(whole)
    for paths, expected in [
        ([tmp_path / "none"], f"{tmp_path / 'none'}: No such file or directory; expected a readable file"),
        ([tmp_path], f"{tmp_path}: not a regular file; expected one that can be read twice"),
        ([tmp_path / "pipe"], f"{tmp_path / 'pipe'}: not a regular file; expected one that can be read twice"),
        ([empty], f"no events in {empty}; expected a history, one event a line"),
        ([], "no events in no files; expected a history, one event a line"),
        ([whole, tmp_path / "link"], "the same file is named twice; each line counts once"),
    ]:
        assert run(*paths) == (BAD_INPUT, f"trimaran check: {expected}\n")
