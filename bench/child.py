"""Run a program and tell what it cost, as JSON in the file that is named first.

It stands between: a process inherits the peak memory of the one that it was forked from, so that one has to be small.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path


def main(result: str, *command: str) -> int:
    begin = time.perf_counter()
    with subprocess.Popen(command) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    cost = {
        "seconds": time.perf_counter() - begin,
        "processor_seconds": usage.ru_utime + usage.ru_stime,
        "peak_mib": usage.ru_maxrss / 1024,
    }
    Path(result).write_text(json.dumps(cost))
    return process.returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
