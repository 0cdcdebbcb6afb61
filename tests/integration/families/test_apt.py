"""The installing step, run by real apt and dpkg on a folder that stands for a machine, with a real repository."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kube_provision_core import Repository
from kube_provision_debian.driver import Debian

DEPENDENCIES = ("conntrack", "curl", "ethtool", "iptables", "socat", "cri-tools", "kubernetes-cni")


@dataclass(frozen=True)
class Machine:
    root: Path
    repository: Path
    environment: dict[str, str] = field(repr=False)

    def install(self, version: str, *, extra: frozenset[str] = frozenset()) -> subprocess.CompletedProcess[str]:
        """Deliver what the driver delivers and run its step."""
        mirror = Repository(f"file:{self.repository}/")
        packages = Debian({}).os_packages(frozenset({"kubeadm"}), {"kubeadm": version}, {"kubernetes": mirror}, extra)
        for file in packages.files:
            path = self.root / file.path.lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            text = str(file.content).replace("Types: deb", "Types: deb\nTrusted: yes")
            path.write_text(text)
        (step,) = packages.steps
        script = step.script.replace("/etc/", f"{self.root}/etc/")
        command = ["bash", "-euo", "pipefail", "-c", script]
        return subprocess.run(command, capture_output=True, text=True, env=self.environment, timeout=60, check=False)

    def ask(self, *command: str) -> list[str]:
        return " ".join(self.ask_lines(*command)).split()

    def ask_lines(self, *command: str) -> list[str]:
        ran = subprocess.run(command, capture_output=True, text=True, env=self.environment, timeout=20, check=True)
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
        timeout=20,
        check=True,
    )
    (machine.root / "var/lib/dpkg/updates/0001").write_text(stanza.stdout)
    ran = machine.install("1.36.10")
    assert ran.returncode == 0, ran.stderr
    assert machine.version("kubectl") == "1.36.10-1.1"


def test_a_package_that_was_unpacked_before_what_it_depends_on_is_finished(machine: Machine) -> None:
    package = machine.repository / "kubelet_1.36.4-2.1.deb"
    command = ["dpkg", f"--root={machine.root}", "--force-not-root", "--force-bad-path", "--unpack", str(package)]
    subprocess.run(command, env=machine.environment, capture_output=True, timeout=20, check=False)
    (machine.root / "var/lib/dpkg/updates/0001").touch()
    ran = machine.install("1.36.4")
    assert ran.returncode == 0, ran.stderr
    assert machine.version("kubelet") == "1.36.4-2.1"


def test_a_package_that_does_not_exist_is_named(machine: Machine) -> None:
    ran = machine.install("1.36.4", extra=frozenset({"no-such-package"}))
    assert ran.returncode != 0
    assert "no-such-package" in ran.stderr.splitlines()[-1]


def test_a_template_can_tell_the_versions_that_it_holds(machine: Machine) -> None:
    machine.install("1.36.4")
    packages = Debian({}).os_packages(frozenset({"kubeadm"}), {"kubeadm": "1.36.4"}, {}, frozenset())
    told = dict(line.split() for line in machine.ask_lines("bash", "-c", packages.list_versions))
    assert told["kubeadm"] == told["kubelet"] == "1.36.4-2.1"
    assert told["socat"] == "1.0-1.1"
