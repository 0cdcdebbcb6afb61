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
"""


def test_version_endpoint_and_what_api_servers_find_on_disks() -> None:
    found = KubeadmConfiguration(WRITTEN)
    assert (found.version, found.endpoint, found.api_server_paths) == ("1.37.1", "localhost:8443", {POLICY})


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
    ],
)
def test_what_is_not_said_is_not_known(text: str) -> None:
    found = KubeadmConfiguration(text)
    assert (found.version, found.endpoint, found.api_server_paths) == ("", "", frozenset())
