"""The installing step, run by real apt and dpkg on a folder that stands for a machine, with a real repository."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from servers.folder_server import folder_server

from kube_provision_core import Component, Repository
from kube_provision_debian.driver import Debian

DEPENDENCIES = ("conntrack", "curl", "ethtool", "iptables", "openssl", "socat", "cri-tools", "kubernetes-cni")


@dataclass(frozen=True)
class Machine:
    root: Path
    repository: Path
    environment: dict[str, str] = field(repr=False)
    url: str = ""
    """Where apt is to find the repository, if not in its folder: what it finds there it does not fetch."""

    def install(
        self, version: str, *, extra: frozenset[str] = frozenset(), component: Component = Component.KUBEADM
    ) -> subprocess.CompletedProcess[str]:
        """Deliver what the driver delivers and run its steps."""
        mirror = Repository(self.url or f"file:{self.repository}/")
        packages = Debian({}).os_packages(frozenset({component}), {"kubeadm": version}, {"kubernetes": mirror}, extra)
        for file in packages.files:
            path = self.root / file.path.lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            text = str(file.content).replace("Types: deb", "Types: deb\nTrusted: yes")
            path.write_text(text)
        script = "\n".join(step.script for step in packages.steps).replace("/etc/", f"{self.root}/etc/")
        command = ["bash", "-euo", "pipefail", "-c", script]
        return subprocess.run(command, capture_output=True, text=True, env=self.environment, timeout=60, check=False)

    def upgrade(self) -> subprocess.CompletedProcess[str]:
        """Run the driver's step, on a system whose newest kernel is one that is not this host's."""
        (step,) = Debian({}).upgrade_packages()
        script = step.script.replace("/boot/", f"{self.root}/boot/").replace("/run/", f"{self.root}/run/")
        command = ["bash", "-euo", "pipefail", "-c", script]
        return subprocess.run(command, capture_output=True, text=True, env=self.environment, timeout=60, check=False)

    def ask(self, *command: str) -> list[str]:
        return " ".join(self.ask_lines(*command)).split()

    def ask_lines(self, *command: str) -> list[str]:
        ran = subprocess.run(command, capture_output=True, text=True, env=self.environment, timeout=60, check=True)
        return ran.stdout.splitlines()

    def version(self, package: str) -> str:
        return self.ask("dpkg-query", "--show", "--showformat", "${Version}", package)[0]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four patches of two minors, with revisions as upstream has them."""
    folder = tmp_path_factory.mktemp("repository")
    for tool, package in (("apt-get", "apt"), ("dpkg-deb", "dpkg")):
        assert shutil.which(tool), f"{tool} is missing: apt-get install {package}"
    index = [_build(folder, name, "1.0-1.1") for name in DEPENDENCIES]
    for version in ("1.36.4-1.1", "1.36.4-2.1", "1.36.10-1.1", "1.37.0-1.1"):
        index.append(_build(folder, "kubeadm", version, "cri-tools"))
        index.append(_build(folder, "kubelet", version, "kubernetes-cni"))
        index.append(_build(folder, "kubectl", version))
    index.append(_build(folder, "kubeadm", "1.37.1-1.1", "cri-tools"))
    index += [_build(folder, "tool", version) for version in ("1.0-1", "1.0-2")]
    (folder / "Packages").write_text("\n".join(index))
    return folder


def _build(folder: Path, name: str, version: str, depends: str = "") -> str:
    """Make a package; its entry in the index."""
    tree = folder / "build"
    (tree / "DEBIAN").mkdir(parents=True)
    control = f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: x <x@example>\nDescription: x\n"
    control += f"Depends: {depends}\n" if depends else ""
    (tree / "DEBIAN/control").write_text(control)
    package = folder / f"{name}_{version}.deb"
    subprocess.run(["dpkg-deb", "-Znone", "--build", str(tree), str(package)], check=True, capture_output=True)
    shutil.rmtree(tree)
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    return f"{control}Filename: {package.name}\nSize: {package.stat().st_size}\nSHA256: {digest}\n"


