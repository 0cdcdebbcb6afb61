"""A cluster of whole hosts, from the first run to the last: real systemd, cloud-init, apt, Consul, nginx and etcd."""

from __future__ import annotations

import http.client
import itertools
import json
import ssl
import tomllib
from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from machines import leaks
from machines.lab import DUAL_STACK, Lab, Run, until
from machines.nspawn import Host
from servers.provisioned_consul import ask as ask_consul

from kube_provision_core.folder.encryption import Stage

WHOLE = {"consul-prod", "m-prod-1", "m-prod-2", "m-prod-3", "w-prod-1", "w-prod-2"}
NODES = WHOLE - {"consul-prod"}
SERVICES = ("kube-provision-consul", "kube-provision-proxy", "kube-provision-follower", "containerd", "kubelet")
SETTINGS = {"users": [{"name": "operator"}], "encryption_at_rest": True, "hardened": True, **DUAL_STACK}
RECOVERY = 180.0
"""Seconds within which a node is back after whatever happened to it."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("lab"), SETTINGS, bookworm={"w-prod-2"}) as lab:
        yield lab


@pytest.fixture(scope="module")
def first(lab: Lab) -> Run:
    """The run that made the cluster."""
    return lab.made()


@pytest.fixture
def cluster(lab: Lab, first: Run) -> Lab:
    """The lab once its cluster lives."""
    return lab


class TestTheFirstRun:
    def test_brings_every_machine_to_its_end(self, cluster: Lab, first: Run) -> None:
        assert first.states == dict.fromkeys(WHOLE, "done")
        assert cluster.stages() == dict.fromkeys(WHOLE, "finish done")

    def test_ends_with_nodes_that_the_cluster_counts_as_ready(self, cluster: Lab) -> None:
        until(lambda: cluster.ready() == NODES, RECOVERY, "the network plugin has come to every node")

    def test_gives_every_kubelet_its_hosts_addresses_of_both_families(self, cluster: Lab) -> None:
        for name in NODES:
            told = cluster.hosts[name].run("cat", "/var/lib/kubelet/kubeadm-flags.env")
            assert f"--node-ip={cluster.hosts[name].address},{cluster.hosts[name].link.ipv6}" in told

    def test_initialises_once(self, cluster: Lab) -> None:
        assert [name for name, _, _ in cluster.calls("init")] == ["m-prod-1"]

    def test_lets_masters_join_one_at_a_time(self, cluster: Lab) -> None:
        masters = [call for call in cluster.calls("join") if call[0].startswith("m-")]
        turns = [*cluster.calls("init"), *masters]
        assert sorted(name for name, _, _ in turns) == ["m-prod-1", "m-prod-2", "m-prod-3"]
        assert all(earlier[2] <= later[1] for earlier, later in itertools.pairwise(turns))

    def test_makes_every_master_a_voter_of_etcd(self, cluster: Lab) -> None:
        with cluster.control_plane() as api:
            members = {member.name: member.learner for member in api.etcd.members()}
        assert members == dict.fromkeys(cluster.masters, False)

    def test_leaves_no_secret_in_etcd_that_is_not_encrypted(self, cluster: Lab) -> None:
        assert cluster.secrets.encryption
        assert written_with(cluster) == {f"k8s:enc:secretbox:v1:{cluster.secrets.encryption.key.name}"}

    def test_answers_nobody_without_a_name_but_of_its_health(self, cluster: Lab, first: Run) -> None:
        document = yaml.safe_load(Path(first.data["kubeconfig"]).read_text())
        assert {path: status_without_a_name(document, path) for path in ("/readyz", "/api/v1/nodes", "/api/v1/secrets")} == {
            "/readyz": 200,
            "/api/v1/nodes": 401,
            "/api/v1/secrets": 401,
        }

    @pytest.mark.parametrize("name", ["w-prod-1", "w-prod-2"])
    def test_shows_workers_no_other_way_than_their_own_proxy(self, cluster: Lab, name: str) -> None:
        host = cluster.hosts[name]
        assert server_of(host) == "https://localhost:8443"
        users = users_of_api_servers(host)
        assert all('"nginx"' in line for line in users), users

    @pytest.mark.parametrize("name", ["m-prod-1", "m-prod-2", "m-prod-3"])
    def test_leads_a_masters_kubelet_to_its_own_api_server(self, cluster: Lab, name: str) -> None:
        host = cluster.hosts[name]
        assert server_of(host) == f"https://{host.address}:6443"

    def test_applies_the_seed_manifest_once(self, cluster: Lab) -> None:
        applied = [
            host.journal("--grep=serverside-applied", lines=100).count("configmap/seeded")
            for host in cluster.masters.values()
        ]
        assert sum(applied) == 1

    def test_takes_everything_from_the_sites_own_mirror(self, cluster: Lab) -> None:
        served = {path.rpartition("/")[2].partition("_")[0] for path in cluster.mirror.served if path.endswith(".deb")}
        assert served >= {"kubeadm", "kubelet", "kubectl", "consul", "socat", "conntrack", "ethtool"}
        held = cluster.hosts["w-prod-1"].run("apt-mark", "showhold").split()
        assert held == ["cri-tools", "kubeadm", "kubectl", "kubelet", "kubernetes-cni"]

    @pytest.mark.parametrize("name", ["w-prod-1", "w-prod-2"])
    def test_has_the_runtime_of_every_release_look_for_network_plugins_where_they_come_to(
        self, cluster: Lab, name: str
    ) -> None:
        effective = tomllib.loads(cluster.hosts[name].run("containerd", "config", "dump"))
        assert effective["plugins"]["io.containerd.grpc.v1.cri"]["cni"]["bin_dir"] == "/opt/cni/bin"

    @pytest.mark.parametrize("name", sorted(WHOLE))
    def test_leaves_no_failed_unit(self, cluster: Lab, name: str) -> None:
        assert cluster.hosts[name].run("systemctl", "--failed", "--no-legend", "--plain") == ""

    @pytest.mark.parametrize("name", ["w-prod-1", "w-prod-2"])
    def test_makes_a_user_whose_group_is_there_already(self, cluster: Lab, name: str) -> None:
        host = cluster.hosts[name]
        assert host.wait_until_booted()["v1"]["errors"] == []
        assert host.run("id", "--group", "--name", "operator").strip() == "operator"

    def test_writes_a_kubeconfig_that_works(self, first: Run, tmp_path: Path) -> None:
        document = yaml.safe_load(Path(first.data["kubeconfig"]).read_text())
        assert ask(document, "/api/v1/nodes", tmp_path)["kind"] == "NodeList"


class TestAReboot:
    @pytest.mark.parametrize("name", ["w-prod-2", "m-prod-1", "consul-prod"])
    def test_is_no_first_boot_the_second_time_neither(self, cluster: Lab, name: str) -> None:
        """The first time right after the run, which has scrubbed all machines."""
        host = cluster.hosts[name]
        before = (identity(host), cluster.calls("init"), cluster.calls("join"))
        for _ in range(2):
            (host.folder / "channel/status.json").unlink()
            host.reboot()
            host.wait_until_booted()
            until(lambda: cluster.stages()[name] == "finish done", RECOVERY, f"{name} says that it is done")
            until(lambda: healthy(cluster), RECOVERY, f"the cluster is whole again with {name}")
        assert (identity(host), cluster.calls("init"), cluster.calls("join")) == before


class TestSecrets:
    """After machines were rebooted: a boot may bring back what the one before has removed."""

    @pytest.mark.parametrize("name", sorted(WHOLE))
    def test_are_left_on_no_machine(self, cluster: Lab, name: str) -> None:
        assert leaks.on_host(cluster.hosts[name], leaks.needles(cluster.secrets)) == []

    def test_are_left_in_no_key_of_consul(self, cluster: Lab) -> None:
        assert leaks.in_consul(cluster.secrets, cluster.discovery.address, leaks.needles(cluster.secrets)) == []

    @pytest.mark.parametrize(
        "path", ["/var/lib/cloud/instance/user-data.txt.i", "/run/planted", "/media/channel/planted", "/root/planted"]
    )
    def test_that_were_planted_on_a_machine_are_found(self, cluster: Lab, path: str) -> None:
        host, wanted = cluster.hosts["w-prod-1"], leaks.needles(cluster.secrets)
        host.write(path, f"\0 {wanted['ca.key']}\n")
        try:
            (found,) = leaks.on_host(host, wanted)
        finally:
            host.run("rm", path)
        assert found.startswith("ca.key in ")

    def test_that_were_planted_in_a_seed_are_found(self, cluster: Lab) -> None:
        host, wanted = cluster.hosts["w-prod-1"], leaks.needles(cluster.secrets)
        before = host.user_data
        host.replace_user_data(f"#cloud-config\n# {wanted['token']}\n")
        try:
            assert leaks.on_host(host, wanted) == ["token in seed/user-data"]
        finally:
            host.replace_user_data(before)

    def test_that_were_said_in_a_journal_are_found(self, cluster: Lab) -> None:
        host = cluster.hosts["w-prod-2"]
        host.run("logger", "planted for the search")
        assert leaks.on_host(host, {"a planted one": "planted for the search"}) != []

    def test_that_were_planted_in_consul_are_found(self, cluster: Lab) -> None:
        wanted = leaks.needles(cluster.secrets)
        ask_consul(cluster.secrets, cluster.discovery.address, "PUT", "/v1/kv/planted", wanted["certificate key"])
        try:
            found = leaks.in_consul(cluster.secrets, cluster.discovery.address, wanted)
        finally:
            ask_consul(cluster.secrets, cluster.discovery.address, "DELETE", "/v1/kv/planted")
        assert found == ["certificate key in planted"]


class TestAnotherKey:
    def test_is_soon_the_only_one(self, cluster: Lab) -> None:
        until(lambda: healthy(cluster), RECOVERY, "the cluster is whole")
        before = cluster.secrets.encryption
        assert before
        run = cluster.run("encryption", "rotate")
        assert run.code == 0, run.errors
        after = cluster.secrets.encryption
        assert after
        assert (after.key, after.stage) == (before.next, Stage.SETTLED)
        assert written_with(cluster) == {f"k8s:enc:secretbox:v1:{before.next.name}"}
        for host in cluster.masters.values():
            assert before.key.name not in host.run("cat", "/etc/kubernetes/api-server/encryption.yaml")
        until(lambda: healthy(cluster), RECOVERY, "the cluster is whole again")


class TestAService:
    @pytest.mark.parametrize("service", SERVICES)
    def test_that_is_killed_comes_back(self, cluster: Lab, service: str) -> None:
        hosts = [cluster.hosts[name] for name in ("m-prod-3", "w-prod-1")]
        before = {host: main_process(host, service) for host in hosts}
        for host in hosts:
            host.run("systemctl", "kill", "--signal=KILL", f"{service}.service")
        until(
            lambda: all(main_process(host, service) not in (killed, "0") for host, killed in before.items()),
            RECOVERY,
            f"{service} runs again",
        )
        until(lambda: healthy(cluster), RECOVERY, f"the cluster is whole again after {service}")

    def test_that_starts_while_its_list_of_masters_is_written_follows_that_list(self, cluster: Lab) -> None:
        host, gate = cluster.hosts["w-prod-1"], "/etc/nginx/modules-enabled/gate.conf"
        host.run("systemctl", "stop", "kube-provision-follower.service", "kube-provision-proxy.service")
        host.run("rm", "/etc/kube-provision/nginx.conf")
        host.run("mkfifo", gate)
        host.run("systemctl", "start", "--no-block", "kube-provision-proxy.service")
        until(lambda: host.succeeds("pgrep", "--exact", "nginx"), RECOVERY, "nginx has read its file, and waits at the gate")
        follow_for_a_moment(host)
        assert "listen 127.0.0.1:8443" in host.run("cat", "/etc/kube-provision/nginx.conf")
        host.run("python3", "-c", f"import os; os.open({gate!r}, os.O_WRONLY); os.unlink({gate!r})")
        try:
            until(lambda: host.succeeds("bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8443"), 20, "nginx listens")
        finally:
            host.run("systemctl", "start", "kube-provision-follower.service")
        until(lambda: healthy(cluster), RECOVERY, "the cluster is whole again")


class TestANode:
    def test_is_let_go(self, cluster: Lab) -> None:
        run = cluster.run("destroy", "--node", "w-prod-2", "--yes")
        assert run.code == 0, run.errors
        with cluster.control_plane() as api:
            assert "w-prod-2" not in {node.name for node in api.nodes()}
        assert "w-prod-2" not in cluster.hosts


def written_with(lab: Lab) -> set[str]:
    """How the Secrets in etcd begin: what encrypted them, and its key's name."""
    everything = {"key": encoded("/registry/"), "range_end": encoded("/registry0")}
    with lab.control_plane() as api:
        kept = api._etcd_client.call("POST", "/v3/kv/range", everything).document["kvs"]
    secrets = [b64decode(it["value"]) for it in kept if b"/secrets/" in b64decode(it["key"])]
    assert secrets
    return {b":".join(content.split(b":")[:5]).decode(errors="replace") for content in secrets}


