"""Distributions as users get them: wheels, in environments that have nothing else.

program = environment(tmp_path / "env", *map(wheel, [ROOT, ROOT / "plugins/ubuntu"])) / "kube-provision"
"""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]

Done = subprocess.CompletedProcess[str]


def run(*command: str | Path, cwd: Path | None = None, **variables: str) -> Done:
    """Run to the end; nothing of this Python's own settings reaches the command."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment | variables,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def succeed(*command: str | Path, cwd: Path | None = None, **variables: str) -> str:
    """What the command says on stdout. Raises `AssertionError` with all it says if it fails."""
    done = run(*command, cwd=cwd, **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def projects() -> list[Path]:
    """The project itself and its plugins, as far as git knows them."""
    listed = succeed("git", "ls-files", "pyproject.toml", "plugins/*/pyproject.toml", cwd=ROOT)
    return [(ROOT / path).parent for path in listed.split()]


def distribution(project: Path) -> str:
    """The name under which a project is distributed."""
    name: str = tomllib.loads((project / "pyproject.toml").read_text())["project"]["name"]
    return name


@cache
def wheel(project: Path) -> Path:
    """Build a project's wheel, once per run."""
    folder = _folder() / distribution(project)
    succeed(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder, cwd=project)
    (built,) = folder.glob("*.whl")
    return built


def environment(folder: Path, *wanted: Path | str) -> Path:
    """A new environment with these wheels or requirements and what they depend on; the folder of its programs."""
    succeed(sys.executable, "-m", "venv", "--without-pip", folder)
    install(folder / "bin", *wanted)
    return folder / "bin"


def install(programs: Path, *wanted: Path | str) -> None:
    """Install into an environment, at the versions that the project is tested with."""
    uv("install", "--python", programs / "python", "--constraint", ROOT / "constraints.txt", *wanted)


def uninstall(programs: Path, name: str) -> None:
    uv("uninstall", "--python", programs / "python", name)


def uv(verb: str, *arguments: str | Path) -> None:
    """What pip does, in a tenth of its time."""
    succeed(Path(sys.executable).with_name("uv"), "pip", verb, "--quiet", *arguments)


@cache
def _folder() -> Path:
    """Removed when this process ends."""
    folder = Path(tempfile.mkdtemp(prefix="wheels-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
