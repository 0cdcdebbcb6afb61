"""What is read of kubeadm's own ClusterConfiguration, as it lies in a cluster."""

from __future__ import annotations

import pytest

from kube_provision_core.cluster.kubeadm_configuration import KubeadmConfiguration

POLICY = "/etc/kubernetes/api-server/audit-policy.yaml"
WRITTEN = f"""apiServer:
  certSANs:
  - localhost
  extraArgs:
  - name: audit-policy-file
    value: {POLICY}
  - name: audit-log-maxage
    value: "30"
apiVersion: kubeadm.k8s.io/v1beta4
controlPlaneEndpoint: localhost:8443
kind: ClusterConfiguration
kubernetesVersion: v1.37.1
networking:
  dnsDomain: cluster.local
  podSubnet: 10.244.0.0/16,fd00:10:244::/56
  serviceSubnet: 10.96.0.0/12,fd00:10:96::/112
"""


def test_version_endpoint_and_what_api_servers_find_on_disks() -> None:
    found = KubeadmConfiguration(WRITTEN)
    assert (found.version, found.endpoint, found.api_server_paths) == ("1.37.1", "localhost:8443", {POLICY})
    assert found.networks == {
        "pod_subnet": "10.244.0.0/16,fd00:10:244::/56",
        "service_subnet": "10.96.0.0/12,fd00:10:96::/112",
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "apiServer: {}\n",
        "apiServer: null\n",
        "apiServer: {extraArgs: null}\n",
        "apiServer: {extraArgs: [name]}\n",
        "apiServer: {extraArgs: {audit-policy-file: /x}}\n",
        "apiServer: [\n",
        "networking: [podSubnet]\n",
        "networking: {podSubnet: null}\n",
        "networking: {podSubnet: [10.244.0.0/16]}\n",
        'networking: {podSubnet: "10.244.0.0/16\\nkube-provision: all is well"}\n',
        "a: &a [x, x]\nnetworking: {podSubnet: *a}\n",
    ],
)
def test_what_is_not_said_is_not_known(text: str) -> None:
    found = KubeadmConfiguration(text)
    assert (found.version, found.endpoint, found.api_server_paths, found.networks) == ("", "", frozenset(), {})
    assert found.other_arguments(TWO) == (() if text in ("", "apiServer: [\n") else (*OF_API_SERVERS, OF_ETCD))


@pytest.mark.parametrize(
    "text", ["networking: {podSubnet: x}x\n", "a: 2024-99-99\nnetworking: {podSubnet: x}\n", "[" * 1000]
)
def test_what_is_no_yaml_says_nothing(text: str) -> None:
    found = KubeadmConfiguration(text)
    assert (found.networks, found.api_server_paths, found.other_arguments(TWO)) == ({}, frozenset(), ())


@pytest.mark.parametrize("told", ["10.244.0.0/16,fd00:10:244::/56", "10.244.0.0/16, FD00:10:244:0::/56"])
def test_networks_are_told_as_the_configuration_writes_them(told: str) -> None:
    found = KubeadmConfiguration(f"networking: {{podSubnet: '{told}', serviceSubnet: elsewhere}}").networks
    assert found == {"pod_subnet": "10.244.0.0/16,fd00:10:244::/56"}


TWO = {
    "apiServer": {
        "extraArgs": [{"name": "event-ttl", "value": "2h"}, {"name": "audit-log-maxage", "value": "30"}],
        "certSANs": ["api.prod.example"],
    },
    "etcd": {"local": {"extraArgs": [{"name": "quota-backend-bytes", "value": "8"}]}},
    "scheduler": {},
}
OF_API_SERVERS = tuple(f"kubeadm.cluster.apiServer.extraArgs.{name}" for name in ("audit-log-maxage", "event-ttl"))
OF_ETCD = "kubeadm.cluster.etcd.local.extraArgs.quota-backend-bytes"


def test_arguments_that_a_user_wishes_for_and_the_cluster_lacks_are_named_and_not_shown() -> None:
    assert KubeadmConfiguration(WRITTEN).other_arguments(TWO) == (OF_API_SERVERS[1], OF_ETCD)


def test_an_argument_of_another_value_is_named_too() -> None:
    thirty = KubeadmConfiguration(WRITTEN.replace('"30"', '"31"'))
    assert thirty.other_arguments(TWO) == (*OF_API_SERVERS, OF_ETCD)


def test_what_a_user_does_not_speak_of_is_left_to_whoever_has_written_it() -> None:
    assert KubeadmConfiguration(WRITTEN).other_arguments({}) == ()
