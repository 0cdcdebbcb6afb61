"""The contract suite, and what Debian has of its own; what its family has in common is tested there."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from kube_provision_core import Repository, Role, Stage
from kube_provision_core.testing import cluster_of, node_of
from kube_provision_debian.contract import TestContract
from kube_provision_debian.driver import Debian

__all__ = ["TestContract"]


@pytest.mark.parametrize("url", ["http://mirror/debian", "http://mirror/debian/"])
def test_a_mirror_of_the_system_takes_the_place_of_its_sources(url: str) -> None:
    mirrors = {"os": Repository(url)}
    mirrored = Debian({}).os_packages(frozenset({"tcp-proxy"}), {}, mirrors, frozenset())
    (source,) = (str(file.content) for file in mirrored.files)
    assert source == (
        f"Types: deb\nURIs: {url}\nSuites: @CODENAME@ @CODENAME@-updates\nComponents: main\n"
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\n"
        "Types: deb\nURIs: http://mirror/debian-security\nSuites: @CODENAME@-security\nComponents: main\n"
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
    )
    assert "replaced=(/etc/apt/sources.list /etc/apt/sources.list.d/debian.sources)" in mirrored.steps[0].script


RELEASES = {"12": ("debian", 0), "13": ("debian", 0), "11": ("debian", 1), "14": ("debian", 1), "24.04": ("ubuntu", 1)}


@pytest.mark.parametrize("version", RELEASES)
def test_another_system_is_refused_with_a_diagnosis(version: str, tmp_path: Path) -> None:
    system, code = RELEASES[version]
    release = tmp_path / "os-release"
    release.write_text(f'ID={system}\nVERSION_ID="{version}"\nPRETTY_NAME="{system.title()} {version}"\n')
    fragment = Debian({}).render_boot(node_of("w-1", Role.WORKER), cluster_of())
    (step,) = (step for step in fragment.steps if step.name == "release")
    assert (step.stage, step.attempts) == (Stage.PREPARE, 1)
    script = f"set -euo pipefail\n{step.script.replace('/etc/os-release', str(release))}"
    ran = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert ran.returncode == code, ran.stderr
    assert ("the template runs" in ran.stderr) == bool(code)
