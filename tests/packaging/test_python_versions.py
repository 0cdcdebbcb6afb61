"""A newer Python than the one that tests run with: all distributions, and tests of some rooms, in a tree of Debian 13."""

from __future__ import annotations

import json
import shlex
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from machines.image import TRIXIE, image
from servers.wheels import ROOT, distribution, projects, succeed, uv, wheel

VERSION = "3.13"
ROOMS = (
    *("folder", "node", "public_api", "registry"),
    *(pytest.param(room, marks=pytest.mark.night) for room in ("cluster", "config", "engine", "verbs")),
)
"""Of `tests/unit`: those that need nothing but Python. What Debian 13 boots is run by this very Python, so that `node` shows
most; those that take longest wait for the night. The others need programs that the tree lacks (shellcheck, dnf, firewalld,
mypy), and `testing` takes as long as all of these."""
VARIABLES = ("PYTHONPATH=/mnt", "PYTHONDONTWRITEBYTECODE=1", "HYPOTHESIS_STORAGE_DIRECTORY=/tmp/hypothesis")
Run = Callable[..., str]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is installed for the other Python from this one."""
    folder = tmp_path_factory.mktemp("other") / "site"
    there = ("--target", folder, "--python-version", VERSION, "--only-binary", ":all:")
    uv(
        "install",
        *there,
        "--constraint",
        ROOT / "constraints.txt",
        *map(wheel, projects()),
        "pytest",
        "hypothesis",
        "jsonschema",
    )
    return folder


@pytest.fixture(scope="module")
def run(site: Path) -> Run:
    """That Python in its tree, with this checkout as its folder; nothing is written to either.

    The tree becomes the root: under `chroot` the kernel would make none of the namespaces that tests want."""
    root = image(TRIXIE).root

    def python(*arguments: str) -> str:
        command = shlex.join(["env", *VARIABLES, "python3", *arguments])
        script = f"""
            mount --bind {root} {root}
            mount --bind {site} {root}/mnt
            mount --bind --options ro {ROOT} {root}/srv
            mount --types tmpfs tmpfs {root}/tmp
            mount --rbind /dev {root}/dev
            mount --types proc proc {root}/proc
            cd {root}
            pivot_root . .
            umount --lazy .
            cd /srv
            exec {command}
        """
        return succeed("unshare", "--mount", "--propagation", "private", "sh", "-euc", script)

    return python


def test_it_is_that_python(run: Run) -> None:
    assert run("-c", "import sys; print('%d.%d' % sys.version_info[:2])").strip() == VERSION


def test_every_driver_is_found_and_works(run: Run) -> None:
    found = json.loads(run("/mnt/bin/kube-provision", "plugins", "--output", "json"))
    assert {plugin["distribution"] for plugin in found} == set(map(distribution, filter(_has_drivers, projects())))
    assert [plugin["problem"] for plugin in found if plugin["problem"]] == []


def _has_drivers(project: Path) -> bool:
    return project != ROOT and "entry-points" in tomllib.loads((project / "pyproject.toml").read_text())["project"]


@pytest.mark.parametrize("room", ROOMS)
def test_the_tests_of_most_rooms_pass(run: Run, room: str) -> None:
    assert " passed" in run("-m", "pytest", "-q", "-p", "no:cacheprovider", f"tests/unit/{room}")
