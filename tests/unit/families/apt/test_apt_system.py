"""How Debian's family installs what was asked for, with Debian as the example."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from kube_provision_core import BootError, Packages, Repository, Role
from kube_provision_core.testing import cluster_of, node_of
from kube_provision_debian.driver import Debian


def packages(
    *components: str,
    versions: Mapping[str, str] | None = None,
    repositories: Mapping[str, Repository] | None = None,
    extra: frozenset[str] = frozenset(),
) -> Packages:
    return Debian({}).os_packages(
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


def test_a_mirror_of_the_system_is_vouched_for_by_its_own_key_in_all_its_parts() -> None:
    key = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n"
    mirrored = packages(repositories={"os": Repository("http://mirror/debian", key)})
    source = content(mirrored, "kube-provision-os.sources")
    assert source.count("Signed-By: /etc/apt/keyrings/kube-provision-os.asc") == 2
    assert content(mirrored, "kube-provision-os.asc") == key


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


@pytest.mark.parametrize(("state", "actions"), [("enabled", {"start"}), ("masked", set())])
def test_apts_timers_pause_during_the_boot_where_a_template_has_them(state: str, actions: set[str], tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    answers = '[ "$1" != is-enabled ] && [ "$1" != is-active ]' if state == "masked" else "true"
    (tmp_path / "systemctl").write_text(f'#!/bin/sh\necho "$1" >>{calls}\n{answers}\n')
    (tmp_path / "systemctl").chmod(0o755)
    fragment = Debian({}).render_boot(node_of("w-1", Role.WORKER), cluster_of())
    for step in fragment.steps:
        if step.name != "release":
            script = f"set -euo pipefail\nPATH={tmp_path}:$PATH\n{step.script}"
            ran = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
            assert ran.returncode == 0, ran.stderr
    done = set(calls.read_text().split()) - {"is-enabled", "is-active"}
    assert done == (actions and {"stop", "start"})
