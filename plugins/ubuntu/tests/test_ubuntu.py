"""How Ubuntu installs what was asked for."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from kube_provision_core import BootError, Packages, Repository, Role, Stage
from kube_provision_core.testing import OsContract, cluster_of, node_of
from kube_provision_ubuntu.driver import Ubuntu


class TestContract(OsContract):
    known_components = frozenset({"consul", "time-sync", "vmware-tools", "qemu-guest-agent"})

    @pytest.fixture
    def make_driver(self) -> Callable[[], Any]:
        return lambda: Ubuntu({})


def packages(
    *components: str,
    versions: Mapping[str, str] | None = None,
    repositories: Mapping[str, Repository] | None = None,
    extra: frozenset[str] = frozenset(),
) -> Packages:
    return Ubuntu({}).os_packages(
        frozenset(components or {"kubeadm"}), versions or {"kubeadm": "1.36.4"}, repositories or {}, extra
    )


def content(packages: Packages, name: str) -> str:
    (found,) = (str(file.content) for file in packages.files if file.path.endswith(f"/{name}"))
    return found


KUBERNETES = "kube-provision-kubernetes.sources"


@pytest.mark.parametrize(("version", "pin"), [("1.36.4", "=1.36.4-*"), ("1.36", "=1.36.*")])
def test_a_version_pins_all_three_packages_whatever_their_revision(version: str, pin: str) -> None:
    names = packages(versions={"kubeadm": version}).names
    assert {f"kubeadm{pin}", f"kubelet{pin}", f"kubectl{pin}"} <= set(names)


def test_upstream_has_a_repository_for_each_minor() -> None:
    assert "URIs: https://pkgs.k8s.io/core:/stable:/v1.35/deb/\nSuites: /\n" in content(
        packages(versions={"kubeadm": "1.35.1"}), KUBERNETES
    )


def test_a_mirror_takes_the_place_of_upstream_and_brings_its_key() -> None:
    key = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n"
    mirrored = packages(repositories={"kubernetes": Repository("http://mirror/k8s/", key)})
    assert "URIs: http://mirror/k8s/\n" in content(mirrored, KUBERNETES)
    assert "Signed-By: /etc/apt/keyrings/kube-provision-kubernetes.asc" in content(mirrored, KUBERNETES)
    assert content(mirrored, "kube-provision-kubernetes.asc") == key
    assert "https://" not in mirrored.steps[0].script


def test_a_mirror_without_a_key_is_vouched_for_by_the_systems_keys() -> None:
    mirrored = packages(repositories={"kubernetes": Repository("http://mirror/k8s/")})
    assert "Signed-By" not in content(mirrored, KUBERNETES)


def test_a_mirror_of_the_system_takes_the_place_of_its_sources() -> None:
    mirrored = packages(repositories={"os": Repository("http://mirror/ubuntu")})
    source = content(mirrored, "kube-provision-os.sources")
    assert "Suites: @CODENAME@ @CODENAME@-updates @CODENAME@-security\nComponents: main universe\n" in source
    assert "Signed-By: /usr/share/keyrings/ubuntu-archive-keyring.gpg" in source
    assert "replaced=(/etc/apt/sources.list /etc/apt/sources.list.d/ubuntu.sources)" in mirrored.steps[0].script


def test_consul_comes_from_its_makers() -> None:
    consul = packages("consul", versions={"consul": "1.21.0"})
    assert consul.names == ("consul=1.21.0-*",)
    assert "URIs: https://apt.releases.hashicorp.com\nSuites: @CODENAME@\nComponents: main\n" in content(
        consul, "kube-provision-consul.sources"
    )


def test_only_the_proxy_of_ours_runs_nginx() -> None:
    assert "masked=(nginx.service)" in packages("tcp-proxy").steps[0].script


def test_no_two_machines_of_different_components_need_different_sources() -> None:
    assert packages("vmware-tools").files == ()


@pytest.mark.parametrize("name", ["--purge", "a b", "-o", "Foo"])
def test_what_is_no_name_of_a_package_is_refused(name: str) -> None:
    with pytest.raises(BootError, match=f"packages: {name}: is no name"):
        packages(extra=frozenset({name}))


def test_kubernetes_needs_a_version() -> None:
    with pytest.raises(BootError, match="component kubeadm: a version is needed"):
        packages("kubeadm", versions={"consul": "1.21.0"})


RELEASES = {
    "22.04": ("ubuntu", 0),
    "24.04": ("ubuntu", 0),
    "26.04": ("ubuntu", 0),
    "25.10": ("ubuntu", 1),
    "12": ("debian", 1),
}


@pytest.mark.parametrize("version", RELEASES)
def test_another_system_is_refused_with_a_diagnosis(version: str, tmp_path: Path) -> None:
    system, code = RELEASES[version]
    release = tmp_path / "os-release"
    release.write_text(f'ID={system}\nVERSION_ID="{version}"\nPRETTY_NAME="{system.title()} {version}"\n')
    fragment = Ubuntu({}).render_boot(node_of("w-1", Role.WORKER), cluster_of())
    (step,) = (step for step in fragment.steps if step.name == "release")
    assert (step.stage, step.attempts) == (Stage.PREPARE, 1)
    script = f"set -euo pipefail\n{step.script.replace('/etc/os-release', str(release))}"
    ran = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert ran.returncode == code, ran.stderr
    assert ("the template runs" in ran.stderr) == bool(code)
