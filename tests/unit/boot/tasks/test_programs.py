"""A program travels with all that it imports, and runs from there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import kube_provision_node
from kube_provision_core.boot.tasks.programs import FOLDER, closure, command

PROGRAMS = sorted(path.stem for path in Path(*kube_provision_node.__path__).glob("*.py") if path.stem != "__init__")


def unpack(program: str, root: Path) -> None:
    for file in closure(program):
        path = root / file.path.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(file.content))


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_program_is_whole_by_itself(program: str, tmp_path: Path) -> None:
    """Also what it imports only when it is needed must be there: all names are resolved."""
    unpack(program, tmp_path)
    folder = tmp_path / FOLDER.lstrip("/")
    modules = sorted(path.stem for path in (folder / "kube_provision_node").glob("*.py"))
    script = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(f'kube_provision_node.{name}')"
    command = [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(folder)!r})\n{script}", *modules]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert done.returncode == 0, done.stderr


def test_templates_travel_with_who_fills_them_in() -> None:
    names = {Path(file.path).name for file in closure("follower")}
    assert {"nginx.conf", "listener.conf", "proxy.py", "__init__.py"} <= names
    assert "upgrade.py" not in names


def test_it_comes_before_what_the_machine_was_made_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And finds discovery's client, which is the machine's own."""
    unpack("upgrade", tmp_path)
    old = tmp_path / "usr/local/lib/kube-provision"
    (old / "kube_provision_node").mkdir()
    (old / "kube_provision_node/__init__.py").write_text("")
    (old / "kube_provision_node/client.py").write_text("raise ImportError('of an earlier version')\n")
    (old / "discovery.py").write_text(
        "class UnavailableError(Exception): ...\ndef connect(node, folder): print('connected')\n"
    )
    (tmp_path / "etc/kube-provision").mkdir(parents=True)
    (tmp_path / "etc/kube-provision/node.json").write_text("{}")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    here = command("upgrade", f"worker 1.37.2 --root {tmp_path}").replace("/usr/local", f"{tmp_path}/usr/local")
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", here], capture_output=True, text=True, timeout=60)
    assert done.stdout == "connected\n"
    assert "kubeadm" in done.stderr, done.stderr


def test_comments_stay_at_home() -> None:
    assert '"""Idempotent' not in "".join(str(file.content) for file in closure("upgrade"))
