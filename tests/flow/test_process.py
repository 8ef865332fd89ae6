"""The process: it stops when it is told to, starts again where it stopped, and refuses what it cannot run with."""

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.flow.peer import Peer, texts
from tests.harness.people import register
from tests.harness.server import TRIMARAN, environment, running_server

STOPS_WITHIN_S = 5.0


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_started_again_on_the_same_data_it_goes_on_where_it_stopped(tmp_path: Path, end: str) -> None:
    with running_server(tmp_path) as server:
        ann, bob = register(server.url, "ann"), register(server.url, "bob")
        conversation = ann.direct(bob)
        group = ann.post("/group-service/groups", {"name": "team", "members": [{"user": bob.id}]})["conversation"]
        with Peer.greeted(server, ann) as at_ann, Peer.greeted(server, bob) as at_bob:
            for number in range(1, 11):
                assert at_ann.send(conversation, str(number))["seq"] == number
            at_ann.send(group, "to the team")
            at_bob.say("mark", conversation=conversation, read=4)
            at_ann.next_marks(bob, delivered=4, read=4)
            getattr(server, end)()
        server.start()
        with Peer(server, bob) as at_bob:
            greeting = at_bob.hello()
            assert texts([each for each in greeting.messages if each["conversation"] == group]) == ["to the team"]
            listed = greeting.of(conversation)
            # What was read was shown, so it is stored; the rest of the last second may be given again.
            assert (listed["read"], listed["head"], listed["unread"]) == (4, 10, 6)
            assert listed["delivered"] in (0, 4)
            page = at_bob.pull(conversation, after=0)
            assert texts(page["messages"]) == [str(number) for number in range(1, 11)]
            assert at_bob.send(conversation, "still here")["seq"] == 11


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_in_time_and_tells_every_client(tmp_path: Path, number: signal.Signals) -> None:
    with running_server(tmp_path) as server:
        ann = register(server.url, "ann")
        with Peer.greeted(server, ann) as greeted, Peer(server, ann) as silent:
            since_s = time.monotonic()
            server.signal(number)
            assert greeted.closed() == 4001
            assert silent.closed() == 4001
            assert server.wait() == 0
            assert time.monotonic() - since_s < STOPS_WITHIN_S


def test_a_second_process_on_the_same_data_is_refused(tmp_path: Path) -> None:
    with running_server(tmp_path / "first") as server:
        code, said = _run(tmp_path, {"TRIMARAN_DATA_DIR": str(server.data_dir), "TRIMARAN_PORT": "0"})
        assert code == 2
        assert str(server.data_dir) in said
        assert f"process {server.pid} is using it" in said
        assert server.is_ready()


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with running_server(tmp_path / "first") as server:
        data_dir = tmp_path / "other"
        code, said = _run(tmp_path, {"TRIMARAN_DATA_DIR": str(data_dir), "TRIMARAN_PORT": str(server.port)})
        assert code == 2
        assert str(server.port) in said
        assert "Traceback" not in said


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("TRIMARAN_PORT", "http", "an integer from 0 to 65535"),
        ("TRIMARAN_LIMIT_SENDS_PER_S", "-1", "an integer of at least 0"),
        ("TRIMARAN_PROT", "8080", "did you mean TRIMARAN_PORT?"),
        ("TRIMARAN_ALLOWED_ORIGINS", "chat.example", "origins as https://chat.example"),
    ],
)
def test_a_wrong_setting_stops_the_start_and_is_named(tmp_path: Path, name: str, value: str, expected: str) -> None:
    code, said = _run(tmp_path, {"TRIMARAN_DATA_DIR": str(tmp_path / "data"), name: value})
    assert code == 2
    assert f"{name}={value}" in said
    assert expected in said
    assert not (tmp_path / "data").exists()


def test_a_data_directory_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    code, said = _run(tmp_path, {"TRIMARAN_DATA_DIR": str(tmp_path / "data"), "TRIMARAN_PORT": "0"})
    assert code == 2
    assert str(tmp_path / "data") in said
    assert (tmp_path / "data").read_text() == "a file"


def test_it_logs_events_and_neither_words_nor_tokens(tmp_path: Path) -> None:
    with running_server(tmp_path, {"TRIMARAN_LOG_LEVEL": "debug", "TRIMARAN_LOG_FORMAT": "json"}) as server:
        ann, bob = register(server.url, "ann"), register(server.url, "bob")
        with Peer.greeted(server, ann) as at_ann:
            at_ann.send(ann.direct(bob), "a word that is nobody else's business")
    log = server.log_text()
    events = [json.loads(line)["event"] for line in log.splitlines() if line.startswith("{")]
    assert (events[0], events[-1]) == ("listening", "stopped")
    for secret in ("nobody else", ann.access_token, ann.refresh_token):
        assert secret not in log


def _run(folder: Path, settings: dict[str, str]) -> tuple[int, str]:
    """A start that is expected to fail: its exit code, and what it wrote."""
    done = subprocess.run(
        TRIMARAN, cwd=folder, env=environment(settings), capture_output=True, text=True, timeout=30, check=False
    )
    return done.returncode, done.stdout + done.stderr
