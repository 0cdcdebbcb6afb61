"""A hint names what was meant: a slip of the fingers, or the same thing by another tool's name. Never another concept."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kube_provision_core.config.spelling import meant

REFERENCE = (Path(__file__).parents[3] / "docs" / "configuration.md").read_text()
ROWS = re.findall(r"^\| (`[a-z].*?) \|", REFERENCE, re.MULTILINE)
KEYS = sorted({key for row in ROWS for key in re.findall(r"`(\w+)`", row)})
KNOWN = [*KEYS, "count"]

KUBESPRAY = """kube_network_plugin kube_network_plugin_multus kube_network_node_prefix kube_apiserver_ip
    kube_apiserver_port kube_proxy_strict_arp kube_encrypt_secret_data ndots
    dns_mode enable_nodelocaldns nodelocaldns_ip resolvconf_mode container_manager kata_containers_enabled
    kubeadm_certificate_key kubernetes_audit event_ttl_duration auto_renew_certificates
    system_reserved kube_reserved eviction_hard kubelet_deployment_type helm_enabled registry_enabled
    metrics_server_enabled ingress_nginx_enabled cert_manager_enabled metallb_config kube_vip_address
    krew_enabled node_annotations etcd_deployment_type etcd_data_dir bin_dir
    local_release_dir upstream_dns_servers loadbalancer_apiserver containerd_registry_auth
    docker_insecure_registries docker_storage_options docker_options calico_mtu flannel_backend_type
    cilium_version ansible_user ansible_host download_run_once unsafe_show_logs ntp_enabled"""
KUBEONE = """apiVersion kind versions kubernetes vsphere csiConfig cloudConfig hosts publicAddress
    privateAddress bastion bastionPort sshPort sshUsername sshPrivateKeyFile sshAgentSocket
    annotations hostname isLeader providerSpec apiEndpoint clusterNetwork nodePortRange cni
    canal weaveNet external ipvs iptables features podNodeSelector staticAuditLog metricsServer
    openidConnect encryptionProviders addons systemPackages configureRepositories overwriteRegistry
    insecureRegistry containerRuntime containerd assetConfiguration machineController loggingConfig
    helmReleases certificateAuthority tlsCipherSuites maxPods"""
KARINA = """domain endpoint platform patches configFrom ldap dex monitoring thanos vault harbor minio velero nodes
    gatekeeper calico antrea nsx namespaceConfigurator quack sealedSecrets eck canaryChecker flux fluentd
    filebeat journalbeat registryCreds externalDns kubeAPIServer etcd ingressCA dns import bootstrapToken
    gitops hooks"""
CAPV = """cloneMode VSPHERE_STORAGE_POLICY CONTROL_PLANE_ENDPOINT_IP VIP_NETWORK_INTERFACE CPI_IMAGE_K8S_VERSION
    CLUSTER_CLASS_NAME CONTROL_PLANE_MACHINE_COUNT numCoresPerSocket dhcp4 gateway4 ipAddrs nameservers
    searchDomains storagePolicyName identityRef customVMXKeys tagIDs pciDevices powerOffMode
    hardwareVersion"""
OTHERS = """gpu gpus node api server agent proxy host zone vpc subnet keypair instance_type iam spot
    autoscaling min max flavor floating_ip router vip keepalived haproxy lb storage_class nfs ceph token
    secrets psk cri runtime docker podman audit rbac admission api_server_args controller_manager_args
    scheduler_args kubelet_args feature_gates selinux firewall bridge static nameserver bond
    bootstrap scripts post_commands environment user_data meta_data sshd sudo shell home
    locale kernel modules grub upgrade drain cordon architecture release channel repos pkg apt helm manifests
    quota affinity probe health port_range sans cert issuer model modem macs macro volume_mounts
    working_dir entrypoint privileged cap_add domainname devices links build notes hooked mask node_ip
    advertise_address consul_port consul_domain nomad fstype templates_dir worker_labels master_labels
    nodes_label site posts filter amount cupid memo copy"""


@pytest.mark.parametrize("tool", [KUBESPRAY, KUBEONE, KARINA, CAPV, OTHERS])
def test_what_is_another_concept_gets_no_hint(tool: str) -> None:
    assert {key: near for key in tool.split() if (near := meant(key, KNOWN))} == {}


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("masers", "masters"),
        ("master", "masters"),
        ("kubernets_version", "kubernetes_version"),
        ("kubernetes_verison", "kubernetes_version"),
        ("pod_subent", "pod_subnet"),
        ("podsubent", "pod_subnet"),
        ("cpus", "cpu"),
        ("time_zone", "timezone"),
        ("pod-subnet", "pod_subnet"),
        ("podSubnet", "pod_subnet"),
        ("package_repository", "package_repositories"),
        ("woker_label", "worker_label"),
        ("regoin", "region"),
        ("workerz", "workers"),
        ("hardenes", "hardened"),
    ],
)
def test_a_slip_gets_the_key(written: str, key: str) -> None:
    assert meant(written, KNOWN) == key


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("memory", "mem"),
        ("dataDisks", "data_volumes"),
        ("numCPUs", "cpu"),
        ("replicas", "count"),
        ("kube_version", "kubernetes_version"),
        ("kube_pods_subnet", "pod_subnet"),
        ("podCIDR", "pod_subnet"),
        ("service_cluster_ip_range", "service_subnet"),
        ("VSPHERE_SERVER", "vcenter_hostname"),
        ("controlPlane", "masters"),
        ("diskGiB", "boot_disk_size"),
        ("node_labels", "labels"),
        ("nodeTaints", "taints"),
        ("supplementary_addresses_in_ssl_keys", "api_server_sans"),
        ("kube_proxy_mode", "kube_proxy"),
        ("cloudProvider", "cloud_provider"),
    ],
)
def test_another_tools_name_for_the_same_thing_gets_ours(written: str, key: str) -> None:
    assert meant(written, KNOWN) == key


def test_another_tools_name_for_what_is_no_key_here_gets_no_hint() -> None:
    assert meant("memory", ["colour"]) == ""


def test_two_that_are_equally_near_give_no_hint() -> None:
    assert meant("httsp_proxy", ["http_proxy", "https_proxy"]) == ""


@st.composite
def slips(draw: st.DrawFn) -> tuple[str, str]:
    """A key, and how fingers write it: a letter left out, doubled, or swapped with its neighbour inside of a word; or, of a
    long word, another one at its end."""
    key = draw(st.sampled_from([key for key in KEYS if max(map(len, key.split("_"))) > 4]))
    words = key.split("_")
    at = draw(st.sampled_from([number for number, word in enumerate(words) if len(word) > 4]))
    word, place = words[at], draw(st.integers(1, len(words[at]) - 3))
    before, letter, after, rest = word[:place], word[place], word[place + 1], word[place + 2 :]
    other = [word[:-1] + end for end in "jqz" if len(word) > 5]
    inside = [before + it + rest for it in (after, letter * 2 + after, after + letter)]
    words[at] = draw(st.sampled_from([*inside, *other]))
    return "_".join(words), key


@settings(max_examples=300, derandomize=True, deadline=None)
@given(slips())
@example(("kubrnetes_version", "kubernetes_version"))
def test_every_slip_inside_of_a_word_gets_its_key(slip: tuple[str, str]) -> None:
    written, key = slip
    assert written in KEYS or meant(written, KEYS) == key


def test_every_key_is_meant_by_itself_in_other_cases() -> None:
    camel = {key: re.sub(r"_(\w)", lambda letter: letter[1].upper(), key) for key in KEYS}
    assert {key: meant(written, KEYS) for key, written in camel.items()} == {key: key for key in KEYS}
