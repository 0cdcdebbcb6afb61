"""Whose home folder it is, also where the environment says nothing."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from kube_provision_core.contract.errors import ConfigError
from kube_provision_core.contract.home import home, xdg_folder
from kube_provision_core.contract.local_paths import LocalPath
from kube_provision_core.folder.kubectl_file import kubectl_file
from kube_provision_core.folder.on_disk import default_state

NOBODY = 2**31 - 5
"""A user whom no system lists."""

WHERE: list[Callable[[Mapping[str, str]], Path]] = [home, kubectl_file, default_state]


@pytest.mark.parametrize("environ", [{}, {"HOME": ""}], ids=["unset", "empty"])
def test_it_is_the_systems_and_never_the_root_of_all_folders(environ: dict[str, str], monkeypatch) -> None:
    monkeypatch.setenv("HOME", environ.get("HOME", ""))
    there = Path(pwd.getpwuid(os.getuid()).pw_dir)
    assert home(environ) == there
    assert default_state(environ) == there / ".local/state/kube-provision"


def test_a_path_below_it_is_no_path_below_the_root_where_home_is_empty(monkeypatch) -> None:
    monkeypatch.setenv("HOME", "")
    path = TypeAdapter(LocalPath).validate_python("~/image.qcow2")
    assert path == Path(pwd.getpwuid(os.getuid()).pw_dir) / "image.qcow2"
    monkeypatch.setattr(os, "getuid", lambda: NOBODY)
    with pytest.raises(ValidationError, match="names a home folder that does not exist"):
        TypeAdapter(LocalPath).validate_python("~/image.qcow2")


@pytest.mark.parametrize("setting", ["", "relative"])
def test_a_setting_that_is_no_absolute_path_says_nothing(setting: str) -> None:
    environ = {"HOME": "/home/me", "XDG_DATA_HOME": setting}
    assert xdg_folder(environ, "XDG_DATA_HOME", ".local/share") == Path("/home/me/.local/share/kube-provision")


@pytest.mark.parametrize("where", WHERE)
def test_who_has_none_is_told_so(where: Callable[[Mapping[str, str]], Path], monkeypatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: NOBODY)
    with pytest.raises(ConfigError, match=rf"^user {NOBODY} has no home folder here: set HOME$"):
        where({})


def test_who_has_none_needs_none_where_the_place_is_named(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: NOBODY)
    assert default_state({"XDG_STATE_HOME": str(tmp_path)}) == tmp_path / "kube-provision"
    assert kubectl_file({"KUBECONFIG": f"{tmp_path}/config"}) == tmp_path / "config"
