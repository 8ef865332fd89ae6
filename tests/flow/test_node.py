"""The same server, seen by Node's `ws`: each script in node/ is a test of its own."""

import subprocess
from pathlib import Path

import pytest

from tests.harness.server import Server

SCRIPTS = Path(__file__).parent / "node"


@pytest.mark.parametrize("script", ["chat.mjs", "frames.mjs"])
def test_the_script_is_content(server: Server, script: str) -> None:
    done = subprocess.run(
        ["node", SCRIPTS / script, server.url], capture_output=True, text=True, timeout=90, check=False
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stdout + done.stderr
