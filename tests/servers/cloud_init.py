"""cloud-init's own program, loaded once: to start it takes thirty times as long as to check a file with it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

SERVE = """
import json, os, signal, sys
from cloudinit.cmd.main import main

for line in sys.stdin:
    sys.argv, limit, *files = json.loads(line)
    child = os.fork()
    if child == 0:
        signal.alarm(limit)
        for number, file in enumerate(files, start=1):
            os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        sys.exit(main())
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
"""Each command runs in a process of its own, as it would without us."""

LIMIT = 120
"""Seconds for one command; then it is killed."""


class CloudInit:
    """A context manager. `program` is the installed `cloud-init`; its first line names the Python that has the library."""

    def __init__(self, program: Path) -> None:
        with program.open() as file:
            python = file.readline().removeprefix("#!").split()
        self._server = subprocess.Popen(
            [*python, "-c", SERVE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def __enter__(self) -> CloudInit:
        return self

    def __exit__(self, *_: Any) -> None:
        self._server.communicate(timeout=LIMIT)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`cloud-init` with these arguments."""
        assert self._server.stdin
        assert self._server.stdout
        command = ["cloud-init", *arguments]
        with TemporaryDirectory() as folder:
            said = [Path(folder, name) for name in ("output", "errors")]
            self._server.stdin.write(json.dumps([command, LIMIT, *map(str, said)]) + "\n")
            code = int(self._server.stdout.readline())
            return subprocess.CompletedProcess(command, code, *(file.read_text() for file in said))
