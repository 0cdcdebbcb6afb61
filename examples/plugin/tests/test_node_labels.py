"""Nodes join with the company's labels, and nothing else of other plugins' is touched."""

from __future__ import annotations

import pytest
import yaml
from pydantic import ValidationError

from kube_provision_core import BootFragment, File, Role
from kube_provision_core.testing import node_of
from kube_provision_site.node_labels import NodeLabels, NodeLabelsConfig

JOIN = """\
kind: JoinConfiguration
nodeRegistration:
  name: w-1
  kubeletExtraArgs:
  - {name: node-ip, value: '@NODE_IP@'}
"""
KUBEADM = BootFragment(files=(File("/etc/kube-provision/kubeadm-join.yaml", JOIN, mode=0o600, secret=True),))
OTHER = BootFragment(files=(File("/etc/motd", "kind: JoinConfiguration\n"),))


def wrapped(labels: dict[str, str], *fragments: BootFragment) -> list[BootFragment]:
    """What the wrapper makes of the others' answers, called as pluggy calls it."""
    config = {role: NodeLabelsConfig(node_labels_set=labels if role is Role.WORKER else {}) for role in Role}
    call = NodeLabels(config).render_boot(node_of("w-1", Role.WORKER))
    next(call)
    with pytest.raises(StopIteration) as answer:
        call.send(list(fragments))
    result: list[BootFragment] = answer.value.value
    return result


def test_labels_are_added_to_what_kubeadm_is_told() -> None:
    kubeadm, _ = wrapped({"example.com/rack": "a3", "disk": "fast"}, KUBEADM, OTHER)
    (document,) = yaml.safe_load_all(str(kubeadm.files[0].content))
    assert document["nodeRegistration"]["kubeletExtraArgs"] == [
        {"name": "node-ip", "value": "@NODE_IP@"},
        {"name": "node-labels", "value": "disk=fast,example.com/rack=a3"},
    ]


def test_the_file_stays_as_secret_as_it_was() -> None:
    kubeadm, _ = wrapped({"disk": "fast"}, KUBEADM, OTHER)
    assert (kubeadm.files[0].mode, kubeadm.files[0].secret) == (0o600, True)


def test_what_others_add_is_handed_on() -> None:
    assert wrapped({"disk": "fast"}, KUBEADM, OTHER)[1] == OTHER


def test_without_labels_nothing_is_touched() -> None:
    assert wrapped({}, KUBEADM, OTHER) == [KUBEADM, OTHER]


@pytest.mark.parametrize("labels", [{"a b": "c"}, {"a": "b,c=d"}, {"-a": "b"}, {"a": "x" * 64}])
def test_what_is_no_label_is_refused(labels: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        NodeLabelsConfig(node_labels_set=labels)


@pytest.mark.parametrize("key", ["node-role.kubernetes.io/worker", "kubernetes.io/role", "x.k8s.io/a"])
def test_what_the_kubelet_would_refuse_to_start_with_is_refused(key: str) -> None:
    with pytest.raises(ValidationError, match="may not give its own node"):
        NodeLabelsConfig(node_labels_set={key: ""})
