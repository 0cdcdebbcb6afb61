"""The README's ways of installing, with uv and pipx: its own commands, on distributions as they are published."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from servers.wheels import ROOT, projects, succeed, wheel

from release.versions import said

PROGRAMS = Path(sys.executable).parent
WANTED = {"kube-provision-vsphere", "kube-provision-ubuntu", "kube-provision-consul"}
PLUGIN = "kube-provision-site"


def commands(installer: str) -> list[str]:
    """In the order of the page."""
    return re.findall(rf"^ *({installer} .*)$", (ROOT / "README.md").read_text(), re.MULTILINE)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    for built in (*map(wheel, projects()), wheel(ROOT / "examples/plugin")):
        shutil.copy(built, folder)
    (folder / "constraints.txt").write_text(f"{(ROOT / 'constraints.txt').read_text()}kube-provision=={said()}\n")
    return folder


@pytest.fixture
def environment(wheels: Path, tmp_path: Path) -> Mapping[str, str]:
    """An operator's home with nothing in it; what was fetched before is kept where it is."""
    cache = os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))
    path = {
        "HOME": str(tmp_path),
        "XDG_CACHE_HOME": cache,
        "PATH": f"{tmp_path / '.local/bin'}:{PROGRAMS}:{os.environ['PATH']}",
    }
    uv = {"UV_FIND_LINKS": str(wheels), "UV_CONSTRAINT": str(wheels / "constraints.txt"), "UV_PYTHON": sys.executable}
    links = f"{wheels} {os.environ.get('PIP_FIND_LINKS', '')}"
    pip = {"PIP_FIND_LINKS": links, "PIP_CONSTRAINT": str(wheels / "constraints.txt"), "PIPX_DEFAULT_PYTHON": sys.executable}
    return {**path, **uv, **pip}


@pytest.mark.parametrize("installer", ["uv tool install", "pipx"])
def test_drivers_come_along_and_a_plugin_joins_them(
    installer: str, environment: Mapping[str, str], wheels: Path, tmp_path: Path
) -> None:
    first, *_, joins = [it for it in commands(installer) if "./plugins" not in it and "qemu" not in it]
    succeed("sh", "-euc", first, cwd=wheels, **environment)
    assert installed(tmp_path, environment) == WANTED
    succeed("sh", "-euc", joins, cwd=wheels, **environment)
    assert installed(tmp_path, environment) == WANTED | {PLUGIN}


def test_a_checkout_is_installed(environment: Mapping[str, str], tmp_path: Path) -> None:
    (command,) = (it for it in commands("uv tool install") if "./plugins" in it)
    succeed("sh", "-euc", command, cwd=ROOT, **environment)
    assert installed(tmp_path, environment) == WANTED


def installed(home: Path, environment: Mapping[str, str]) -> set[str]:
    listed = json.loads(succeed(home / ".local/bin/kube-provision", "plugins", "--output", "json", **environment))
    return {plugin["distribution"] for plugin in listed}
