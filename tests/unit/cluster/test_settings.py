"""What a cluster is configured with that only its programs know themselves."""

from __future__ import annotations

import pytest

from kube_provision_core.cluster.settings import unread

KUBEADM, KUBELET = (f"the ConfigMap {name}-config in kube-system" for name in ("kubeadm", "kubelet"))
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
    found = [*unread(LISTED, "featureGates: {LongGone: true, Other: false}")]
    assert [setting.name for setting in found] == [
        "kube-apiserver --feature-gates",
        "kube-apiserver --audit-log-path",
        "etcd --quota-backend-bytes",
        "kubelet's feature gate LongGone",
        "kubelet's feature gate Other",
    ]


def test_each_says_how_the_program_is_asked_that_knows_whether_it_takes_it() -> None:
    found = [*unread(LISTED, "featureGates: {LongGone: true, Other: false}")]
    assert [(setting.program, setting.argument, setting.place) for setting in found] == [
        ("kube-apiserver", "--feature-gates=A=true", KUBEADM),
        ("kube-apiserver", "--audit-log-path=/x", KUBEADM),
        ("etcd", "--quota-backend-bytes=1", KUBEADM),
        ("kube-apiserver", "--feature-gates=LongGone=true", KUBELET),
        ("kube-apiserver", "--feature-gates=Other=false", KUBELET),
    ]


def test_what_an_argument_says_is_shown_to_nobody() -> None:
    assert "hunter2" not in repr([*unread("apiServer: {extraArgs: {token: hunter2}}", "")])


def test_arguments_as_kubeadm_wrote_them_before_are_named_too() -> None:
    (found,) = unread("scheduler: {extraArgs: {v: '4'}}", "")
    assert (found.name, found.argument) == ("kube-scheduler --v", "--v=4")


@pytest.mark.parametrize("text", ["", "[", "- a", "apiServer: 7", "apiServer: {extraArgs: 7}", "etcd: {local: []}"])
def test_what_is_no_such_document_has_none(text: str) -> None:
    assert [*unread(text, text)] == []