@pytest.fixture
def machine(tmp_path: Path, repository: Path) -> Machine:
    root = tmp_path / "root"
    for name in (
        "etc/apt/sources.list.d",
        "etc/apt/preferences.d",
        "etc/apt/trusted.gpg.d",
        "var/lib/apt/lists/partial",
        "var/cache/apt/archives/partial",
        "var/lib/dpkg/info",
        "var/lib/dpkg/updates",
        "var/log/apt",
        "bin",
    ):
        (root / name).mkdir(parents=True)
    (root / "var/lib/dpkg/status").touch()
    (root / "etc/os-release").write_text("ID=debian\nVERSION_CODENAME=trixie\n")
    (root / "bin/systemctl").write_text(f'#!/bin/sh\necho "$*" >>{root}/systemctl.log\n')
    (root / "bin/systemctl").chmod(0o755)
    (root / "apt.conf").write_text(
        f'Dir "{root}";\n'
        f'Dir::State::status "{root}/var/lib/dpkg/status";\n'
        'Dir::Bin::dpkg "/usr/bin/dpkg";\n'
        f'Dpkg::Options {{ "--root={root}"; "--force-not-root"; "--log={root}/dpkg.log"; "--force-bad-path"; }};\n'
        "APT::Sandbox::User root;\n"
    )
    environment = {
        "PATH": f"{root}/bin:{os.environ['PATH']}:/usr/sbin:/sbin",
        "APT_CONFIG": str(root / "apt.conf"),
        "DPKG_ADMINDIR": str(root / "var/lib/dpkg"),
        "LC_ALL": "C",
    }
    return Machine(root, repository, environment)


def test_the_newest_revision_of_an_exact_version_is_installed_and_held(machine: Machine) -> None:
    ran = machine.install("1.36.4")
    assert ran.returncode == 0, ran.stderr
    assert [machine.version(name) for name in ("kubeadm", "kubelet", "kubectl")] == ["1.36.4-2.1"] * 3
    assert machine.ask("apt-mark", "showhold") == ["cri-tools", "kubeadm", "kubectl", "kubelet", "kubernetes-cni"]


def test_a_minor_means_its_newest_patch(machine: Machine) -> None:
    ran = machine.install("1.36")
    assert ran.returncode == 0, ran.stderr
    assert machine.version("kubeadm") == "1.36.10-1.1"


def test_what_a_template_has_already_costs_nothing(machine: Machine) -> None:
    machine.install("1.36.4")
    shutil.rmtree(machine.root / "var/lib/apt")  # whatever asks apt for anything would fail or make it anew
    ran = machine.install("1.36")
    assert ran.returncode == 0, ran.stderr
    assert machine.version("kubeadm") == "1.36.4-2.1"
    assert not (machine.root / "var/lib/apt/lists").exists()


def test_a_template_with_another_version_gets_the_configured_one(machine: Machine) -> None:
    machine.install("1.36.10")
    ran = machine.install("1.36.4")
    assert ran.returncode == 0, ran.stderr
    assert machine.version("kubelet") == "1.36.4-2.1"


def test_an_installation_that_was_interrupted_is_finished_first(machine: Machine) -> None:
    machine.install("1.36.4")
    stanza = subprocess.run(
        ["dpkg-query", "--status", "kubectl"],
        capture_output=True,
        text=True,
        env=machine.environment,
        timeout=60,
        check=True,
    )
    (machine.root / "var/lib/dpkg/updates/0001").write_text(stanza.stdout)
    ran = machine.install("1.36.10")
    assert ran.returncode == 0, ran.stderr
    assert machine.version("kubectl") == "1.36.10-1.1"


def test_a_package_that_was_unpacked_before_what_it_depends_on_is_finished(machine: Machine) -> None:
    package = machine.repository / "kubelet_1.36.4-2.1.deb"
    command = ["dpkg", f"--root={machine.root}", "--force-not-root", "--force-bad-path", "--unpack", str(package)]
    subprocess.run(command, env=machine.environment, capture_output=True, timeout=60, check=False)
    (machine.root / "var/lib/dpkg/updates/0001").touch()
    ran = machine.install("1.36.4")
    assert ran.returncode == 0, ran.stderr
    assert machine.version("kubelet") == "1.36.4-2.1"


def test_a_package_that_does_not_exist_is_named(machine: Machine) -> None:
    ran = machine.install("1.36.4", extra=frozenset({"no-such-package"}))
    assert ran.returncode != 0
    assert "no-such-package" in ran.stderr.splitlines()[-1]


