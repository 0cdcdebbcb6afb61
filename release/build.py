"""Every distribution as a wheel and as source; the wheel has its bill of materials where PEP 770 looks for one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from release import bill
from release.projects import Project

EPOCH = 1580601600
"""Seconds. hatchling dates files so unless it is told otherwise; a wheel is the same whenever it is built."""


def build(projects: Iterable[Project], folder: Path) -> None:
    """`packages/` has what is uploaded, `sboms/` each bill once more; what an earlier build put there goes, and nothing else
    of the folder. Raises `CalledProcessError` after what was said."""
    for part in (folder / "packages", folder / "sboms"):
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(partial(_build, folder=folder), projects))


def _build(project: Project, folder: Path) -> None:
    text = bill.bill(project.name, datetime.fromtimestamp(_epoch(), UTC))
    if fault := bill.fault(text):
        raise ValueError(f"{project.name}: {fault}")
    (folder / "sboms" / f"{project.name}-{project.version}.cdx.json").write_text(text)
    _run("build", "--no-isolation", "--outdir", folder / "packages", project.folder)
    stem = f"{project.name.replace('-', '_')}-{project.version}"
    (wheel,) = (folder / "packages").glob(f"{stem}-*.whl")
    _enclose(wheel, f"{project.name}.cdx.json", text)


def _enclose(wheel: Path, name: str, text: str) -> None:
    """Pack it anew with one file more."""
    with tempfile.TemporaryDirectory() as beside:
        _run("wheel", "unpack", wheel, "--dest", beside)
        (unpacked,) = Path(beside).iterdir()
        (sboms,) = (info / "sboms" for info in unpacked.glob("*.dist-info"))
        sboms.mkdir()
        (sboms / name).write_text(text)
        _run("wheel", "pack", unpacked, "--dest-dir", wheel.parent)


def _run(module: str, *arguments: str | Path) -> None:
    command = [sys.executable, "-m", module, *map(str, arguments)]
    environment = os.environ | {"SOURCE_DATE_EPOCH": str(_epoch())}
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)


def _epoch() -> int:
    return int(os.environ.get("SOURCE_DATE_EPOCH", EPOCH))
