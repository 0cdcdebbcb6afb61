"""What machines are told about the cluster, by role."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509

from kube_provision_core import Boot, BootError, BootFragment, Cluster, FailureDomain, File, Node, Role, Stage, hookimpl
from kube_provision_core.boot.kubeadm import KubeadmPart
from kube_provision_core.config.kubeadm_arguments import REFUSED as ARGUMENTS
from kube_provision_core.config.kubeadm_documents import REFUSED
from kube_provision_core.folder.pki import JoinSecrets, Snapshot, create_pki

Fragment = Callable[..., BootFragment | None]


@pytest.fixture
def fragment(secrets: JoinSecrets, configure: Callable[..., Any], cluster: Cluster) -> Fragment:
    def fragment(node: Node, cluster: Cluster = cluster, **keys: Any) -> BootFragment | None:
        return KubeadmPart(configure(**keys).by_role).render_boot(node, cluster, secrets)

    return fragment


def documents(fragment: BootFragment | None, verb: str) -> dict[str, Any]:
    """The documents of a configuration by kind; empty if the machine has none."""
    assert fragment is not None
    texts = [file.content for file in fragment.files if file.path == f"/etc/kube-provision/kubeadm-{verb}.yaml"]
    return {document["kind"]: document for text in texts for document in yaml.safe_load_all(text)}


def paths(fragment: BootFragment | None) -> set[str]:
    assert fragment is not None
    return {file.path for file in fragment.files}


def test_the_discovery_machine_gets_nothing(fragment: Fragment, make_node: Callable[..., Node]) -> None:
    assert fragment(make_node(Role.DISCOVERY)) is None


def test_only_a_machine_that_carries_the_authorities_can_initialise(
    fragment: Fragment, make_node: Callable[..., Node], secrets: JoinSecrets
) -> None:
    carrier, other, worker = (
        fragment(node) for node in (make_node(carries_ca=True), make_node(index=2), make_node(Role.WORKER))
    )
    authorities = {f"/var/lib/kube-provision/ca/{path}" for path in secrets.pki.files}
    assert authorities <= paths(carrier)
    assert not authorities & (paths(other) | paths(worker))
    assert documents(carrier, "init")
    assert not documents(other, "init")
    assert not documents(worker, "init")


def test_the_authorities_are_read_by_root_alone_and_shown_to_nobody(
    fragment: Fragment, make_node: Callable[..., Node]
) -> None:
    carrier = fragment(make_node(carries_ca=True))
    assert carrier is not None
    files = [
        file for file in carrier.files if file.path.startswith("/var/lib/kube-provision/ca/") or "kubeadm-" in file.path
    ]
    assert len(files) == 10
    assert all(file.mode == 0o600 and file.secret for file in files)
    assert "PRIVATE KEY" not in repr(carrier)


def test_masters_alone_get_the_certificate_key(
    fragment: Fragment, make_node: Callable[..., Node], secrets: JoinSecrets
) -> None:
    master = documents(fragment(make_node(index=2)), "join")["JoinConfiguration"]
    worker = documents(fragment(make_node(Role.WORKER)), "join")["JoinConfiguration"]
    assert master["controlPlane"]["certificateKey"] == secrets.certificate_key
    assert "controlPlane" not in worker
    assert secrets.certificate_key not in str(worker)


def test_who_joins_pins_the_authority_and_goes_through_its_own_proxy(
    fragment: Fragment, make_node: Callable[..., Node], secrets: JoinSecrets
) -> None:
    join = documents(fragment(make_node(Role.WORKER)), "join")["JoinConfiguration"]
    assert join["discovery"] == {
        "bootstrapToken": {
            "token": secrets.token,
            "apiServerEndpoint": "localhost:8443",
            "caCertHashes": [secrets.pki.ca_pin],
        }
    }


def test_who_initialises_accepts_the_folders_token_for_as_long_as_its_kind_of_machine_needs(
    fragment: Fragment, make_node: Callable[..., Node], secrets: JoinSecrets
) -> None:
    (token,) = documents(fragment(make_node(carries_ca=True)), "init")["InitConfiguration"]["bootstrapTokens"]
    assert (token["token"], token["ttl"]) == (secrets.token, "@TOKEN_TTL@")


def test_the_api_server_is_found_under_both_names_of_the_proxy(fragment: Fragment, make_node: Callable[..., Node]) -> None:
    cluster = documents(fragment(make_node(carries_ca=True)), "init")["ClusterConfiguration"]
    assert cluster["controlPlaneEndpoint"] == "localhost:8443"
    assert cluster["apiServer"]["certSANs"] == ["localhost", "127.0.0.1"]


def test_another_port_of_the_proxy_is_told_to_everybody(
    fragment: Fragment, make_node: Callable[..., Node], cluster: Cluster
) -> None:
    rendered = fragment(make_node(carries_ca=True), replace(cluster, proxy_port=7443))
    assert documents(rendered, "init")["ClusterConfiguration"]["controlPlaneEndpoint"] == "localhost:7443"
    join = documents(rendered, "join")["JoinConfiguration"]
    assert join["discovery"]["bootstrapToken"]["apiServerEndpoint"] == "localhost:7443"


DUAL_STACK = {"pod_subnet": "10.244.0.0/16,fd00:10:244::/56", "service_subnet": "10.96.0.0/12,fd00:10:96::/112"}


class TestADualStackCluster:
    @pytest.mark.parametrize("role", [Role.MASTER, Role.WORKER])
    def test_has_nodes_with_addresses_of_both_families(
        self, fragment: Fragment, make_node: Callable[..., Node], cluster: Cluster, role: Role
    ) -> None:
        join = documents(fragment(make_node(role), replace(cluster, **DUAL_STACK)), "join")["JoinConfiguration"]
        assert {"name": "node-ip", "value": "@NODE_IP@,@NODE_IPV6@"} in join["nodeRegistration"]["kubeletExtraArgs"]

    def test_is_told_both_networks(self, fragment: Fragment, make_node: Callable[..., Node], cluster: Cluster) -> None:
        rendered = fragment(make_node(carries_ca=True), replace(cluster, **DUAL_STACK))
        networking = documents(rendered, "init")["ClusterConfiguration"]["networking"]
        assert (networking["podSubnet"], networking["serviceSubnet"]) == (*DUAL_STACK.values(),)

    def test_has_kernels_that_forward_both(
        self, fragment: Fragment, make_node: Callable[..., Node], cluster: Cluster
    ) -> None:
        def told(cluster: Cluster) -> tuple[str, str]:
            made = fragment(make_node(), cluster)
            assert made
            (kernel,) = [step.script for step in made.steps if step.name == "kernel"]
            (sysctls,) = [file.content for file in made.files if file.path.endswith("80-kube-provision.conf")]
            return kernel, sysctls

        kernel, sysctls = told(replace(cluster, **DUAL_STACK))
        assert {"net.ipv6.conf.all.forwarding = 1", "net.ipv6.conf.default.forwarding = 1"} <= set(sysctls.splitlines())
        assert "without ipv6.disable=1" in kernel
        assert not any("ipv6" in text for text in told(cluster))


@pytest.mark.parametrize(("version", "told"), [("1.36.4", "v1.36.4"), ("1.36", "@KUBERNETES_VERSION@")])
def test_the_version_is_always_set(
    fragment: Fragment, make_node: Callable[..., Node], cluster: Cluster, version: str, told: str
) -> None:
    rendered = fragment(make_node(carries_ca=True), replace(cluster, kubernetes_version=version))
    assert documents(rendered, "init")["ClusterConfiguration"]["kubernetesVersion"] == told
    assert rendered is not None
    assert rendered.versions == {"kubeadm": version}


@pytest.mark.parametrize("verb", ["init", "join"])
def test_every_node_registers_under_its_name_with_its_own_address(
    fragment: Fragment, make_node: Callable[..., Node], verb: str
) -> None:
    registration = next(iter(documents(fragment(make_node(carries_ca=True)), verb).values()))["nodeRegistration"]
    assert registration["name"] == "m-prod-1"
    assert registration["kubeletExtraArgs"] == [{"name": "node-ip", "value": "@NODE_IP@"}]


def test_another_registry_serves_the_clusters_images_and_the_pause_image(
    fragment: Fragment, make_node: Callable[..., Node]
) -> None:
    rendered = fragment(make_node(carries_ca=True), image_repository="registry.example/k8s")
    assert documents(rendered, "init")["ClusterConfiguration"]["imageRepository"] == "registry.example/k8s"
    assert rendered is not None
    (step,) = (step for step in rendered.steps if step.name == "container-runtime")
    assert "--image-repository registry.example/k8s | grep /pause:" in step.script


def test_authorities_that_kubeadm_would_make_anew_are_refused(
    secrets: JoinSecrets, configure: Callable[..., Any], make_node: Callable[..., Node], cluster: Cluster
) -> None:
    ended = create_pki("old", now=datetime(2000, 1, 1, tzinfo=UTC))
    part = KubeadmPart(configure().by_role)
    with pytest.raises(BootError, match=r"authorities: ca\.crt is valid from"):
        part.render_boot(make_node(carries_ca=True), cluster, replace(secrets, pki=ended))


def test_archives_of_images_are_imported_for_the_kubelet_and_for_the_users_containers(
    render: Callable[..., Boot], content: Callable[[Boot, str], str]
) -> None:
    step = "kubeadm-images.sh"
    assert "namespaces=(k8s.io)\n" in content(render(image_archives="/srv/images"), step)
    rendered = render(image_archives="https://x.example/images.tar", containers=[{"image": "nginx", "service": "web"}])
    assert "namespaces=(k8s.io kube-provision)\n" in content(rendered, step)
    assert "https://x.example/images.tar" in content(rendered, step)


@pytest.mark.parametrize("verb", ["init", "join"])
def test_every_wait_of_kubeadm_is_set(fragment: Fragment, make_node: Callable[..., Node], verb: str) -> None:
    timeouts = next(iter(documents(fragment(make_node(carries_ca=True)), verb).values()))["timeouts"]
    assert timeouts.keys() == {
        *("controlPlaneComponentHealthCheck", "kubeletHealthCheck", "kubernetesAPICall", "etcdAPICall", "tlsBootstrap"),
        *("discovery", "upgradeManifests"),
    }


def test_leaders_are_as_patient_as_the_node_finds_necessary(fragment: Fragment, make_node: Callable[..., Node]) -> None:
    cluster = documents(fragment(make_node(carries_ca=True)), "init")["ClusterConfiguration"]
    for component in ("controllerManager", "scheduler"):
        arguments = {it["name"]: it["value"] for it in cluster[component]["extraArgs"]}
        assert arguments == {
            "leader-elect-lease-duration": "@LEASE_DURATION@",
            "leader-elect-renew-deadline": "@RENEW_DEADLINE@",
            "leader-elect-retry-period": "@RETRY_PERIOD@",
        }


@pytest.mark.parametrize("role", [Role.MASTER, Role.WORKER])
def test_the_kubelet_is_not_started_before_kubeadm_has_configured_it(
    render: Callable[..., Boot], make_node: Callable[..., Node], content: Callable[[Boot, str], str], role: Role
) -> None:
    drop_in = content(render(make_node(role=role)), "kubelet.service.d/kube-provision.conf")
    assert "[Unit]\nConditionPathExists=/var/lib/kubelet/config.yaml\n" in drop_in


@pytest.mark.parametrize(
    "keys",
    [
        {"volumes": [{"dev": "/dev/vdc", "mount": "/var/lib/etcd/"}]},
        {"data_volume": 20, "data_volume_mount": "/var/lib/etcd"},
        {"data_volumes": [{"size": 9, "mount": "/data"}, {"size": 20, "mount": "/var/lib/etcd"}]},
        {"mounts": {"/var/lib/etcd": "LABEL=etcd"}},
    ],
    ids=["volume", "data-volume", "data-volumes", "mount"],
)
def test_the_kubelet_runs_no_etcd_without_its_own_disk(
    render: Callable[..., Boot], content: Callable[[Boot, str], str], keys: dict[str, Any]
) -> None:
    rendered = render(**keys)
    assert 'RequiresMountsFor="/var/lib/etcd"\n' in content(rendered, "kubelet.service.d/kube-provision-disks.conf")


def test_the_kubelet_waits_for_no_other_disk(render: Callable[..., Boot]) -> None:
    rendered = render(data_volume=20, data_volume_mount="/var/lib/etcd-backup", mounts={"/srv": "nas:/srv"})
    assert not any("disks.conf" in file.path for file in rendered.files)


def test_a_snapshot_is_announced_to_the_machine_that_may_initialise_alone(
    configure: Callable[..., Any], make_node: Callable[..., Node], secrets: JoinSecrets, cluster: Cluster
) -> None:
    """With the program that takes it, and what that shows to who brings it."""
    restored = replace(secrets, snapshot=Snapshot(1000, "ab" * 32))
    part = KubeadmPart(configure().by_role)
    carrier, plain, other, worker = (
        part.render_boot(node, cluster, given)
        for node, given in (
            (make_node(carries_ca=True), restored),
            (make_node(carries_ca=True), secrets),
            (make_node(index=2), restored),
            (make_node(Role.WORKER), restored),
        )
    )
    assert carrier is not None
    more = {
        "/etc/kube-provision/restore.json",
        "/var/lib/kube-provision/ca/receiver.pem",
        "/usr/local/lib/kube-provision/kube_provision_node/restore.py",
    }
    assert paths(carrier) - paths(plain) == more
    kept = {f"/var/lib/kube-provision/ca/{name}" for name in secrets.pki.files if name != "ca.crt"}
    assert paths(plain) - paths(carrier) == kept, "they are brought with the snapshot"
    assert not more & (paths(other) | paths(worker))
    shown = next(file for file in carrier.files if file.path.endswith("receiver.pem"))
    assert shown.secret
    assert shown.mode == 0o600
    until = x509.load_pem_x509_certificate(shown.content).not_valid_after_utc
    assert timedelta(days=4) < until - datetime.now(UTC) <= timedelta(days=7), "boot data may be read by others"
    assert "kube_provision_node.restore join" in carrier.steps[-1].script
    assert other is not None
    assert "kube_provision_node.choreography join" in other.steps[-1].script


WISHES: dict[str, Any] = {
    "kubeadm": {
        "cluster": {
            "apiServer": {
                "extraArgs": [{"name": "event-ttl", "value": "2h"}],
                "certSANs": ["api.example", "localhost"],
            },
            "controllerManager": {"extraArgs": [{"name": "terminated-pod-gc-threshold", "value": "100"}]},
            "etcd": {"local": {"extraArgs": [{"name": "quota-backend-bytes", "value": "8589934592"}]}},
        },
        "init": {"nodeRegistration": {"ignorePreflightErrors": ["Mem"]}},
        "join": {"nodeRegistration": {"kubeletExtraArgs": [{"name": "root-dir", "value": "/data/kubelet"}]}},
    },
    "kube_proxy": {"mode": "ipvs", "ipvs": {"strictARP": True}},
}


def test_what_a_user_wishes_of_kubeadm_lies_under_ours(fragment: Fragment, make_node: Callable[..., Node]) -> None:
    carrier = make_node(carries_ca=True)
    init, ours = documents(fragment(carrier, **WISHES), "init"), documents(fragment(carrier), "init")
    cluster = init["ClusterConfiguration"]
    assert cluster["apiServer"]["certSANs"] == ["localhost", "127.0.0.1", "api.example"]
    assert cluster["apiServer"]["extraArgs"] == [{"name": "event-ttl", "value": "2h"}]
    assert cluster["controllerManager"]["extraArgs"] == [
        *ours["ClusterConfiguration"]["controllerManager"]["extraArgs"],
        {"name": "terminated-pod-gc-threshold", "value": "100"},
    ]
    assert cluster["etcd"]["local"]["extraArgs"] == [{"name": "quota-backend-bytes", "value": "8589934592"}]
    registration = ours["InitConfiguration"]["nodeRegistration"] | {"ignorePreflightErrors": ["Mem"]}
    assert init["InitConfiguration"] == ours["InitConfiguration"] | {"nodeRegistration": registration}
    assert init["KubeProxyConfiguration"]["mode"] == "ipvs"
    assert init["KubeProxyConfiguration"]["ipvs"] == {"strictARP": True}
    join = documents(fragment(carrier, **WISHES), "join")["JoinConfiguration"]
    assert [it["name"] for it in join["nodeRegistration"]["kubeletExtraArgs"]] == ["node-ip", "root-dir"]


def test_without_kube_proxy_kubeadm_is_told_to_bring_none(fragment: Fragment, make_node: Callable[..., Node]) -> None:
    init = documents(fragment(make_node(carries_ca=True), kube_proxy="none"), "init")
    assert init["ClusterConfiguration"]["proxy"] == {"disabled": True}
    assert "KubeProxyConfiguration" not in init


def test_the_modules_of_ipvs_are_loaded_where_it_is_asked_for(fragment: Fragment, make_node: Callable[..., Node]) -> None:
    asked, usual = fragment(make_node(Role.WORKER), kube_proxy="ipvs"), fragment(make_node(Role.WORKER))
    assert content(usual, "/etc/modules-load.d/kube-provision.conf") == "overlay\nbr_netfilter\n"
    assert content(asked, "/etc/modules-load.d/kube-provision.conf").split()[2:] == [
        *("ip_vs", "ip_vs_rr", "ip_vs_wrr", "ip_vs_sh", "nf_conntrack")
    ]
    assert asked is not None
    (step,) = (step for step in asked.steps if step.name == "kernel")
    assert "modprobe --all overlay br_netfilter ip_vs " in step.script


def content(fragment: BootFragment | None, path: str) -> str:
    assert fragment is not None
    (found,) = (file.content for file in fragment.files if file.path == path)
    return str(found)


DROP_IN = "/etc/kubernetes/kubelet.conf.d/50-kube-provision.conf"


@pytest.mark.parametrize("role", [Role.MASTER, Role.WORKER])
def test_settings_of_a_kubelet_lie_where_it_is_told_to_look(
    fragment: Fragment, make_node: Callable[..., Node], role: Role
) -> None:
    rendered = fragment(make_node(role), kubelet={"maxPods": 200})
    assert yaml.safe_load(content(rendered, DROP_IN)) == {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "maxPods": 200,
    }
    registration = documents(rendered, "join")["JoinConfiguration"]["nodeRegistration"]
    assert {"name": "config-dir", "value": "/etc/kubernetes/kubelet.conf.d"} in registration["kubeletExtraArgs"]
    assert DROP_IN not in paths(fragment(make_node(role)))


@pytest.mark.parametrize("role", [Role.MASTER, Role.WORKER])
@pytest.mark.parametrize("swap", [True, 4])
def test_a_kubelet_that_may_run_beside_swap_is_told_so_where_its_own_settings_are(
    fragment: Fragment, make_node: Callable[..., Node], role: Role, swap: bool | int
) -> None:
    behaviour = {"memorySwap": {"swapBehavior": "LimitedSwap"}}
    for own in ({}, behaviour):
        rendered = fragment(make_node(role, carries_ca=role is Role.MASTER), swap=swap, kubelet=own)
        told = yaml.safe_load(content(rendered, DROP_IN))
        assert {key: it for key, it in told.items() if key not in ("apiVersion", "kind")} == {"failSwapOn": False, **own}
        registration = documents(rendered, "join")["JoinConfiguration"]["nodeRegistration"]
        assert {"name": "config-dir", "value": "/etc/kubernetes/kubelet.conf.d"} in registration["kubeletExtraArgs"]
    if role is Role.MASTER:
        assert "failSwapOn" not in documents(rendered, "init")["KubeletConfiguration"]


def leaves(value: Any, way: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from leaves(item, (*way, key))
    else:
        yield ".".join(way), value


def test_nothing_of_a_users_is_overruled_without_a_word(
    fragment: Fragment, make_node: Callable[..., Node], cluster: Cluster
) -> None:
    """All that we write is refused of a user, but lists, which are joined, and what is the user's to choose."""
    rendered = fragment(make_node(carries_ca=True), replace(cluster, shares_kernel=True), image_repository="r.example/k8s")
    for document in (*documents(rendered, "init").values(), *documents(rendered, "join").values()):
        kind = document.pop("kind")
        assert document.pop("apiVersion")
        for place, value in leaves(document):
            if isinstance(value, list) and value and isinstance(value[0], dict) and "name" in value[0]:
                assert {it["name"] for it in value} <= ARGUMENTS[kind, place].keys(), place
            elif (kind, place) not in JOINED:
                assert any(f"{place}.".startswith(f"{refused}.") for refused in REFUSED[kind]), (kind, place)


