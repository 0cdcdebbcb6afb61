"""The installing step, run by real dnf and rpm on a folder that stands for a machine, with a real repository."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from servers.debian import require
from servers.folder_server import folder_server

from kube_provision_centos.driver import CentOS
from kube_provision_core import DnfConfig, Packages, Repository, Role

OTHERS = (
    "conntrack-tools",
    "ethtool",
    "iproute-tc",
    "iptables-nft",
    "nftables",
    "openssl",
    "socat",
    "cri-tools",
    "kubernetes-cni",
)
RUNTIME_CONFIGURATION = "/etc/containerd/config.toml"
SPEC = """\
Name: {name}
Version: {version}
Release: {release}
Summary: x
License: x
BuildArch: noarch
{requires}
%description
x
{files}
"""


@dataclass(frozen=True)
class Machine:
    root: Path
    repository: Path
    environment: dict[str, str] = field(repr=False)
    url: str = ""
    """Where dnf is to find the repository, if not in its folder: what it finds there it does not fetch."""

    def install(
        self,
        version: str = "1.36.4",
        components: frozenset[str] = frozenset({"kubeadm"}),
        extra: frozenset[str] = frozenset(),
    ) -> subprocess.CompletedProcess[str]:
        """Deliver what the driver delivers and run its steps."""
        mirror = Repository(self.url or f"file://{self.repository}")
        driver = CentOS(dict.fromkeys(Role, DnfConfig()))
        mirrors = {"kubernetes": mirror, "container-runtime": mirror}
        packages = driver.os_packages(components, {"kubeadm": version}, mirrors, extra)
        self.deliver(packages)
        steps = (step.script for step in packages.steps if step.name in ("packages", "fetch"))
        script = "\n".join(steps).replace("/etc/", f"{self.root}/etc/")
        return self.run("bash", "-euo", "pipefail", "-c", script)

    def deliver(self, packages: Packages) -> None:
        for file in packages.files:
            path = self.root / file.path.lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(str(file.content).replace("gpgcheck=1", "gpgcheck=0"))

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, capture_output=True, text=True, env=self.environment, timeout=120, check=False)

    def dnf(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run("dnf", "--assumeyes", "--quiet", *arguments)

    def version(self, package: str) -> str:
        return self.run("rpm", "--query", "--queryformat", "%{VERSION}-%{RELEASE}", package).stdout

    def services(self) -> list[str]:
        return (self.root / "systemctl.log").read_text().splitlines()


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Patches of two minors, and a container runtime that brings a configuration of its own."""
    require("dnf", "rpmbuild", "createrepo_c")
    folder = tmp_path_factory.mktemp("repository")
    for name in (*OTHERS, "container-selinux"):
        _build(folder, name, "1.0", "1")
    for version, release in (("1.36.4", "150500.1.1"), ("1.36.4", "150500.2.1"), ("1.36.10", "1"), ("1.37.0", "1")):
        _build(folder, "kubeadm", version, release, requires="cri-tools")
        _build(folder, "kubelet", version, release, requires="kubernetes-cni")
        _build(folder, "kubectl", version, release)
    _build(folder, "kubeadm", "1.37.1", "1", requires="cri-tools")
    for release in ("1", "2"):
        _build(folder, "tool", "1.0", release)
    _build(folder, "containerd.io", "2.2.1", "1", brings=RUNTIME_CONFIGURATION)
    _index(folder)
    return folder


def _index(folder: Path) -> None:
    subprocess.run(["createrepo_c", "--quiet", str(folder)], check=True, capture_output=True)


