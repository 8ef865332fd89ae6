"""The command line: what it asks, prints and keeps."""

import io
import json
import stat
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.client.model_server import DIRECT, ME, OTHER, ModelServer
from tests.client.servers import MemoryServer, NoDelay
from tests.client.test_account import FakeRest
from trimaran_client import Account, Message, open_chat
from trimaran_client import __main__ as cli


class Terminal:
    """The command with a server in memory."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.model = ModelServer()
        self.server = MemoryServer(self.model)
        self.rest = FakeRest()
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        monkeypatch.setattr(cli, "open_chat", partial(open_chat, dial=self.server.dial, rng=NoDelay(1)))
        monkeypatch.setattr(cli, "Account", self._account)

    def _account(self, url: str, **options: Any) -> Account:
        return Account(url, http=httpx.AsyncClient(transport=httpx.MockTransport(self.rest)), **options)

    def __call__(self, *argv: str, typed: str = "") -> tuple[int, str, str]:
        self._monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        status = cli.main(argv)
        out, err = self._capsys.readouterr()
        return status, out, err


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Terminal:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return Terminal(monkeypatch, capsys)


def test_register_keeps_the_refresh_token_for_its_user_alone(terminal: Terminal, tmp_path: Path) -> None:
    assert terminal("register", "--password-stdin", "a@b.test", "Ann", typed="pass word\n") == (0, f"{ME}\n", "")
    assert json.loads(terminal.rest.calls[0].content)["password"] == "pass word"
    profile = tmp_path / "trimaran-client" / "default.json"
    assert stat.S_IMODE(profile.stat().st_mode) == 0o600
    assert json.loads(profile.read_bytes())["refresh_token"] == "refresh1"
    assert "pass word" not in profile.read_text()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_send_prints_where_the_message_stands(terminal: Terminal, backend: str) -> None:
    terminal("login", "--password-stdin", "a@b.test", typed="x\n")
    assert terminal("--backend", backend, "send", OTHER, "hello", "you") == (0, f"{DIRECT} 1\n", "")
    assert terminal.model.logs[DIRECT].entries[0]["body"] == {"text": "hello you"}
    terminal.rest.answers = [(200, {"users": [{"id": OTHER}]})]
    status, out, _ = terminal("send", "--json", "bob@b.test", "again")
    assert (status, json.loads(out)["seq"]) == (0, 2)


def test_history_prints_the_newest_entries(terminal: Terminal) -> None:
    terminal("login", "--password-stdin", "a@b.test", typed="x\n")
    for text in ("one", "two", "bad\x1b[31m\nthree"):
        terminal.model.post(DIRECT, text)
    terminal.model.post(DIRECT, "zwei", kind="edit", ref=2)
    status, out, _ = terminal("history", DIRECT, "--limit", "3")
    assert status == 0
    assert out.splitlines() == [
        f"{DIRECT} 2 {OTHER} text (edited): zwei",
        f"{DIRECT} 3 {OTHER} text: bad [31m three",
        f"{DIRECT} 4 {OTHER} edit of 2: zwei",
    ]
    assert not terminal.model.received("mark"), "looking back marks nothing"


def test_listen_prints_what_comes_until_the_server_ends_it(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal("login", "--password-stdin", "a@b.test", typed="x\n")
    terminal.model.post(DIRECT, "hello")
    entry = cli.Printer.entry

    def once(printer: cli.Printer, message: Message) -> None:
        entry(printer, message)
        terminal.server.transport.kick(4503)

    monkeypatch.setattr(cli.Printer, "entry", once)
    status, out, err = terminal("listen")
    assert (status, out) == (1, f"{DIRECT} 1 {OTHER} text: hello\n")
    assert "4503" in err


def test_without_signing_in_it_says_what_to_do(terminal: Terminal) -> None:
    with pytest.raises(SystemExit, match="login"):
        terminal("send", OTHER, "x")


def test_a_refusal_is_one_line(terminal: Terminal) -> None:
    terminal("login", "--password-stdin", "a@b.test", typed="x\n")
    terminal.model.refuse = [{"code": "forbidden"}]
    status, out, err = terminal("send", DIRECT, "x")
    assert (status, out, err) == (1, "", "trimaran-client: forbidden: as the test wants\n")
