"""etcd's own tool for what is on a disk, as the image of a newer etcd brings it: built of the one that Debian has.

tool = build()
image(tmp_path / "etcd.tar", "registry.k8s.io/etcd:3.6.8-0")
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

from machines.images import write_image
from servers.cache import locked
from servers.debian import install
from servers.simulator import build_environment

SOURCES = Path(__file__).parent / "revisions"
SCRIPT = Path(__file__).parents[1] / "machines/standins/etcdutl.sh"


def build() -> Path:
    """A folder with `etcdutl`, and what it needs besides etcdctl."""
    install("golang-go", "golang-github-coreos-bbolt-dev", "etcd-client")
    source = SOURCES / "main.go"
    digest = hashlib.sha256(source.read_bytes() + SCRIPT.read_bytes()).hexdigest()[:16]
    with locked("etcdutl") as cache:
        folder = cache / f"etcdutl-{digest}"
        if not folder.exists():
            _make(folder)
    return folder


def _make(folder: Path) -> None:
    part = folder.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    command = ["go", "build", "-o", str(part / "revisions"), "."]
    done = subprocess.run(
        command, cwd=SOURCES, env=build_environment(), capture_output=True, text=True, timeout=600, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"etcdutl does not build:\n{done.stderr}")
    shutil.copy(SCRIPT, part / "etcdutl")
    (part / "etcdutl").chmod(0o755)
    part.rename(folder)


def image(path: Path, name: str) -> None:
    """An archive with the image of that name, which holds the tool where etcd's own does."""
    tool = build()
    write_image(path, name, {f"usr/local/bin/{file.name}": file.read_bytes() for file in sorted(tool.iterdir())})
