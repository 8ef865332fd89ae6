"""Each house rule catches planted bad code, and lets its legitimate neighbour pass."""

from collections.abc import Callable, Iterator

import pytest

from tests.house import rules
from tests.house.source import Finding, Source

Rule = Callable[[Source], Iterator[Finding]]


@pytest.mark.parametrize(
    ("rule", "path", "code"),
    [
        (rules.long_files, "core/router/router.py", "x = 1\n" * (rules.LINES_MAX + 1)),
        (rules.missing_docstrings, "core/router/slots.py", "x = 1\n"),
        (rules.clocks_and_dice, "core/router/a.py", "import time\ntime.time()\n"),
        (rules.clocks_and_dice, "core/router/a.py", "import time as t\nt.monotonic_ns()\n"),
        (rules.clocks_and_dice, "core/router/a.py", "from time import monotonic\n"),
        (rules.clocks_and_dice, "core/router/a.py", "from time import monotonic as now\nclock = now\n"),
        (rules.clocks_and_dice, "sidecars/user/service.py", "import datetime\ndatetime.datetime.now()\n"),
        (rules.clocks_and_dice, "sidecars/user/service.py", "from datetime import datetime\ndatetime.utcnow()\n"),
        (rules.clocks_and_dice, "sidecars/user/service.py", "import random\n"),
        (rules.clocks_and_dice, "sidecars/user/service.py", "def f():\n    import secrets\n    secrets.token_hex()\n"),
        (rules.clocks_and_dice, "sidecars/user/service.py", "import os\nos.urandom(16)\n"),
        (rules.clocks_and_dice, "sidecars/user/service.py", "from uuid import uuid4\n"),
        (rules.threads_and_loops, "core/links/a.py", "import asyncio\n"),
        (rules.threads_and_loops, "sidecars/stores/embedded/a.py", "from threading import Lock\n"),
        (rules.threads_and_loops, "sidecars/user/service.py", "import trio\ntrio.to_thread.run_sync(f)\n"),
        (rules.lowlevel, "core/links/a.py", "import trio\ntrio.lowlevel.checkpoint()\n"),
        (rules.lowlevel, "core/links/a.py", "from trio import lowlevel\n"),
        (rules.lowlevel, "sidecars/process/a.py", "import trio.lowlevel\n"),
        (rules.core_imports_of_sidecars, "sidecars/user/service.py", "from core.router import sessions\n"),
        (rules.core_imports_of_sidecars, "sidecars/user/service.py", "from core import protocol\n"),
        (rules.core_imports_of_sidecars, "sidecars/user/service.py", "import core.bridge\n"),
        (rules.core_imports_of_sidecars, "sidecars/user/routes.py", "from core.rpc import server\n"),
        (rules.core_imports_of_sidecars, "sidecars/user/routes.py", "from core.protocol import websocket\n"),
        (
            rules.core_imports_of_sidecars,
            "sidecars/stores/embedded/log.py",
            "from core.router.ports import MessageLog\n",
        ),
        (rules.store_imports, "sidecars/user/service.py", "from sidecars.stores.embedded import accounts\n"),
        (rules.store_imports, "sidecars/user/routes.py", "from sidecars import stores\n"),
        (rules.skips, "tests/base/test_a.py", "import pytest\n@pytest.mark.skipif(True)\ndef test(): ...\n"),
        (rules.skips, "tests/base/test_a.py", "import pytest\nx = pytest.importorskip('x')\n"),
        (rules.skips, "tests/base/test_a.py", "from pytest import mark\n@mark.xfail\ndef test(): ...\n"),
        (rules.sleeps, "tests/base/test_a.py", "import time\ndef test(clock):\n    time.sleep(1)\n"),
        (rules.sleeps, "tests/base/test_a.py", "import trio\nasync def test():\n    await trio.sleep(1)\n"),
        (rules.sleeps, "tests/base/test_a.py", "from trio import sleep\nasync def test():\n    await sleep(1)\n"),
    ],
)
def test_planted_bad_code_is_caught(rule: Rule, path: str, code: str) -> None:
    assert list(rule(Source(path, code)))


@pytest.mark.parametrize(
    ("rule", "path", "code"),
    [
        (rules.long_files, "core/router/router.py", "x = 1\n" * rules.LINES_MAX),
        (rules.missing_docstrings, "core/router/slots.py", '"""Slots."""\n'),
        (rules.missing_docstrings, "tests/base/__init__.py", ""),
        (rules.clocks_and_dice, "core/base/clock.py", "import time\ntime.monotonic()\n"),
        (rules.clocks_and_dice, "core/router/a.py", "from core.base import clock\nclock.time()\n"),
        (rules.clocks_and_dice, "core/router/a.py", "def f(time, random):\n    return time.time(), random.random()\n"),
        (rules.clocks_and_dice, "core/router/a.py", "import hmac\nhmac.compare_digest(a, b)\n"),
        (rules.clocks_and_dice, "core/router/a.py", "from uuid import UUID\n"),
        (rules.threads_and_loops, "core/bridge/writer.py", "import threading\n"),
        (rules.lowlevel, "core/bridge/writer.py", "import trio\ntrio.lowlevel.current_trio_token()\n"),
        (
            rules.core_imports_of_sidecars,
            "sidecars/user/service.py",
            "from core.base import ids\nimport core.rules\n",
        ),
        (rules.core_imports_of_sidecars, "sidecars/user/rpc.py", "from core.rpc import server\n"),
        (rules.core_imports_of_sidecars, "sidecars/user/routes.py", "from core.protocol.envelope import page_json\n"),
        (rules.core_imports_of_sidecars, "sidecars/stores/embedded/log.py", "from core.bridge import writer\n"),
        (rules.core_imports_of_sidecars, "sidecars/process/all_in_one.py", "from core.process import build\n"),
        (rules.store_imports, "sidecars/process/all_in_one.py", "from sidecars.stores.embedded import log\n"),
        (rules.sleeps, "tests/base/test_a.py", "import trio\nasync def test(clock):\n    await trio.sleep(1)\n"),
    ],
)
def test_good_code_passes(rule: Rule, path: str, code: str) -> None:
    assert not list(rule(Source(path, code)))


def test_a_second_module_with_trio_lowlevel_is_counted() -> None:
    reactor = [Source(f"core/reactor/{name}.py", "import trio\ntrio.lowlevel.wait_readable(3)\n") for name in "ab"]
    assert len(rules.lowlevel_modules(reactor)) == 2
