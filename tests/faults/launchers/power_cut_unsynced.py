"""PLANTED FAULT: as power_cut, but the store never waits for the disk."""

import signal
import sys

from sidecars.process.__main__ import main
from sidecars.stores.embedded import database
from tests.faults.forgetful_vfs import ForgetfulVFS

if __name__ == "__main__":
    ForgetfulVFS(is_default=True).cut_on(signal.SIGUSR1)
    database._SYNCHRONOUS = "off"  # type: ignore[misc]
    sys.exit(main(["run"]))