JOINED = {
    ("ClusterConfiguration", "apiServer.certSANs"),
    ("KubeProxyConfiguration", "mode"),  # is read from what the user says
    ("KubeProxyConfiguration", "conntrack.maxPerCore"),  # is refused where machines share a kernel
    ("KubeProxyConfiguration", "conntrack.min"),
}


def test_what_a_wrapper_makes_of_a_kubelets_settings_is_checked(render: Callable[..., Boot]) -> None:
    class Meddler:
        @hookimpl(wrapper=True)
        def render_boot(self) -> Generator[None, list[BootFragment], list[BootFragment]]:
            return [replace(it, files=tuple(map(meddled, it.files))) for it in (yield)]

    def meddled(file: File) -> File:
        text = str(file.content).replace("maxPods", "maxPod")
        return replace(file, content=text) if file.path == DROP_IN else file

    with pytest.raises(BootError, match=r"KubeletConfiguration\.maxPod: no such key is known; did you mean maxPods\?"):
        render(plugins={"meddler": Meddler()}, kubelet={"maxPods": 200})


@pytest.mark.parametrize(
    ("role", "mode", "steps"),
    [(Role.MASTER, "nftables", 1), (Role.WORKER, "nftables", 0), (Role.MASTER, "iptables", 0), (Role.MASTER, "ipvs", 0)],
)
def test_masters_see_to_calico_where_kube_proxy_is_to_use_nftables(
    fragment: Fragment, make_node: Callable[..., Node], role: Role, mode: str, steps: int
) -> None:
    rendered = fragment(make_node(role), kube_proxy=mode)
    assert rendered is not None
    assert [step.stage for step in rendered.steps if step.name == "calico"] == [Stage.FINISH] * steps