def server_of(host: Host) -> str:
    """Where the host's kubelet finds the API server."""
    return str(yaml.safe_load(host.run("cat", "/etc/kubernetes/kubelet.conf"))["clusters"][0]["cluster"]["server"])


def users_of_api_servers(host: Host) -> list[str]:
    """What is connected to one, a line each, once every line names its process.

    `ss` reads the processes' descriptors before it lists sockets, so it knows no owner of one that was opened in between.
    """
    seen: list[str] = []

    def are_all_named() -> bool:
        seen[:] = host.run("ss", "-tnpH", "state", "established", "dport", "=", ":6443").splitlines()
        return all("users:" in line for line in seen)

    until(are_all_named, RECOVERY, f"every connection of {host.name} to an API server has a process")
    return seen


def identity(host: Host) -> str:
    return host.run("cat", "/var/lib/cloud/data/instance-id")


def follow_for_a_moment(host: Host) -> None:
    """Write down the masters that discovery knows, without nginx's own test, which would wait at the gate as well."""
    host.run("sh", "-c", "mkdir -p /root/untested && ln -sf /bin/true /root/untested/nginx")
    path = "PATH=/root/untested:/usr/bin:/bin"
    where = "--chdir=/usr/local/lib/kube-provision"
    host.run("env", where, path, "timeout", "5", "python3", "-m", "kube_provision_node.follower", check=False)


