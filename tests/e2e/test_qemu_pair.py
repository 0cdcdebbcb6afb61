"""Two machines of QEMU's, emulated, made by the command line from a baked template, with no way to the internet.

One story of a few minutes: the tests run in their order and look at one cluster, from its first run to its last.
"""

from __future__ import annotations

import json
import re
import time
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from machines import leaks
from machines.home import DATA_VOLUMES, IMAGE, SWAP_GIB, Home
from machines.lab import Run
from machines.template import IMAGES as BAKED_IMAGES
from machines.template import BakedTemplate, baked_template

pytestmark = pytest.mark.night

SERVER, MASTER = "consul-home", "m-home-1"
MACHINES = (SERVER, MASTER)
RECOVERY = 300.0
"""Seconds for what follows by itself when machines run."""
DISKS = {"/var/lib/etcd": "ext4 kube-data", "/srv/data": "ext4 kube-data-2", "/srv/fast": "xfs kube-data-3"}
SWAPS = f"/kube_provision_swap {SWAP_GIB * 1024}M"
FIRST_BOOT = (
    "cat /var/lib/cloud/data/instance-id; ls /var/lib/cloud/instances; sha256sum /etc/ssh/ssh_host_*; cat /etc/machine-id"
)
"""What a second first boot would change."""
SEARCH = """\
secrets=$(cat)
look() {
  grep --text --only-matching --with-filename --no-messages --fixed-strings --regexp="$secrets" "$@" || true
}
look --recursive --devices=skip --exclude-dir=containerd --exclude-dir=apt --exclude-dir=dpkg --exclude-dir=journal \
  /etc /root /home /run /tmp /dev/shm /usr/local /var/lib /var/log /var/tmp
journalctl --no-pager --output=export | look --label=/journal
look --label=/seed </dev/vdb
"""
"""Prints `path:secret` for the secrets on stdin: files, the journal, and the seed, which is a machine's second disk."""


@pytest.fixture(scope="module")
def template() -> BakedTemplate:
    return baked_template()


