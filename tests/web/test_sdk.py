"""The web client's protocol layer is tested in its own language; this runs those tests with the others."""

import shutil
import subprocess
from pathlib import Path

WEB = Path(__file__).parent.parent.parent / "web"
TIMEOUT_S = 120


def test_the_web_sdks_own_tests_pass() -> None:
    node = shutil.which("node")
    assert node, "node is missing: `make test` installs it"
    # By name: what `node --test` makes of a folder depends on its version.
    files = sorted(str(path) for path in WEB.glob("sdk/tests/*.test.js"))
    assert files
    run = subprocess.run([node, "--test", *files], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_web_sdk_imports_nothing_from_outside_its_folder() -> None:
    for path in WEB.glob("sdk/*.js"):
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith(("import ", "export ")) and ' from "' in line:
                assert ' from "./' in line, f"{path.name}: {line}"