@pytest.mark.parametrize("verb", ["init", "join"])
def test_short_keys_reach_every_node_by_its_registration(
    fragment: Fragment, make_node: Callable[..., Node], verb: str
) -> None:
    labels = {"disk": "fast", "example.com/tier": "1", "node-role.kubernetes.io/storage": ""}
    rendered = fragment(
        make_node(carries_ca=True),
        labels=labels,
        taints=["dedicated=gpu:NoSchedule", "a:NoExecute"],
        cloud_provider="external",
    )
    registration = next(iter(documents(rendered, verb).values()))["nodeRegistration"]
    assert registration["taints"] == [
        {"key": "dedicated", "value": "gpu", "effect": "NoSchedule"},
        {"key": "a", "effect": "NoExecute"},
    ]
    assert registration["kubeletExtraArgs"] == [
        {"name": "node-ip", "value": "@NODE_IP@"},
        {"name": "cloud-provider", "value": "external"},
        {"name": "node-labels", "value": "disk=fast,example.com/tier=1"},
    ]


def test_labels_of_a_failure_domain_come_beside_those_of_the_configuration(
    fragment: Fragment, make_node: Callable[..., Node]
) -> None:
    domain = FailureDomain("zone-a", {"topology.kubernetes.io/zone": "zone-a", "topology.kubernetes.io/region": "north"})
    node = replace(make_node(Role.WORKER), failure_domain=domain)
    rendered = fragment(node, labels={"disk": "fast", "topology.kubernetes.io/region": "mine"})
    registration = documents(rendered, "join")["JoinConfiguration"]["nodeRegistration"]
    assert registration["kubeletExtraArgs"][-1] == {
        "name": "node-labels",
        "value": "disk=fast,topology.kubernetes.io/region=mine,topology.kubernetes.io/zone=zone-a",
    }


