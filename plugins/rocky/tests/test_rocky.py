"""The contract suites, and what Rocky Linux and AlmaLinux have of their own; their family's tests have the rest."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from kube_provision_core import DnfConfig, DnfSystem, Packages, Repository, Role
from kube_provision_rocky.contract import TestAlmaLinux, TestRocky
from kube_provision_rocky.driver import AlmaLinux, Rocky

__all__ = ["TestAlmaLinux", "TestRocky"]


def mirrored(of: type[DnfSystem]) -> Packages:
    return of(dict.fromkeys(Role, DnfConfig())).os_packages(
        frozenset({"tcp-proxy"}), {}, {"os": Repository("http://mirror/it/")}, frozenset()
    )


@pytest.mark.parametrize("of", [Rocky, AlmaLinux])
def test_a_mirror_has_a_folder_for_each_release(of: type[DnfSystem]) -> None:
    definitions = "".join(str(file.content) for file in mirrored(of).files if file.path.endswith(".repo"))
    for part in ("BaseOS", "AppStream"):
        assert f"baseurl=http://mirror/it/$releasever/{part}/$basearch/os/\n" in definitions


@pytest.mark.parametrize(
    ("of", "theirs", "trusted"),
    [
        (Rocky, ("rocky.repo", "rocky-extras.repo"), "RPM-GPG-KEY-Rocky-9"),
        (AlmaLinux, ("almalinux-baseos.repo", "almalinux-appstream.repo"), "RPM-GPG-KEY-AlmaLinux-10"),
    ],
)
def test_a_mirror_takes_the_place_of_the_systems_repositories_and_its_key_vouches_for_it(
    of: type[DnfSystem], theirs: tuple[str, ...], trusted: str, tmp_path: Path
) -> None:
    definitions, keys = tmp_path / "etc/yum.repos.d", tmp_path / "etc/pki/rpm-gpg"
    for path in (*(definitions / name for name in (*theirs, "epel.repo")), keys / trusted, keys / f"{trusted}-Testing"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "rpm").write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/asked\n')
    (tmp_path / "rpm").chmod(0o755)
    (step,) = (step for step in mirrored(of).steps if step.name == "repositories")
    command = ["bash", "-euo", "pipefail", "-c", step.script.replace("/etc/", f"{tmp_path}/etc/")]
    for _ in range(2):
        subprocess.run(command, env={"PATH": f"{tmp_path}:{os.environ['PATH']}"}, check=True, timeout=60)
    left = {path.name for path in definitions.iterdir()}
    assert left == {"epel.repo", *(f"{name}.disabled" for name in theirs)}
    assert (tmp_path / "asked").read_text() == f"--import {keys}/{trusted}\n" * 2