def test_kubeadm_alone_comes_where_the_others_are_to_be_had(machine: Machine) -> None:
    assert machine.install("1.36.4").returncode == 0
    ran = machine.install("1.36.10", component=Component.KUBEADM_ALONE)
    assert ran.returncode == 0, ran.stderr
    assert machine.version("kubeadm") == "1.36.10-1.1"
    assert machine.version("kubelet") == machine.version("kubectl") == "1.36.4-2.1"


def test_kubeadm_alone_is_refused_where_the_others_are_not_to_be_had(machine: Machine) -> None:
    assert machine.install("1.36.4").returncode == 0
    ran = machine.install("1.37.1", component=Component.KUBEADM_ALONE)
    assert ran.returncode != 0
    assert "Version '1.37.1-*' for 'kubectl' was not found" in ran.stderr
    assert machine.version("kubelet") == "1.36.4-2.1"


def test_what_was_fetched_beside_kubeadm_is_installed_though_its_repository_has_gone(
    machine: Machine, tmp_path: Path
) -> None:
    """Also where the old repository offers newer ones of what it needs besides."""
    assert machine.install("1.36.4").returncode == 0
    repository = Path(shutil.copytree(machine.repository, tmp_path / "repository"))
    with (repository / "Packages").open("a") as index:
        index.write(f"\n{_build(repository, 'openssl', '1.0-2')}")
    with folder_server(repository) as (port, _):
        there = replace(machine, url=f"http://127.0.0.1:{port}/")
        assert there.install("1.36.10", component=Component.KUBEADM_ALONE).returncode == 0
        shutil.rmtree(repository)
        ran = there.install("1.36.10")
    assert ran.returncode == 0, ran.stderr
    assert machine.version("kubelet") == machine.version("kubectl") == "1.36.10-1.1"
    assert machine.ask("apt-mark", "showhold") == ["cri-tools", "kubeadm", "kubectl", "kubelet", "kubernetes-cni"]


def test_a_repository_that_has_gone_with_what_nobody_has_fetched_is_named(machine: Machine, tmp_path: Path) -> None:
    ran = replace(machine, repository=tmp_path / "nowhere").install("1.36.4")
    assert ran.returncode != 0
    assert f"{tmp_path}/nowhere" in ran.stderr
    assert "Unable to locate package" not in ran.stderr


def test_a_template_can_tell_the_versions_that_it_holds(machine: Machine) -> None:
    machine.install("1.36.4")
    packages = Debian({}).os_packages(frozenset({"kubeadm"}), {"kubeadm": "1.36.4"}, {}, frozenset())
    told = dict(line.split() for line in machine.ask_lines("bash", "-c", packages.list_versions))
    assert told["kubeadm"] == told["kubelet"] == "1.36.4-2.1"
    assert told["socat"] == "1.0-1.1"


def test_all_that_is_not_held_becomes_the_newest(machine: Machine) -> None:
    """`extra` of ours is installed at an older version, and Kubernetes at one that is not the newest either."""
    for name in ("boot", "run"):
        (machine.root / name).mkdir()
    ran = machine.install("1.36.4", extra=frozenset({"tool=1.0-1"}))
    assert ran.returncode == 0, ran.stderr
    for _ in range(2):
        ran = machine.upgrade()
        assert ran.returncode == 0, ran.stderr
        assert machine.version("tool") == "1.0-2"
        assert machine.version("kubelet") == machine.version("kubeadm") == "1.36.4-2.1"
        assert not (machine.root / "run/reboot-required").exists()


@pytest.mark.parametrize(("kernels", "needed"), [(["1.2-old", "{own}"], False), (["{own}", "999.1-new"], True)])
def test_a_newer_kernel_than_the_one_that_runs_wants_a_reboot(machine: Machine, kernels: list[str], needed: bool) -> None:
    machine.install("1.36.4")
    for name in ("boot", "run"):
        (machine.root / name).mkdir()
    for kernel in kernels:
        (machine.root / f"boot/vmlinuz-{kernel.format(own=os.uname().release)}").touch()
    ran = machine.upgrade()
    assert ran.returncode == 0, ran.stderr
    assert (machine.root / "run/reboot-required").exists() is needed
