"""What a cluster is configured with that only its programs know themselves."""

from __future__ import annotations

import pytest

from kube_provision_core.cluster.settings import unread

LISTED = """\
kind: ClusterConfiguration
apiServer:
  extraArgs: [{name: feature-gates, value: A=true}, {name: audit-log-path, value: /x}]
controllerManager:
  extraArgs: [{name: leader-elect-lease-duration, value: 60s}]
scheduler: {}
etcd:
  local:
    extraArgs: [{name: quota-backend-bytes, value: "1"}]
"""


def test_arguments_and_feature_gates_are_named_but_for_those_that_every_cluster_is_made_with() -> None:
    assert [*unread(LISTED, "featureGates: {LongGone: true, Other: false}")] == [
        "kube-apiserver --feature-gates",
        "kube-apiserver --audit-log-path",
        "etcd --quota-backend-bytes",
        "kubelet's feature gate LongGone",
        "kubelet's feature gate Other",
    ]


def test_arguments_as_kubeadm_wrote_them_before_are_named_too() -> None:
    assert [*unread("scheduler: {extraArgs: {v: '4'}}", "")] == ["kube-scheduler --v"]


@pytest.mark.parametrize("text", ["", "[", "- a", "apiServer: 7", "apiServer: {extraArgs: 7}", "etcd: {local: []}"])
def test_what_is_no_such_document_has_none(text: str) -> None:
    assert [*unread(text, text)] == []
