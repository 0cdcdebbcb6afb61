"""The program, for as long as the one that started it lives: where stdin ends it is stopped, as by Ctrl-C.

A worker that was killed leaves no run behind that its successor would run into.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from importlib.metadata import entry_points

PATIENCE = 120.0
"""Seconds for what runs on the target, before that is left to itself."""


def main() -> int:
    threading.Thread(target=_stop_at_the_end_of_stdin, name="leash", daemon=True).start()
    (program,) = entry_points(group="console_scripts", name="kube-provision")
    code = program.load()()
    return int(code or 0)


def _stop_at_the_end_of_stdin() -> None:
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(PATIENCE)
    os.kill(os.getpid(), signal.SIGINT)


if __name__ == "__main__":
    sys.exit(main())