def _build(folder: Path, name: str, version: str, release: str, *, requires: str = "", brings: str = "") -> None:
    files = "%files\n"
    if brings:
        make = f"mkdir -p %{{buildroot}}/etc/containerd\necho theirs >%{{buildroot}}{brings}"
        files = f"%install\n{make}\n%files\n%config {brings}\n"
    spec = folder / f"{name}.spec"
    text = SPEC.format(
        name=name, version=version, release=release, requires=f"Requires: {requires}" if requires else "", files=files
    )
    spec.write_text(text)
    command = [
        "rpmbuild",
        "-bb",
        "--quiet",
        "--define",
        f"_topdir {folder}/build",
        "--define",
        f"_rpmdir {folder}",
        str(spec),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


@pytest.fixture
def machine(tmp_path: Path, repository: Path) -> Machine:
    """dnf and rpm of the host, on a root folder of its own: it needs no container to be real."""
    root = tmp_path / "root"
    programs = tmp_path / "bin"
    for folder in (root / "etc/yum.repos.d", root / "etc/dnf", programs):
        folder.mkdir(parents=True)
    (root / "etc/os-release").write_text("ID=centos\nVERSION_ID=10\n")
    _wrap(programs / "dnf", f'--installroot={root} --releasever=10 --setopt=reposdir={root}/etc/yum.repos.d "$@"')
    _wrap(programs / "rpm", f'--root={root} "$@"')
    (programs / "systemctl").write_text(f'#!/bin/sh\necho "$*" >>{root}/systemctl.log\n')
    (programs / "systemctl").chmod(0o755)
    environment = {"PATH": f"{programs}:{os.environ['PATH']}:/usr/sbin:/sbin", "LC_ALL": "C", "HOME": str(tmp_path)}
    return Machine(root, repository, environment)


def _wrap(path: Path, arguments: str) -> None:
    path.write_text(f"#!/bin/sh\nexec {shutil.which(path.name)} {arguments}\n")
    path.chmod(0o755)


def test_the_newest_release_of_an_exact_version_is_installed(machine: Machine) -> None:
    ran = machine.install("1.36.4")
    assert ran.returncode == 0, ran.stderr
    assert [machine.version(name) for name in ("kubeadm", "kubelet", "kubectl")] == ["1.36.4-150500.2.1"] * 3


def test_a_minor_means_its_newest_patch(machine: Machine) -> None:
    ran = machine.install("1.36")
    assert ran.returncode == 0, ran.stderr
    assert machine.version("kubeadm") == "1.36.10-1"


def test_an_update_of_the_system_leaves_the_clusters_packages_alone(machine: Machine) -> None:
    machine.install("1.36.4")
    updated = machine.dnf("upgrade")
    assert updated.returncode == 0, updated.stderr
    assert machine.version("kubelet") == "1.36.4-150500.2.1"


def test_what_a_template_has_already_costs_nothing(machine: Machine) -> None:
    machine.install("1.36.4")
    for definition in (machine.root / "etc/yum.repos.d").iterdir():
        definition.unlink()
    ran = machine.run("bash", "-c", "rm -rf $0/var/cache/dnf $0/systemctl.log", str(machine.root))
    ran = machine.install("1.36")
    assert ran.returncode == 0, ran.stderr
    assert machine.version("kubeadm") == "1.36.4-150500.2.1"
    assert not (machine.root / "var/cache/dnf").exists()


def test_a_template_with_another_version_gets_the_configured_one(machine: Machine) -> None:
    machine.install("1.36.10")
    ran = machine.install("1.36.4")
    assert ran.returncode == 0, ran.stderr
    assert machine.version("kubelet") == "1.36.4-150500.2.1"


def test_a_package_that_does_not_exist_is_named(machine: Machine) -> None:
    ran = machine.install("1.36.4", extra=frozenset({"no-such-package"}))
    assert ran.returncode != 0
    assert "no-such-package" in ran.stderr


def test_the_delivered_configuration_of_the_runtime_outlives_the_packages_own(machine: Machine) -> None:
    configuration = machine.root / RUNTIME_CONFIGURATION.lstrip("/")
    configuration.parent.mkdir(parents=True)
    configuration.write_text("ours\n")
    ran = machine.install(components=frozenset({"container-runtime"}))
    assert ran.returncode == 0, ran.stderr
    assert machine.version("containerd.io") == "2.2.1-1"
    assert configuration.read_text() == "ours\n"


def test_the_kubelet_starts_at_every_boot(machine: Machine) -> None:
    machine.install("1.36.4")
    assert "enable --quiet kubelet.service" in machine.services()


def test_kubeadm_alone_comes_where_the_others_are_to_be_had(machine: Machine) -> None:
    assert machine.install("1.36.4").returncode == 0
    ran = machine.install("1.36.10", frozenset({"kubeadm-alone"}))
    assert ran.returncode == 0, ran.stderr
    assert machine.version("kubeadm") == "1.36.10-1"
    assert machine.version("kubelet") == machine.version("kubectl") == "1.36.4-150500.2.1"


def test_kubeadm_alone_is_refused_where_the_others_are_not_to_be_had(machine: Machine) -> None:
    assert machine.install("1.36.4").returncode == 0
    ran = machine.install("1.37.1", frozenset({"kubeadm-alone"}))
    assert ran.returncode != 0
    assert "Unable to find a match: kubectl-1.37.1-* kubelet-1.37.1-*" in ran.stderr
    assert machine.version("kubelet") == "1.36.4-150500.2.1"


def test_what_was_fetched_beside_kubeadm_is_installed_though_its_repository_has_gone(
    machine: Machine, tmp_path: Path
) -> None:
    """Also where the old repository offers newer ones of what it needs besides, and dnf looks for newer ones anew."""
    assert machine.install("1.36.4").returncode == 0
    repository = Path(shutil.copytree(machine.repository, tmp_path / "repository"))
    _build(repository, "openssl", "1.0", "2")
    _index(repository)
    (machine.root / "etc/dnf/dnf.conf").write_text("[main]\nmetadata_expire=0\n")
    with folder_server(repository) as (port, _):
        there = replace(machine, url=f"http://127.0.0.1:{port}")
        ran = there.install("1.36.10", frozenset({"kubeadm-alone"}))
        assert ran.returncode == 0, ran.stderr
        shutil.rmtree(repository)
        ran = there.install("1.36.10")
    assert ran.returncode == 0, ran.stderr
    assert machine.version("kubelet") == machine.version("kubectl") == "1.36.10-1"


def test_a_repository_that_has_gone_with_what_nobody_has_fetched_is_named(machine: Machine, tmp_path: Path) -> None:
    ran = replace(machine, repository=tmp_path / "nowhere").install("1.36.4")
    assert ran.returncode != 0
    assert f"{tmp_path}/nowhere" in ran.stderr


@pytest.mark.parametrize("version", ["1.36", "1.36.4"])
def test_a_template_can_tell_the_versions_that_it_holds(machine: Machine, version: str) -> None:
    machine.install("1.36.4")
    driver = CentOS(dict.fromkeys(Role, DnfConfig()))
    packages = driver.os_packages(frozenset({"kubeadm"}), {"kubeadm": version}, {}, frozenset())
    told = dict(line.split() for line in machine.run("bash", "-c", packages.list_versions).stdout.splitlines())
    assert told["kubeadm"] == told["kubelet"] == "1.36.4-150500.2.1"
    assert told["socat"] == "1.0-1"
    assert "cri-tools" not in told, "nobody asked for it by name"


def test_a_template_keeps_nothing_that_was_downloaded(machine: Machine) -> None:
    machine.install("1.36.4")
    (machine.root / "var/cache/dnf/left.rpm").touch()
    (step,) = CentOS(dict.fromkeys(Role, DnfConfig())).seal_image()
    ran = machine.run("bash", "-euo", "pipefail", "-c", step.script.replace("/var/", f"{machine.root}/var/"))
    assert ran.returncode == 0, ran.stderr
    assert not (machine.root / "var/cache/dnf").exists()
    assert machine.version("kubeadm") == "1.36.4-150500.2.1"


@pytest.mark.parametrize(("hint", "needed"), [("exit 0", False), ("exit 1", True)])
def test_all_that_is_not_held_becomes_the_newest_and_dnf_says_whether_to_reboot(
    machine: Machine, hint: str, needed: bool
) -> None:
    ran = machine.install("1.36.4", frozenset({"kubeadm", "container-runtime"}))
    assert ran.returncode == 0, ran.stderr
    ran = machine.dnf("install", "tool-1.0-1")
    assert ran.returncode == 0, ran.stderr
    ours = machine.root / RUNTIME_CONFIGURATION.lstrip("/")
    ours.write_text("ours\n")
    (machine.root / "run").mkdir(exist_ok=True)
    dnf = Path(machine.environment["PATH"].split(":")[0]) / "dnf"
    plugin = f'#!/bin/sh\n[ "$1" != needs-restarting ] || {{ [ "$2" = --help ] || {hint}; exit 0; }}\n'
    dnf.write_text(dnf.read_text().replace("#!/bin/sh\n", plugin))
    (step,) = CentOS(dict.fromkeys(Role, DnfConfig())).upgrade_packages()
    script = step.script.replace("/etc/", f"{machine.root}/etc/").replace("/run/", f"{machine.root}/run/")
    for _ in range(2):
        ran = machine.run("bash", "-euo", "pipefail", "-c", script.replace("/boot/", f"{machine.root}/boot/"))
        assert ran.returncode == 0, ran.stderr
        assert machine.version("tool") == "1.0-2"
        assert machine.version("kubelet") == "1.36.4-150500.2.1"
        assert ours.read_text() == "ours\n"
        assert (machine.root / "run/reboot-required").exists() is needed
