"""How RHEL's family installs what was asked for, with CentOS as the example."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from kube_provision_centos.driver import CentOS
from kube_provision_core import BootError, DnfConfig, Packages, Repository, Role
from kube_provision_core.testing import cluster_of, node_of


def driver(**keys: Any) -> CentOS:
    return CentOS(dict.fromkeys(Role, DnfConfig(**keys)))


def packages(
    *components: str,
    versions: Mapping[str, str] | None = None,
    repositories: Mapping[str, Repository] | None = None,
    extra: frozenset[str] = frozenset(),
) -> Packages:
    wanted = frozenset(components or {"kubeadm"})
    return driver().os_packages(wanted, versions or {"kubeadm": "1.36.4"}, repositories or {}, extra)


def content(packages: Packages, name: str) -> str:
    (found,) = (str(file.content) for file in packages.files if file.path.endswith(f"/{name}"))
    return found


def script(packages: Packages, name: str) -> str:
    (found,) = (step.script for step in packages.steps if step.name == name)
    return found


KUBERNETES = "kube-provision-kubernetes.repo"


@pytest.mark.parametrize(("version", "pin"), [("1.36.4", "-1.36.4-*"), ("1.36", "-1.36.*")])
def test_a_version_pins_all_three_packages_whatever_their_release(version: str, pin: str) -> None:
    names = packages(versions={"kubeadm": version}).names
    assert {f"kubeadm{pin}", f"kubelet{pin}", f"kubectl{pin}"} <= set(names)


def test_upstream_has_a_repository_for_each_minor_and_signs_it() -> None:
    definition = content(packages(versions={"kubeadm": "1.35.1"}), KUBERNETES)
    url = "https://pkgs.k8s.io/core:/stable:/v1.35/rpm/"
    assert f"baseurl={url}\nenabled=1\ngpgcheck=1\nskip_if_unavailable=False\n" in definition
    assert f"\ngpgkey={url}repodata/repomd.xml.key\n" in definition


def test_updates_of_the_system_do_not_see_the_clusters_packages_and_the_boot_does() -> None:
    asked = packages()
    assert "excludepkgs=cri-tools,kubeadm,kubectl,kubelet,kubernetes-cni\n" in content(asked, KUBERNETES)
    assert "unlocked=(kube-provision-kubernetes)" in script(asked, "packages")


def test_a_mirror_takes_the_place_of_upstream_and_brings_its_key() -> None:
    key = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n"
    mirrored = packages(repositories={"kubernetes": Repository("http://mirror/k8s/", key)})
    assert "baseurl=http://mirror/k8s/\n" in content(mirrored, KUBERNETES)
    assert "gpgkey=file:///etc/pki/rpm-gpg/kube-provision-kubernetes.asc\n" in content(mirrored, KUBERNETES)
    assert content(mirrored, "kube-provision-kubernetes.asc") == key


def test_a_mirror_without_a_key_is_vouched_for_by_the_systems_keys() -> None:
    definition = content(packages(repositories={"kubernetes": Repository("http://mirror/k8s/")}), KUBERNETES)
    assert "gpgcheck=1" in definition
    assert "gpgkey" not in definition


def test_a_mirror_of_the_system_takes_the_place_of_its_repositories() -> None:
    mirrored = packages(repositories={"os": Repository("http://mirror/centos/")})
    for part in ("BaseOS", "AppStream"):
        definition = content(mirrored, f"kube-provision-os-{part.lower()}.repo")
        assert f"baseurl=http://mirror/centos/$stream/{part}/$basearch/os/\n" in definition
    assert [step.name for step in mirrored.steps][:2] == ["repositories", "kernel-modules"]


def test_the_container_runtime_comes_from_docker_and_consul_from_its_makers() -> None:
    both = packages("container-runtime", "consul", versions={"consul": "1.22.1"})
    assert both.names == ("consul-1.22.1-*", "containerd.io", "container-selinux")
    docker = "baseurl=https://download.docker.com/linux/centos/$releasever/$basearch/stable\n"
    assert docker in content(both, "kube-provision-container-runtime.repo")
    hashicorp = "baseurl=https://rpm.releases.hashicorp.com/RHEL/$releasever/$basearch/stable\n"
    assert hashicorp in content(both, "kube-provision-consul.repo")


def test_only_the_proxy_of_ours_runs_nginx() -> None:
    assert "masked=(nginx.service)" in script(packages("tcp-proxy"), "packages")


def test_what_debian_would_start_by_itself_is_started() -> None:
    installing = script(packages("vmware-tools", "time-sync"), "packages")
    assert "started=(chronyd.service vmtoolsd.service)" in installing
    assert "enabled=(chronyd.service vmtoolsd.service)" in installing


def test_machines_that_run_no_kubelet_get_nothing_of_it() -> None:
    discovery = packages("consul", versions={})
    assert [step.name for step in discovery.steps] == ["packages"]


@pytest.mark.parametrize("name", ["--setopt=x", "a b", "-y", "$(id)"])
def test_what_is_no_name_of_a_package_is_refused(name: str) -> None:
    with pytest.raises(BootError, match="is no name of a package"):
        packages(extra=frozenset({name}))


def test_groups_and_versions_of_packages_are_names() -> None:
    assert packages(extra=frozenset({"@debugging", "htop-3.*", "NetworkManager"})).names[-3:] == (
        "@debugging",
        "NetworkManager",
        "htop-3.*",
    )


def test_kubernetes_needs_a_version() -> None:
    with pytest.raises(BootError, match="component kubeadm: a version is needed"):
        packages("kubeadm", versions={"consul": "1.21.0"})


@pytest.mark.parametrize(
    ("port", "role", "asks"), [(8443, Role.WORKER, False), (7443, Role.WORKER, True), (7443, Role.DISCOVERY, False)]
)
def test_selinux_is_asked_to_let_nginx_listen_where_it_does_not_by_itself(port: int, role: Role, asks: bool) -> None:
    fragment = driver().render_boot(node_of("n-1", role), replace(cluster_of("prod"), proxy_port=port))
    scripts = [step.script for step in fragment.steps if step.name == "proxy-port"]
    assert [f"ports=({port})" in script and "semanage port" in script for script in scripts] == [True] * asks
    assert ("policycoreutils-python-utils" in fragment.packages) is asks


@pytest.mark.parametrize(
    "port", ["80", "80/icmp", "http/tcp", "80/tcp;reboot", "-1/tcp", "0/tcp", "65536/udp", "90-80/tcp", "80-70000/tcp"]
)
def test_what_is_no_port_is_refused(port: str) -> None:
    with pytest.raises(ValidationError):
        DnfConfig(firewall_ports=[port])


def test_a_pools_workers_are_opened_and_limited_as_workers_are() -> None:
    pool = Role.of_pool("gpu")
    system = CentOS({Role.WORKER: DnfConfig(), pool: DnfConfig()})
    plain, of_pool = (system.render_boot(node_of("x-1", role), cluster_of("prod")) for role in (Role.WORKER, pool))
    assert of_pool == plain
