"""The server on a disk that forgets: SIGUSR1 is the power cut. The argument seeds what of the unsynced survives."""

import random
import signal
import sys

from sidecars.process.__main__ import main
from tests.faults.forgetful_vfs import ForgetfulVFS

if __name__ == "__main__":
    ForgetfulVFS(is_default=True, rng=random.Random(int(sys.argv[1]))).cut_on(signal.SIGUSR1)
    sys.exit(main(["run"]))
