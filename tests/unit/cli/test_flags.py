"""Flags that plugins bring: known, shown and taken before any plugin is imported."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import click
import pytest

from kube_provision_core.cli.flags import brought
from kube_provision_core.cli.input import Input
from kube_provision_core.cli.options import configuration
from kube_provision_core.cli.program import SUMMARIES

SITE = Path(__file__).with_name("flag_site")
PROGRAM = Path(sys.executable).with_name("kube-provision")
PLUGINS = Path(__file__).parents[3] / "plugins"


def said(*arguments: str) -> str:
    """What the program prints where a distribution with flags is installed, whose module cannot be imported."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(SITE), *sys.path])}
    ran = subprocess.run([PROGRAM, *arguments], env=environment, capture_output=True, text=True, timeout=60)
    return ran.stdout + ran.stderr


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SITE))


@pytest.mark.parametrize("command", [[], ["provision"], ["schema"]])
def test_help_shows_them(command: list[str]) -> None:
    assert "--table-address TEXT Address of an existing service." in " ".join(said(*command, "--help").split())


def test_they_set_their_keys(site: None) -> None:
    caught: list[Input] = []
    command = click.command()(configuration(lambda given, **_: caught.append(given)))
    command.main(["--table-address", "10.0.0.1"], standalone_mode=False)
    assert caught[0].flags == {"table_address": "10.0.0.1"}


def test_said_twice_they_are_a_list(site: None) -> None:
    caught: list[Input] = []
    command = click.command()(configuration(lambda given, **_: caught.append(given)))
    command.main(["--table-address", "10.0.0.1", "--table-address", "10.0.0.2"], standalone_mode=False)
    assert caught[0].flags == {"table_address": "10.0.0.1,10.0.0.2"}


def test_what_the_core_or_the_command_has_is_not_theirs(site: None) -> None:
    yes = click.option("--yes", is_flag=True, help="Ours.")
    command = click.command()(configuration(yes(lambda **_: None)))
    helps = {param.opts[0]: param.help for param in command.params if isinstance(param, click.Option)}
    assert (helps["--yes"], helps["--masters"]) == ("Ours.", "How many masters (3).")
    names = [name for param in command.params for name in (*param.opts, *param.secondary_opts)]
    assert len(names) == len(set(names))


def test_what_no_key_can_be_called_is_no_flag(site: None) -> None:
    assert brought()["table_address"] == "Address of an existing service."
    assert not [key for key in brought() if not key.isidentifier() or key != key.lower()]


def test_folders_that_are_none_and_distributions_that_cannot_be_read_bring_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "bare-1.dist-info").mkdir()
    (tmp_path / "odd-1.dist-info").mkdir()
    (tmp_path / "odd-1.dist-info" / "entry_points.txt").write_bytes(
        b"[kube_provision.flag]\n\xff\xfe: x = y\nno_text = a:b\n"
    )
    monkeypatch.setattr(sys, "path", [str(tmp_path / "gone"), str(tmp_path / "file"), str(tmp_path)])
    assert brought() == {}


def test_those_of_our_plugins_are_keys_of_the_class_that_they_name() -> None:
    found = []
    for project in PLUGINS.glob("*/pyproject.toml"):
        flags = tomllib.loads(project.read_text())["project"].get("entry-points", {}).get("kube_provision.flag", {})
        for name, value in flags.items():
            module, _, cls = value.partition(":")
            key = name.partition(":")[0]
            assert key in getattr(import_module(module), cls).model_fields
            assert key in brought(), "its distribution is installed"
            found.append(key)
    assert found == ["consul_ip"]


@pytest.mark.parametrize("name", ["--help", *(f"{name} --help" for name in SUMMARIES)])
def test_help_needs_no_more_than_their_files(name: str) -> None:
    probe = "import sys; from kube_provision_core.cli import main; main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    ran = subprocess.run(
        [sys.executable, "-c", probe, *name.split()], capture_output=True, text=True, timeout=60, check=True
    )
    assert "importlib.metadata" not in ran.stderr.split()
