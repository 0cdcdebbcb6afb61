"""How kubeadm is called: with a program in its place that writes down what it was given."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kube_provision_core.boot import kubeadm_config
from kube_provision_core.boot.kubeadm_config import NODE_IP, TOKEN_TTL, VERSION
from kube_provision_node.kubeadm import Kubeadm, KubeadmError
from kube_provision_node.settings import Places

KUBEADM = """#!/bin/sh
case "$1" in
  version) echo v1.36.4 ;;
  *) cp "$3" {root}/told; ls -A {root}/var/lib/etcd >{root}/etcd ;;
esac
"""


class Machine:
    """A node that is a folder, with a hypervisor of a kind."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.etcd = root / "var/lib/etcd"
        self.etcd.mkdir(parents=True)
        (root / "etc/kube-provision").mkdir(parents=True)
        (root / "bin").mkdir()
        monkeypatch.setenv("PATH", f"{root / 'bin'}:{os.environ['PATH']}")
        self.program("kubeadm", KUBEADM.format(root=root))

    def program(self, name: str, script: str) -> None:
        (self.root / "bin" / name).write_text(script)
        (self.root / "bin" / name).chmod(0o755)

    def told(self, text: str) -> str:
        """What kubeadm finds in its configuration where this stands in the boot data."""
        (self.root / "etc/kube-provision/kubeadm-init.yaml").write_text(text)
        Kubeadm(Places(self.root)).init("10.0.0.11")
        return (self.root / "told").read_text()


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def test_what_only_the_node_knows_is_filled_in(machine: Machine) -> None:
    assert machine.told("ip: @NODE_IP@\nversion: @KUBERNETES_VERSION@\n") == "ip: 10.0.0.11\nversion: v1.36.4\n"


def test_nothing_is_left_to_fill_in(machine: Machine) -> None:
    waits = (*kubeadm_config.ELECTIONS.values(), *(f"@{name}@" for name in kubeadm_config.TIMEOUTS))
    assert "@" not in machine.told(" ".join((NODE_IP, VERSION, TOKEN_TTL, *waits)))


def test_a_disk_of_its_own_is_empty_to_kubeadm(machine: Machine) -> None:
    (machine.etcd / "lost+found").mkdir()
    machine.told("")
    assert (machine.root / "etcd").read_text() == ""


@pytest.mark.parametrize("path", ["member/snap", "lost+found/#1234"])
def test_data_of_another_etcd_stay_where_they_are(machine: Machine, path: str) -> None:
    (machine.etcd / path).mkdir(parents=True)
    machine.told("")
    assert (machine.etcd / path).exists()


LATE = (
    "W1128 18:51:37.160310    1864 cleanupnode.go:105] [reset] Failed to remove containers: failed to create new CRI "
    "runtime service: validate service connection: context deadline exceeded"
)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (f"echo '{LATE}' >&2", "kubeadm reset: Failed to remove containers: failed to create new CRI runtime service"),
        ("exit 1", "kubeadm reset: exit code 1"),
    ],
    ids=["warns", "fails"],
)
def test_what_was_not_reset_whole_is_reset_again(machine: Machine, script: str, reason: str) -> None:
    """kubeadm takes its own files away all the same, and leaves containers that hold the next attempt's ports."""
    kubeadm = Kubeadm(Places(machine.root))
    assert not kubeadm.left_something()
    machine.program("systemctl", "#!/bin/sh\n")
    machine.program("kubeadm", f"#!/bin/sh\n{script}\n")
    with pytest.raises(KubeadmError, match=reason):
        kubeadm.reset()
    assert kubeadm.left_something()
    machine.program("kubeadm", "#!/bin/sh\n")
    kubeadm.reset()
    assert not kubeadm.left_something()


def test_a_runtime_that_keeps_its_containers_begins_anew(machine: Machine) -> None:
    """containerd was seen to call one running that had ended, and to refuse for good to remove it."""
    machine.program("systemctl", f'#!/bin/sh\necho "$*" >>{machine.root}/restarted\n')
    machine.program("kubeadm", f"#!/bin/sh\n[ -e {machine.root}/restarted ] || echo '{LATE}' >&2\n")
    kubeadm = Kubeadm(Places(machine.root))
    kubeadm.reset()
    assert (machine.root / "restarted").read_text() == "restart containerd.service\n"
    assert not kubeadm.left_something()
