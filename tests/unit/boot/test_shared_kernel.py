"""Machines that run on the kernel of their host leave alone what belongs to it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from kube_provision_core import BootFragment, Cluster, Node, Role
from kube_provision_core.boot.kubeadm import KubeadmPart
from kube_provision_core.folder.pki import JoinSecrets

OF_THE_KERNEL = r"\b(modprobe|insmod|swapoff|swap\.target)\b"
"""What loads modules, and what keeps the machine from swapping."""


@pytest.fixture
def fragment(
    secrets: JoinSecrets, configure: Callable[..., Any], cluster: Cluster, make_node: Callable[..., Node]
) -> Callable[..., BootFragment]:
    def fragment(role: Role, *, shared: bool) -> BootFragment:
        node = make_node(role, carries_ca=role is Role.MASTER)
        made = KubeadmPart(configure().by_role).render_boot(node, replace(cluster, shares_kernel=shared), secrets)
        assert made
        return made

    return fragment


def setting_the_kernel(fragment: BootFragment) -> set[str]:
    """Steps that do, and files that have the system do so."""
    steps = {step.name for step in fragment.steps if re.search(OF_THE_KERNEL, step.script.replace("modprobe --all ${", ""))}
    return steps | {file.path for file in fragment.files if file.path.startswith("/etc/modules-load.d/")}


@pytest.mark.parametrize("role", [Role.MASTER, Role.WORKER])
def test_neither_modules_nor_swap_are_touched(fragment: Callable[..., BootFragment], role: Role) -> None:
    with_its_own = {"kernel", "no-swap", "/etc/modules-load.d/kube-provision.conf"}
    assert setting_the_kernel(fragment(role, shared=False)) == with_its_own
    assert setting_the_kernel(fragment(role, shared=True)) == set()


@pytest.mark.parametrize("role", [Role.MASTER, Role.WORKER])
def test_only_parameters_of_its_own_network_are_set(fragment: Callable[..., BootFragment], role: Role) -> None:
    (said,) = (file.content for file in fragment(role, shared=True).files if file.path.startswith("/etc/sysctl.d/"))
    assert {line.partition(".")[0] for line in str(said).splitlines()} == {"net"}


def test_kubelet_and_kube_proxy_take_the_kernel_as_it_is(fragment: Callable[..., BootFragment]) -> None:
    def told(*, shared: bool) -> dict[str, Any]:
        (text,) = (file.content for file in fragment(Role.MASTER, shared=shared).files if file.path.endswith("init.yaml"))
        return {document["kind"]: document for document in yaml.safe_load_all(text)}

    assert told(shared=True)["KubeletConfiguration"]["failSwapOn"] is False
    assert told(shared=True)["KubeProxyConfiguration"]["conntrack"] == {"maxPerCore": 0, "min": 0}
    assert "failSwapOn" not in told(shared=False)["KubeletConfiguration"]
    assert "conntrack" not in told(shared=False)["KubeProxyConfiguration"]


@pytest.mark.parametrize(
    ("modules", "lacks"),
    [
        (("overlay", "br_netfilter"), ""),
        (("overlay",), "br_netfilter"),
        (("br_netfilter",), "overlay"),
        ((), "overlay br_netfilter"),
    ],
)
def test_modules_that_the_host_lacks_are_named(
    fragment: Callable[..., BootFragment], tmp_path: Path, modules: tuple[str, ...], lacks: str
) -> None:
    (step,) = (step for step in fragment(Role.WORKER, shared=True).steps if step.name == "kernel")
    (tmp_path / "filesystems").write_text("nodev\toverlay\n" if "overlay" in modules else "nodev\toverlayfs-like\n")
    if "br_netfilter" in modules:
        (tmp_path / "bridge").mkdir()
    (tmp_path / "80-kube-provision.conf").touch()
    script = step.script.replace("/sys/fs/cgroup", "/").replace("cgroup2fs", "$(stat --file-system --format %T /)")
    for place in ("/proc/filesystems", "/proc/sys/net/bridge", "/etc/sysctl.d/80-kube-provision.conf"):
        script = script.replace(place, str(tmp_path / Path(place).name))
    ran = subprocess.run(["bash", "-euo", "pipefail", "-c", script], capture_output=True, text=True, check=False)
    said = f"this machine shares the kernel of its host, which lacks modules: modprobe --all {lacks} there\n"
    assert (ran.returncode, ran.stderr) == ((1, said) if lacks else (0, ""))
