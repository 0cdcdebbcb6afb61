"""Images of Kubernetes' programs, which tell whether they take an argument, and nothing else.

image(tmp_path / "scheduler.tar", "registry.k8s.io/kube-scheduler:v1.37.0")
"""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

from machines.images import write_image
from servers.cache import locked
from servers.debian import install
from servers.simulator import build_environment

SOURCE = Path(__file__).parent / "takes/main.go"


def image(path: Path, name: str) -> None:
    """An archive with the image of that name, which holds its program where upstream's does."""
    program = name.rpartition("/")[2].partition(":")[0]
    write_image(path, name, {f"usr/local/bin/{program}": _built().read_bytes()})


def _built() -> Path:
    install("golang-go")
    digest = hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]
    with locked("programs") as cache:
        program = cache / f"programs-{digest}"
        if not program.exists():
            unfinished = program.with_suffix(".new")
            command = ["go", "build", "-o", str(unfinished), str(SOURCE)]
            subprocess.run(command, env=build_environment(), capture_output=True, timeout=600, check=True)
            unfinished.replace(program)
    return program