def main_process(host: Host, service: str) -> str:
    return host.run("systemctl", "show", "--property=MainPID", "--value", f"{service}.service").strip()


def healthy(lab: Lab) -> bool:
    """Every node is ready in the cluster's eyes, and every master in Consul's."""
    path = "/v1/health/service/kube-provision-prod?passing"
    entries = ask_consul(lab.secrets, lab.discovery.address, "GET", path) or []
    expected = {name for name in lab.hosts if not name.startswith("consul-")}
    return {entry["Node"]["Node"] for entry in entries} == set(lab.masters) and lab.ready() == expected


def ask(kubeconfig: Any, path: str, folder: Path) -> Any:
    """What the cluster answers to the user of a kubeconfig."""
    cluster, user = kubeconfig["clusters"][0]["cluster"], kubeconfig["users"][0]["user"]
    context = ssl.create_default_context(cadata=b64decode(cluster["certificate-authority-data"]).decode())
    pem = folder / "credential.pem"
    pem.write_bytes(b64decode(user["client-certificate-data"]) + b64decode(user["client-key-data"]))
    context.load_cert_chain(pem)
    url = urlsplit(cluster["server"])
    connection = http.client.HTTPSConnection(url.hostname or "", url.port, context=context, timeout=10)
    try:
        connection.request("GET", path)
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


def status_without_a_name(kubeconfig: Any, path: str) -> int:
    cluster = kubeconfig["clusters"][0]["cluster"]
    context = ssl.create_default_context(cadata=b64decode(cluster["certificate-authority-data"]).decode())
    url = urlsplit(cluster["server"])
    connection = http.client.HTTPSConnection(url.hostname or "", url.port, context=context, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


def encoded(text: str) -> str:
    return b64encode(text.encode()).decode()
