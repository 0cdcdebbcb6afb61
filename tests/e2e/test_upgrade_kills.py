"""Masters whose power goes in the middle of their upgrade: each comes back and goes on where it was, with nobody's help."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from machines.lab import Lab, until
from machines.nspawn import Host

pytestmark = pytest.mark.night

FAULTS = "/var/lib/kubeadm-faults"
CUTS = (("m-prod-1", "etcd"), ("m-prod-1", "upload-config"), ("m-prod-2", "kube-apiserver"))
"""Where kubeadm hangs until the power goes. At a pod's name its old manifest is away, and the new one is not there yet."""
FAILS = ("m-prod-3", "control-plane")
"""And where it fails of itself, once."""
PORTS = {"etcd": 2379, "kube-apiserver": 6443}
LIMIT = 600.0
"""Seconds from one moment to the next, on a machine that is shared with others."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("lab"), upgrades=True) as lab:
        run = lab.provision("--wait", workers=1)
        assert run.code == 0, run.errors
        yield lab


def test_a_power_cut_anywhere_is_mended_by_the_master_itself(lab: Lab) -> None:
    patch = lab.successors[0]
    lab.want(patch)
    for name, place in CUTS:
        wish(lab.hosts[name], place, "hang")
    wish(lab.hosts[FAILS[0]], FAILS[1], "fail")
    log = lab.folder / "upgrade.log"
    with upgrading(lab, log) as run:
        for name, place in CUTS:
            host = lab.hosts[name]
            until(lambda it=(host, place): run.poll() is not None or hangs(*it), LIMIT, f"{name} is at {place}")
            assert run.poll() is None, log.read_text()
            host.kill()
            lab.hypervisor.start(name)
        assert run.wait(2 * LIMIT) == 0, log.read_text()
    with lab.control_plane() as cluster:
        assert {node.name: node.kubelet for node in cluster.nodes()} == dict.fromkeys(lab.ready(), patch.version)
        assert [cluster.versions.behind(master, patch.version) for master in lab.masters] == [""] * 3
        assert cluster.versions.addons_behind(patch.version) == ""
        assert len(cluster.etcd.members()) == 3
    assert lab.ready() == {*lab.masters, *lab.workers}
    for host in lab.masters.values():
        assert not host.succeeds("sh", "-c", "ls -d /etc/kubernetes/tmp/kubeadm-backup-etcd-*")


@contextmanager
def upgrading(lab: Lab, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("w") as output:
        command = lab.command("upgrade", "--no-backup")
        run = subprocess.Popen(command, env=lab.environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            yield run
        finally:
            run.kill()
            run.wait(60)


def wish(host: Host, place: str, what: str) -> None:
    host.run("mkdir", "-p", FAULTS)
    host.run("sh", "-c", f"echo {what} >{FAULTS}/upgrade-{place}")


def hangs(host: Host, place: str) -> bool:
    """Whether kubeadm has come there; at a pod's name, whether the kubelet has ended the pod as well."""
    taken = f"test -d {FAULTS} && test ! -e {FAULTS}/upgrade-{place}"
    ended = f"! : 2>/dev/null <>/dev/tcp/127.0.0.1/{PORTS[place]}" if place in PORTS else "true"
    return host.succeeds("bash", "-c", f"{taken} && {ended}")
