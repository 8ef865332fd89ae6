"""What does the embedded system do per CPU-second, durably: one to one, and in a room?

The whole real path is measured: token, limits, membership, dedupe, seq, fsync, ack, delivery. The unit is deliveries per CPU-second of
the server process (user and system, all its threads, SQLite included), since wall time on a shared machine says little.

    .venv/bin/python -m bench.embedded [--runs 5] [--seconds 4] [--members 1000]
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from bench.load import Client, Loop, cpu_s, seconds

PORT = 18_180
SETTINGS = {
    "TRIMARAN_PORT": str(PORT),
    "TRIMARAN_PASSWORD_COST": "test",
    "TRIMARAN_LOG_LEVEL": "error",
    "TRIMARAN_LIMIT_SENDS_PER_S": "0",
    "TRIMARAN_LIMIT_FRAMES_PER_S": "0",
    "TRIMARAN_LIMIT_REGISTRATIONS_PER_HOUR": "0",
    "TRIMARAN_LIMIT_HANDSHAKES_PER_S": "0",
    "TRIMARAN_LIMIT_GROUP_MEMBERS": "20000",
}


def call(method: str, path: str, body: Any = None, token: str | None = None) -> Any:
    """One REST call."""
    request = urllib.request.Request(f"http://127.0.0.1:{PORT}{path}", method=method)
    request.add_header("Content-Type", "application/json")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, json.dumps(body).encode() if body is not None else None, 30) as answer:
        return json.loads(answer.read() or b"null")


@contextmanager
def server() -> Iterator[int]:
    """The real server on a fresh data directory, pinned to the first core; gives its pid."""
    with tempfile.TemporaryDirectory(prefix="trimaran-bench-") as data_dir:
        environment = {**os.environ, **SETTINGS, "TRIMARAN_DATA_DIR": data_dir}
        process = subprocess.Popen([sys.executable, "-m", "sidecars.process", "run"], env=environment)
        os.sched_setaffinity(process.pid, {0})
        try:
            deadline = seconds() + 30
            while True:
                try:
                    call("GET", "/readyz")
                    break
                except (urllib.error.URLError, ConnectionError):
                    if seconds() > deadline:
                        raise
            yield process.pid
        finally:
            process.terminate()
            process.wait(20)


def people(count: int) -> list[dict[str, Any]]:
    """Registered users, with progress."""
    made = []
    for number in range(count):
        body = {"email": f"{uuid.uuid4()}@bench.test", "name": f"user {number}", "password": "correct horse"}
        made.append(call("POST", "/user-service/auth/register", body))
        if number % 100 == 99:
            print(f"  registered {number + 1} of {count}", file=sys.stderr)
    return made


def client_ids() -> Iterator[str]:
    """Rising UUIDv7-like ids, cheap to make."""
    number = uuid.uuid4().int & ((1 << 60) - 1)
    now = int(seconds() * 1_000) & ((1 << 47) - 1)
    while True:
        number += 1
        digits = f"{now:012x}7{number >> 48 & 0xFFF:03x}8{number & ((1 << 60) - 1):015x}"
        yield f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def measure(
    pid: int, senders: list[tuple[Client, str]], others: list[Client], window: int, run_s: float, fanout: int
) -> float:
    """Deliveries per CPU-second in a closed loop with `window` sends in flight for each sender."""
    ids = client_ids()
    conversation_of = dict(senders)
    loop = Loop([client for client, _ in senders] + others)
    text = "x" * 90
    began_s, began_cpu = seconds(), cpu_s(pid)
    sent = 0

    def on_ack(client: Client, acks: int) -> None:
        nonlocal sent
        for _ in range(acks):
            client.send(conversation_of[client], next(ids), text)
            sent += 1

    for client, _ in senders:
        on_ack(client, window)
    loop.run(on_ack, lambda: seconds() - began_s > run_s)
    used_cpu = cpu_s(pid) - began_cpu
    # What is still in flight when the time is over is not counted, and was paid for: the figure is a little low.
    expected = loop.acks * fanout
    if loop.deliveries < expected * 0.8:
        print(f"  only {loop.deliveries} of {expected} deliveries came: the generator is the limit", file=sys.stderr)
    loop.run(lambda *_: None, lambda: loop.acks >= sent)
    for each in [client for client, _ in senders] + others:
        each.sock.setblocking(True)
    return loop.deliveries / used_cpu


def route(pid: int, pairs: int, window: int, run_s: float) -> float:
    """Each of `pairs` users writes to one of as many others."""
    made = people(2 * pairs)
    clients = [Client(PORT, each["access_token"]) for each in made]
    senders = []
    for one, other in zip(range(0, 2 * pairs, 2), range(1, 2 * pairs, 2)):
        low, high = sorted((made[one]["user"]["id"], made[other]["user"]["id"]))
        senders.append((clients[one], f"d:{low}:{high}"))
    try:
        return measure(pid, senders, clients[1::2], window, run_s, fanout=1)
    finally:
        for client in clients:
            client.sock.close()


def room(pid: int, members: int, window: int, run_s: float) -> float:
    """One member of a group of `members` writes."""
    made = people(members)
    body = {"name": "room", "members": [{"user": each["user"]["id"]} for each in made[1:]]}
    group = call("POST", "/group-service/groups", body, made[0]["access_token"])
    clients = [Client(PORT, each["access_token"]) for each in made]
    try:
        senders = [(clients[0], str(group["conversation"]))]
        return measure(pid, senders, clients[1:], window, run_s, fanout=members - 1)
    finally:
        for client in clients:
            client.sock.close()


def main() -> None:
    """Run the cells in turn, `--runs` times, and print the best and the median of each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--members", type=int, default=1_000)
    options = parser.parse_args()
    os.sched_setaffinity(0, {(os.cpu_count() or 1) - 1})
    cells: dict[str, Callable[[int], float]] = {
        "route w=1": lambda pid: route(pid, 32, 1, options.seconds),
        "route w=16": lambda pid: route(pid, 32, 16, options.seconds),
        f"room {options.members} w=2": lambda pid: room(pid, options.members, 2, options.seconds),
    }
    results: dict[str, list[float]] = {name: [] for name in cells}
    for number in range(options.runs):
        for name, cell in cells.items():
            with server() as pid:
                results[name].append(cell(pid))
            print(f"run {number + 1}: {name}: {results[name][-1]:,.0f} deliveries per CPU-second", file=sys.stderr)
    summary = {
        name: {"best": round(max(values)), "median": round(sorted(values)[len(values) // 2]), "runs": len(values)}
        for name, values in results.items()
    }
    machine = {"python": platform.python_version(), "kernel": platform.release(), "cpus": os.cpu_count()}
    print(json.dumps({"bench": "embedded", "unit": "deliveries per CPU-second", **machine, "results": summary}))


if __name__ == "__main__":
    main()