@pytest.fixture(scope="module")
def home(template: BakedTemplate, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with Home(tmp_path_factory.mktemp("home"), template) as home:
        yield home


@pytest.fixture(scope="module")
def first(home: Home) -> Run:
    """The run that made the cluster."""
    run = home.run("provision", "--wait", "--wait-timeout", "1800", "--output", "json")
    assert run.code == 0, run.errors + "".join(home.console(name) for name in MACHINES)
    return run


@pytest.fixture
def cluster(home: Home, first: Run) -> Home:
    """The operator once the cluster lives."""
    return home


@pytest.fixture(scope="module")
def scrubbed(home: Home, first: Run) -> Home:
    """Once nothing is left in boot data: where nobody could say that the node is there in time, the first run says so."""
    left = [name for name, row in home.status().items() if not row["scrubbed"]]
    if left:
        hints = " ".join(first.data["hints"])
        assert all(name in hints for name in left), hints
        run = home.run("provision", "--wait", "--wait-timeout", "1800", "--output", "json")
        assert run.code == 0, run.errors
    return home


@pytest.fixture(scope="module")
def before(home: Home, first: Run) -> dict[str, str]:
    """What the machines were before all of them were powered off."""
    told = {name: home.ssh(name, FIRST_BOOT) for name in MACHINES}
    home.power_off(*MACHINES)
    return told


@pytest.fixture(scope="module")
def resumed(home: Home, before: dict[str, str]) -> Run:
    """The run after that."""
    return home.run("provision", "--wait", "--wait-timeout", "1800", "--output", "json")


class TestTheFirstRun:
    def test_brings_both_machines_to_their_end(self, cluster: Home, first: Run) -> None:
        assert first.states == dict.fromkeys(MACHINES, "done")
        assert {name: row["stage"] for name, row in cluster.status().items()} == dict.fromkeys(MACHINES, "finish done")

    def test_makes_a_cluster_whose_consul_and_nginx_work(self, cluster: Home) -> None:
        check_cluster(cluster)

    def test_ends_with_a_node_that_kubernetes_calls_ready(self, cluster: Home) -> None:
        def told() -> bool:
            row = cluster.status()[MASTER]
            return bool(row["ready"] and row["healthy"])

        until(told, "Kubernetes calls it ready, and discovery healthy")

    @pytest.mark.parametrize("name", MACHINES)
    def test_installs_nothing_that_is_baked(self, cluster: Home, name: str) -> None:
        assert cluster.ssh(name, "cat /var/log/dpkg.log 2>/dev/null || true") == ""

    def test_imports_the_archive_that_is_not_baked(self, cluster: Home) -> None:
        assert images(cluster) >= {IMAGE, *BAKED_IMAGES}
        assert cluster.served == ["/images.tar"]

    def test_applies_the_seed_manifest(self, cluster: Home) -> None:
        assert "configmap/seeded" in cluster.ssh(
            MASTER, "journalctl --no-pager --unit=kube-provision --grep=serverside-applied"
        )

    @pytest.mark.parametrize("name", MACHINES)
    def test_leaves_no_failed_unit(self, cluster: Home, name: str) -> None:
        assert cluster.ssh(name, "systemctl --failed --no-legend --plain") == ""

    @pytest.mark.parametrize("name", MACHINES)
    def test_has_a_first_boot_without_a_fault(self, cluster: Home, name: str) -> None:
        assert cluster.ssh(name, "jq --raw-output '.v1 | .datasource, .errors[]' /run/cloud-init/result.json").startswith(
            "DataSourceNoCloud [seed=/dev/vdb]"
        )


class TestNetworkCards:
    """Those of the master in the order node, storage, none; the discovery machine's storage is the first."""

    @pytest.mark.parametrize(
        ("name", "cards"),
        [
            (MASTER, {"eth0": ("10.0.2.11/24", 1400), "eth1": ("10.9.0.11/24", 9000), "eth2": (None, 1500)}),
            (SERVER, {"eth0": ("10.9.0.10/24", 9000), "eth1": ("10.0.2.10/24", 1400), "eth2": (None, 1500)}),
        ],
    )
    def test_have_their_addresses_and_sizes_of_packets(
        self, cluster: Home, name: str, cards: Mapping[str, tuple[str | None, int]]
    ) -> None:
        told = json.loads(cluster.ssh(name, "ip -json address"))
        assert {card["ifname"]: (address(card), card["mtu"]) for card in told if card["ifname"].startswith("eth")} == cards

    @pytest.mark.parametrize(("name", "card"), [(MASTER, "eth0"), (SERVER, "eth1")])
    def test_lead_out_through_the_nodes_network(self, cluster: Home, name: str, card: str) -> None:
        (way,) = json.loads(cluster.ssh(name, "ip -json route show default"))
        assert (way["gateway"], way["dev"]) == ("10.0.2.2", card)

    def test_reach_the_other_machine_in_each_network(self, cluster: Home) -> None:
        for other in ("10.0.2.10", "10.9.0.10"):
            said = cluster.ssh(MASTER, f"timeout 60 bash -c 'head -1 </dev/tcp/{other}/22'")
            assert said.startswith("SSH-2.0-"), other

    def test_are_known_to_the_node_by_the_one_in_the_nodes_network(self, cluster: Home) -> None:
        agents = {member["Name"]: member["Addr"] for member in cluster.consul("agent/members")}
        assert agents == {SERVER: "10.0.2.10", MASTER: "10.0.2.11"}


class TestFurtherDisks:
    """Those of the master, of which two are as large as each other, and its swap file."""

    def test_are_mounted_as_listed(self, cluster: Home) -> None:
        assert disks(cluster) == DISKS

    def test_have_a_cluster_beside_swap(self, cluster: Home) -> None:
        assert swaps(cluster) == SWAPS
        assert cluster.ssh(MASTER, "stat --format='%a %U' /kube_provision_swap").split() == ["600", "root"]

    def test_hold_what_is_written_to_them(self, cluster: Home) -> None:
        cluster.ssh(MASTER, "for it in /srv/data /srv/fast; do echo $it >$it/whose; done; sync")


class TestSecrets:
    @pytest.mark.parametrize("name", MACHINES)
    def test_are_left_on_no_machine_but_for_one_that_was_planted(self, scrubbed: Home, name: str) -> None:
        planted, files = {"a planted one": "planted-for-the-search"}, "/var/lib/cloud/data/planted /run/planted"
        scrubbed.ssh(name, f"tee {files} | logger", *planted.values())
        found = found_on(scrubbed, name, planted)
        assert found == [f"a planted one in {path}" for path in ("/journal", "/run/planted", "/var/lib/cloud/data/planted")]

    @pytest.mark.parametrize("name", MACHINES)
    def test_are_left_in_nothing_that_this_host_keeps_of_a_machine(self, scrubbed: Home, name: str) -> None:
        assert found_beside(scrubbed, name) == []

    def test_are_left_in_no_key_of_consul(self, cluster: Home) -> None:
        stored = [entry["Key"].encode() + b64decode(entry["Value"] or "") for entry in cluster.consul("kv/?recurse")]
        assert any(b"initialised" in entry for entry in stored)
        wanted = leaks.needles(cluster.secrets)
        assert [what for what, text in wanted.items() for entry in stored if text.encode() in entry] == []


class TestAfterAPowerOff:
    def test_the_machines_are_seen_as_off(self, cluster: Home, before: dict[str, str]) -> None:
        assert {name: row["power"] for name, row in cluster.status().items()} == dict.fromkeys(MACHINES, "off")

    def test_the_next_run_resumes_them(self, cluster: Home, resumed: Run) -> None:
        assert resumed.code == 0, resumed.errors
        assert resumed.states == dict.fromkeys(MACHINES, "done")

    def test_the_cluster_works_as_before(self, cluster: Home, resumed: Run) -> None:
        check_cluster(cluster)

    @pytest.mark.parametrize("name", MACHINES)
    def test_a_scrubbed_seed_makes_no_second_first_boot(
        self, cluster: Home, before: dict[str, str], resumed: Run, name: str
    ) -> None:
        assert cluster.ssh(name, FIRST_BOOT) == before[name]

    def test_disks_and_swap_are_there_as_before(self, cluster: Home, resumed: Run) -> None:
        assert (disks(cluster), swaps(cluster)) == (DISKS, SWAPS)
        assert cluster.ssh(MASTER, "cat /srv/data/whose /srv/fast/whose").split() == ["/srv/data", "/srv/fast"]

    def test_the_cluster_is_not_initialised_again(self, cluster: Home, resumed: Run) -> None:
        calls = cluster.ssh(MASTER, "cat /var/log/kubeadm-calls")
        assert re.findall(r'"verb": "(\w+)", "begin"', calls) == ["init"]

    def test_no_archive_is_imported_again(self, cluster: Home, resumed: Run) -> None:
        assert images(cluster) >= {IMAGE, *BAKED_IMAGES}
        assert cluster.served == ["/images.tar"]

    @pytest.mark.parametrize("name", MACHINES)
    def test_no_secret_is_back(self, cluster: Home, resumed: Run, name: str) -> None:
        assert found_on(cluster, name) + found_beside(cluster, name) == []

    def test_the_run_after_that_changes_nothing(self, cluster: Home, resumed: Run) -> None:
        run = cluster.run("provision", "--wait", "--output", "json")
        assert run.code == 0, run.errors
        assert [node["name"] for node in run.data["nodes"] if node["actions"]] == []


class TestTheLastRun:
    def test_leaves_nothing_of_the_machines(self, cluster: Home, template: BakedTemplate) -> None:
        baked = {path: path.stat().st_mtime_ns for path in (template.folder / "images").iterdir()}
        run = cluster.run("destroy", "--yes")
        assert run.code == 0, run.errors
        left = [path for path in cluster.vm_dir.rglob("*") if path.is_file() and path.parent.name != "locks"]
        assert left == []
        assert {path: path.stat().st_mtime_ns for path in (template.folder / "images").iterdir()} == baked


# --- looking ------------------------------------------------------------------------------------------------------------


def check_cluster(home: Home) -> None:
    """Both machines' agents are in Consul, which has a leader and knows the master; nginx leads there, and to it alone."""
    until(lambda: members(home) == dict.fromkeys(MACHINES, 1), "both agents are alive to Consul")
    until(lambda: masters(home) == [MASTER], "Consul finds the master healthy")
    until(lambda: home.ssh(MASTER, "curl --insecure --silent https://localhost:8443/readyz || true") == "ok", "nginx serves")
    upstream = home.ssh(
        MASTER, "grep --recursive --no-filename 'server .*:6443' /etc/kube-provision /run/kube-provision || true"
    )
    assert set(re.findall(r"server (\S+):6443", upstream)) == {"10.0.2.11"}
    assert home.ssh(MASTER, "ss -tlnH 'sport = :8443'").split()[3] == "127.0.0.1:8443"


def address(card: Mapping[str, Any]) -> str | None:
    """The IPv4 address of an interface, as `ip` tells of it."""
    found = [f"{it['local']}/{it['prefixlen']}" for it in card["addr_info"] if it["family"] == "inet"]
    return ", ".join(found) or None


def disks(home: Home) -> dict[str, str]:
    """By where they are mounted: file system and label."""
    listed = " ".join(str(disk["mount"]) for disk in DATA_VOLUMES)
    shown = home.ssh(MASTER, f"for it in {listed}; do findmnt --noheadings --output TARGET,FSTYPE,LABEL $it; done")
    return {line.split()[0]: " ".join(line.split()[1:]) for line in shown.splitlines()}


def swaps(home: Home) -> str:
    return " ".join(home.ssh(MASTER, "/sbin/swapon --show=NAME,SIZE --noheadings").split())


def images(home: Home) -> set[str]:
    return set(home.ssh(MASTER, "ctr --namespace k8s.io images list --quiet").split())


def members(home: Home) -> dict[str, int]:
    """Agents by name, with Serf's word for their state: 1 is alive."""
    return {member["Name"]: member["Status"] for member in home.consul("agent/members")}


def masters(home: Home) -> list[str]:
    return [entry["Node"]["Node"] for entry in home.consul("health/service/kube-provision-home?passing")]


def found_on(home: Home, name: str, planted: Mapping[str, str] | None = None) -> list[str]:
    """`secret in path` for what is found on a machine where it may not be."""
    wanted = {**leaks.needles(home.secrets), **(planted or {})}
    keeps = leaks.MASTER_MAY_KEEP if name == MASTER else leaks.OTHERS_MAY_KEEP
    lines = home.ssh(name, SEARCH, "\n".join(wanted.values())).splitlines()
    names = {text: what for what, text in wanted.items()}
    found = {(names[text], path) for path, _, text in (line.partition(":") for line in lines)}
    return sorted(f"{what} in {path}" for what, path in found if not keeps.fullmatch(f"disk/upper{path}"))


def found_beside(home: Home, name: str) -> list[str]:
    """And in what this host keeps of the machine, but for its disk."""
    paths = [path for path in home.machine(name).iterdir() if path.is_file() and path.suffix != ".qcow2"]
    wanted = leaks.needles(home.secrets)
    return [
        f"{what} in {path.name}" for path in paths for what, text in wanted.items() if text.encode() in path.read_bytes()
    ]


def until(condition: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + RECOVERY
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not in {RECOVERY:.0f} s"
        time.sleep(1)