def test_masters_without_taints_say_so_and_others_leave_them_to_kubeadm(
    fragment: Fragment, make_node: Callable[..., Node]
) -> None:
    def registration(**keys: Any) -> Any:
        return documents(fragment(make_node(), **keys), "join")["JoinConfiguration"]["nodeRegistration"]

    assert registration(taints=[])["taints"] == []
    assert "taints" not in registration()


def test_further_names_stand_in_the_api_servers_certificate(fragment: Fragment, make_node: Callable[..., Node]) -> None:
    rendered = fragment(make_node(carries_ca=True), api_server_sans=["api.example", "127.0.0.1"])
    assert documents(rendered, "init")["ClusterConfiguration"]["apiServer"]["certSANs"] == [
        *("localhost", "127.0.0.1", "api.example")
    ]


def test_patches_lie_where_kubeadm_is_told_to_look(
    fragment: Fragment, make_node: Callable[..., Node], tmp_path: Path
) -> None:
    (tmp_path / "kube-apiserver.yaml").write_text("spec: {}\n")
    master, worker = (fragment(make_node(role), kubeadm_patches=tmp_path) for role in (Role.MASTER, Role.WORKER))
    assert content(master, "/etc/kubernetes/patches/kube-apiserver.yaml") == "spec: {}\n"
    assert documents(master, "join")["JoinConfiguration"]["patches"] == {"directory": "/etc/kubernetes/patches"}
    assert "patches" not in documents(worker, "join")["JoinConfiguration"]
    carrier = fragment(make_node(carries_ca=True), kubeadm_patches=tmp_path)
    assert documents(carrier, "init")["InitConfiguration"]["patches"] == {"directory": "/etc/kubernetes/patches"}
