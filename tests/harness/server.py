"""The real server as a process of its own: started on a free port, waited for, stopped, killed, started again.

    with running_server(tmp_path, {"TRIMARAN_LIMIT_HELLO_S": "1"}) as server:
        server.url          # http://127.0.0.1:23456
        server.kill()       # kill -9; server.stop() is SIGTERM
        server.start()      # on the same data and the same port

Waits for a process and for /readyz by the real clock, each with a limit. Every call blocks.
"""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
TRIMARAN = (sys.executable, "-m", "sidecars.process", "run")

START_S = 30.0
"""So long may a start take on a busy machine; far above what it takes on an idle one."""

STOP_S = 15.0
"""So long is waited for an end that must come within 5 s; the tests that promise 5 s measure."""

POLL_S = 0.02

# Below the ports that the system gives to outgoing connections: while the server is down none of them can take its place.
PORTS = range(20_000, 32_000)


class Server:
    """One server on one data directory and one port; at most one process at a time."""

    def __init__(
        self, folder: Path, env: Mapping[str, str] | None = None, *, command: Sequence[str] = TRIMARAN
    ) -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.ws_url = f"ws://127.0.0.1:{self.port}/chat/ws"
        self.log = folder / "server.log"
        self.env = environment(
            {"TRIMARAN_DATA_DIR": str(self.data_dir), "TRIMARAN_PORT": str(self.port), **(env or {})}
        )
        self.command = tuple(command)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the running process."""
        return self._running().pid

    @property
    def is_running(self) -> bool:
        """Whether there is a process that has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start a process and wait until it can serve. Raises: AssertionError, with its log, where it does not come up."""
        self.spawn()
        self.wait_ready()

    def spawn(self) -> None:
        """Start a process and wait for nothing."""
        assert not self.is_running, "it runs already"
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command, cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def wait_ready(self) -> None:
        """Wait until /readyz answers 200."""
        process = self._running()
        deadline = time.monotonic() + START_S
        while not self.is_ready():
            assert process.poll() is None, f"the server ended with {process.returncode}:\n{self.log_text()}"
            assert time.monotonic() < deadline, f"the server was not ready in {START_S} s:\n{self.log_text()}"
            time.sleep(POLL_S)

    def is_ready(self) -> bool:
        """Whether /readyz answers 200 now."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=START_S)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == http.HTTPStatus.OK
        except OSError:
            return False
        finally:
            connection.close()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process."""
        self._running().send_signal(number)

    def wait(self, timeout_s: float = STOP_S) -> int:
        """Wait for the end of the process. Returns: its exit code (negative: the signal that killed it)."""
        process = self._process
        assert process is not None, "it was never started"
        return process.wait(timeout_s)

    def stop(self) -> int:
        """SIGTERM, and wait for the end. Returns: the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """kill -9: the process gets no chance to do anything."""
        self._running().kill()
        self.wait()

    def restart(self) -> None:
        """Stop it if it runs, start it again on the same data and port."""
        if self.is_running:
            self.stop()
        self.start()

    def log_text(self) -> str:
        """All that its processes wrote so far, standard output and error."""
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "it was never started"
        assert self._process.poll() is None, f"it does not run:\n{self.log_text()}"
        return self._process


@contextmanager
def running_server(
    folder: Path, env: Mapping[str, str] | None = None, *, command: Sequence[str] = TRIMARAN
) -> Iterator[Server]:
    """A server that serves, for the length of a block; it must end well, and have shown no traceback."""
    server = Server(folder, env, command=command)
    try:
        server.start()
        yield server
        if server.is_running:
            code = server.stop()
            assert code == 0, f"the server ended with {code}:\n{server.log_text()}"
        assert "Traceback" not in server.log_text(), server.log_text()
    finally:
        if server.is_running:
            server.kill()


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """The environment of a process of ours: this one's without its settings, cheap passwords, and then `settings`."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TRIMARAN_")}
    return inherited | {"PYTHONPATH": str(ROOT), "TRIMARAN_PASSWORD_COST": "test"} | dict(settings)


def free_port() -> int:
    """A port on which nothing listens; processes that test at the same time begin to look at different places."""
    start = os.getpid() * 37 + time.monotonic_ns() // 1000
    for number in range(200):
        port = PORTS[(start + number * 7) % len(PORTS)]
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")
