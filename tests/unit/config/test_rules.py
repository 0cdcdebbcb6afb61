"""What must hold between keys."""

from __future__ import annotations

import pytest

from kube_provision_core import PluginError, Role

MINIMAL = "name: prod\ntarget: moon\nos: plain\ndiscovery: beacon\ntemplate: t\n"


@pytest.mark.parametrize("name", ["Prod", "-prod", "prod-", "a.b", "a_b", "ü", "", "a" * 64])
def test_a_name_that_is_no_dns_label(complaints, name: str) -> None:
    (line,) = complaints(MINIMAL.replace("name: prod", f"name: '{name}'"))
    assert line == ("config.yml:1: name: must be a DNS label: lower-case letters, digits and inner hyphens, at most 63")


def test_a_host_name_may_have_63_characters(load_text) -> None:
    name = "n" * (63 - len("beacon-"))
    assert load_text(MINIMAL.replace("prod", name)).core.name == name


def test_a_host_name_that_is_too_long(complaints) -> None:
    name = "n" * (64 - len("beacon-"))
    assert complaints(MINIMAL.replace("prod", name)) == [
        f"config.yml:1: the discovery machine's host name beacon-{name} is 64 characters long, 63 are allowed; "
        "shorten name, host_prefix or the label"
    ]


def test_a_host_name_that_is_too_long_with_its_number(complaints) -> None:
    """The first of several discovery machines bears none."""
    name = "n" * (63 - len("beacon-"))
    (line,) = complaints(MINIMAL.replace("prod", name) + "beacon_machines: 3\n")
    assert line.startswith(f"config.yml:1: the discovery machine's host name beacon-{name}-3 is 65 characters long")


def test_the_longest_host_name_counts(complaints) -> None:
    name = "n" * 55
    (line,) = complaints(MINIMAL.replace("prod", name) + "beacon_ip: 10.0.0.1\nworkers: 1000\nhost_prefix: aaaa\n")
    assert line.startswith(f"config.yml:1: the worker's host name aaaaw-{name}-1000 is 66 characters long")


@pytest.mark.parametrize("key", ["host_prefix: -x", "host_prefix: '-'"])
def test_a_host_name_that_is_no_label(complaints, key: str) -> None:
    lines = complaints(MINIMAL + key + "\n")
    assert lines[0].startswith("config.yml:6: the discovery machine's host name -")
    assert "is no DNS label" in lines[0]


@pytest.mark.parametrize("key", ["master_label", "worker_label"])
def test_a_label_that_is_that_of_several_discovery_machines(complaints, load_text, key: str) -> None:
    assert load_text(f"{MINIMAL}{key}: beacon-\n")
    (line,) = complaints(f"{MINIMAL}beacon_machines: 3\n{key}: beacon-\n")
    assert line == f"config.yml:7: {key} beacon-: discovery has several machines, which bear the same names"


def test_labels_that_collide(complaints) -> None:
    (line,) = complaints(MINIMAL + "master_label: x-\nworker_label: x-\n")
    assert line == "config.yml:7: master_label and worker_label are both 'x-': machines would bear the same names"


def test_networks_that_overlap(complaints) -> None:
    (line,) = complaints(MINIMAL + "pod_subnet: 10.96.0.0/16\n")
    assert line == "config.yml:6: pod_subnet 10.96.0.0/16 and service_subnet 10.96.0.0/12 overlap"


@pytest.mark.parametrize("subnet", ["172.0.0.0/11", "172.16.0.0/29", "172.16.0.0/32"])
def test_a_service_network_that_kubeadm_refuses(complaints, subnet: str) -> None:
    assert complaints(MINIMAL + f"service_subnet: {subnet}\n") == [
        f"config.yml:6: service_subnet {subnet} must be between a /12 and a /28"
    ]


def test_a_pod_network_that_holds_no_node(complaints) -> None:
    assert complaints(MINIMAL + "pod_subnet: 172.16.0.0/25\n") == [
        "config.yml:6: pod_subnet 172.16.0.0/25 must be between a /8 and a /24"
    ]


def test_a_pod_network_too_small_for_the_nodes_is_warned_about(load_text) -> None:
    config = load_text(MINIMAL + "pod_subnet: 172.16.0.0/22\n")
    assert config.warnings == ("pod_subnet 172.16.0.0/22 has networks for 4 nodes; 6 are wanted",)


DUAL_STACK = "pod_subnet: 10.244.0.0/16,fd00:10:244::/56\nservice_subnet: 10.96.0.0/12,fd00:10:96::/112\n"


class TestADualStackCluster:
    def test_has_two_networks_of_pods_and_of_services(self, load_text) -> None:
        core = load_text(MINIMAL + DUAL_STACK + "seed_manifests: []\n").core
        assert (core.pod_subnet, core.service_subnet) == tuple(line.partition(": ")[2] for line in DUAL_STACK.splitlines())

    @pytest.mark.parametrize("services", ["", "service_subnet: 10.96.0.0/12\n"])
    def test_need_not_say_the_network_of_its_services(self, load_text, services: str) -> None:
        told = DUAL_STACK.splitlines()[0] + f"\n{services}seed_manifests: []\n"
        assert load_text(MINIMAL + told).core.service_subnet == "10.96.0.0/12,fd00:10:96::/112"

    def test_needs_a_network_plugin_that_knows_both_families(self, complaints) -> None:
        (line,) = complaints(MINIMAL + DUAL_STACK)
        assert line.startswith("config.yml:6: pod_subnet: a dual-stack cluster needs a network plugin that gives pods both")

    @pytest.mark.parametrize(
        ("key", "line"),
        [
            (
                "pod_subnet: fd00::/56",
                "pod_subnet: is IPv6 alone, and nodes reach each other by IPv4: write an IPv4 network and a comma before it",
            ),
            (
                "pod_subnet: 10.244.0.0/16,fd00::/56\nservice_subnet: 10.97.0.0/16",
                "pod_subnet has an IPv6 network and service_subnet has none: give service_subnet one, after a comma, or "
                "take it away here",
            ),
            (
                "service_subnet: 10.96.0.0/12,fd00::/112",
                "service_subnet has an IPv6 network and pod_subnet has none: give pod_subnet one, after a comma, or take it "
                "away here",
            ),
        ],
    )
    def test_has_both_families_for_both(self, complaints, key: str, line: str) -> None:
        assert complaints(MINIMAL + key + "\nseed_manifests: []\n") == [f"config.yml:6: {line}"]

    @pytest.mark.parametrize("name", ["net.ipv6.conf.all.disable_ipv6", "net/ipv6/conf/default/disable_ipv6"])
    def test_keeps_its_ipv6(self, complaints, load_text, name: str) -> None:
        wished = MINIMAL + DUAL_STACK + "seed_manifests: []\nworkers: {sysctls: {%s: %d}}\n"
        assert complaints(wished % (name, 1)) == [
            f"config.yml:9: sysctls.{name} takes away the IPv6 that a dual-stack cluster needs"
        ]
        assert load_text(wished % (name, 0)).by_role[Role.WORKER].sysctls == {name: "0"}
        assert load_text(f"{MINIMAL}sysctls: {{{name}: 1}}").core.sysctls == {name: "1"}

    def test_has_networks_of_the_size_that_kubeadm_takes(self, complaints) -> None:
        wrong = DUAL_STACK.replace("fd00:10:244::/56", "fd00:10::/44").replace("/112", "/64")
        assert complaints(MINIMAL + wrong + "seed_manifests: []\n") == [
            "config.yml:6: pod_subnet fd00:10::/44 must be between a /48 and a /64",
            "config.yml:7: service_subnet fd00:10:96::/64 must be between a /108 and a /124",
        ]

    def test_has_networks_that_do_not_overlap(self, complaints) -> None:
        wrong = DUAL_STACK.replace("fd00:10:96::/112", "fd00:10:244::/112")
        assert complaints(MINIMAL + wrong + "seed_manifests: []\n") == [
            "config.yml:7: pod_subnet fd00:10:244::/56 and service_subnet fd00:10:244::/112 overlap"
        ]

    def test_has_room_for_its_nodes_in_both(self, load_text) -> None:
        config = load_text(MINIMAL + DUAL_STACK.replace("/56", "/62") + "seed_manifests: []\n")
        assert config.warnings == ("pod_subnet fd00:10:244::/62 has networks for 4 nodes; 6 are wanted",)

    def test_keeps_both_for_its_inside(self, complaints) -> None:
        (line,) = complaints(MINIMAL + DUAL_STACK + "seed_manifests: []\nhttp_proxy: 'http://[fd00:10:96::7]:3128'\n")
        assert line.startswith("config.yml:9: http_proxy: fd00:10:96::7 lies in service_subnet fd00:10:96::/112, which is")


@pytest.mark.parametrize("masters", [2, 4])
def test_an_even_number_of_masters_is_warned_about(load_text, masters: int) -> None:
    (warning,) = load_text(MINIMAL, flags={"masters": masters}).warnings
    assert warning.startswith(f"{masters} masters survive no more losses than {masters - 1}")


@pytest.mark.parametrize("masters", [1, 3, 5])
def test_an_odd_number_of_masters_is_fine(load_text, masters: int) -> None:
    assert load_text(MINIMAL, flags={"masters": masters}).warnings == ()


@pytest.mark.parametrize(("key", "refused"), [("cpu", "less"), ("mem", "less than 1700 MiB")])
@pytest.mark.parametrize(
    "text", ["{key}: 1\nworkers: 2", "workers: 2\nmasters: {{{key}: 1}}", "{key}: 8\nmasters: {{{key}: 1}}"]
)
def test_a_master_that_kubeadm_refuses(complaints, key: str, refused: str, text: str) -> None:
    text = text.format(key=key)
    line = next(number for number, line in enumerate(text.splitlines(), start=6) if f"{key}: 1" in line)
    wrong = f"{key}: masters need at least 2; kubeadm refuses {refused}"
    assert complaints(MINIMAL + text) == [f"config.yml:{line}: {wrong}"]


@pytest.mark.parametrize("key", ["cpu", "mem"])
def test_only_masters_need_that_much(load_text, key: str) -> None:
    config = load_text(MINIMAL + f"{key}: 1\nmasters: {{{key}: 2}}\n")
    assert getattr(config.by_role[Role.WORKER], key) == 1


@pytest.mark.parametrize("subnet", ["172.16.0.0/28", "172.16.0.0/12"])
def test_a_service_network_that_kubeadm_takes(load_text, subnet: str) -> None:
    assert str(load_text(MINIMAL + f"service_subnet: {subnet}\n").core.service_subnet) == subnet


def test_an_extension_that_is_listed_twice(complaints, install) -> None:
    install("kpx-audit", {"extension": "audit = kpx_audit:Plain"}, PLAIN)
    assert complaints(MINIMAL + "extensions: [audit, audit]\n") == ["config.yml:6: extensions lists audit twice"]


PLAIN = """
from kube_provision_core import DriverConfig
class Plain:
    Config = DriverConfig
    def __init__(self, config): pass
"""


@pytest.mark.parametrize(
    ("key", "subject", "value"),
    [
        ("dish: 10.100.1.1", "dish", "10.100.1.1"),
        ("workers: {dish: 10.100.1.1}", "dish", "10.100.1.1"),
        ("masters: {sites: {addresses: [10.0.0.5/24, 10.100.1.11/24]}}", "sites.addresses[1]", "10.100.1.11/24"),
        ("plain: 10.96.0.0/12", "plain", "10.96.0.0/12"),
    ],
)
def test_what_lies_on_the_nodes_side_may_not_lie_where_services_do(complaints, key: str, subject: str, value: str) -> None:
    assert complaints(MINIMAL + key) == [
        f"config.yml:6: {subject}: {value} lies in service_subnet 10.96.0.0/12, which is for the inside of the cluster "
        "alone: choose another address or service_subnet"
    ]


def test_nor_where_pods_do(complaints) -> None:
    (line,) = complaints(MINIMAL + "dish: 172.16.0.4\npod_subnet: 172.16.0.0/16")
    assert line.startswith("config.yml:6: dish: 172.16.0.4 lies in pod_subnet 172.16.0.0/16")


@pytest.mark.parametrize("key", ["dish: 10.112.0.1", "dish: 'fd00::1'", "plain: 10.0.0.0/8", "antenna: 10.96.0.1"])
def test_what_lies_elsewhere_or_is_no_nodes_is_fine(load_text, key: str) -> None:
    load_text(MINIMAL + key)


@pytest.mark.parametrize(
    "key",
    [
        "http_proxy: 'http://10.96.0.7:3128'",
        "masters: {https_proxy: 'http://10.96.0.7'}",
        "ntp_servers: [10.96.0.7]",
        "image_archives: http://10.96.0.7/images",
        "package_repositories: {os: {url: 'http://10.96.0.7:80/debian'}}",
    ],
)
def test_what_a_machine_asks_before_there_is_a_cluster_may_not_lie_in_it(complaints, key: str) -> None:
    subject = key.removeprefix("masters: {").partition(":")[0]
    assert complaints(MINIMAL + key) == [
        f"config.yml:6: {subject}: 10.96.0.7 lies in service_subnet 10.96.0.0/12, which is for the inside of the cluster "
        "alone: choose another address or service_subnet"
    ]


@pytest.mark.parametrize(
    "key",
    [
        "http_proxy: 'http://proxy.example:3128'",
        "https_proxy: 'http://[fd00::1]:3128'",
        "ntp_servers: [10.112.0.1, time.example]",
        "image_archives: /srv/images",
        "docker_proxy: http://10.96.0.7:5000",
    ],
)
def test_what_lies_outside_of_it_or_is_not_needed_before_is_fine(load_text, key: str) -> None:
    load_text(MINIMAL + key)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("users:\n- {name: ann}\n- {name: ann}", "config.yml:8: users: the user ann is named twice"),
        ("workers:\n  users:\n  - {name: ann}\n  - {name: ann}", "config.yml:9: users: the user ann is named twice"),
        (
            "volumes:\n- {dev: /dev/sdc, mount: /a}\n- {dev: /dev//sdc, mount: /b}",
            "config.yml:8: volumes: the device /dev/sdc is named twice",
        ),
        (
            "volumes:\n- {dev: /dev/sdc, mount: /a}\n- {dev: /dev/sdd, mount: /a/}",
            "config.yml:8: volumes: the mount point /a is named twice",
        ),
        ("data_volume: 10\nmounts:\n  /data: nas:/data", "config.yml:8: mounts: the mount point /data is named twice"),
        (
            "data_volumes:\n- {size: 9, mount: /a}\n- {size: 9, mount: /a/}",
            "config.yml:8: data_volumes: the mount point /a is named twice",
        ),
        (
            "volumes: [{dev: /dev/sdc, mount: /a}]\nworkers:\n  data_volumes: [{size: 9, mount: /a}]",
            "config.yml:8: data_volumes: the mount point /a is named twice",
        ),
        (
            "containers:\n- {image: 'a:1', service: web}\n- {image: 'b:1', service: web}",
            "config.yml:8: containers: the service web is named twice",
        ),
    ],
)
def test_what_there_can_be_but_one_of_is_named_once(complaints, text: str, line: str) -> None:
    assert complaints(MINIMAL + text) == [line]


@pytest.mark.parametrize(
    ("text", "line", "short"),
    [
        ("data_volume: 20\ndata_volumes: [{size: 10, mount: /a}]", 7, 6),
        ("data_volume: 20\nworkers:\n  data_volumes: [{size: 10, mount: /a}]", 8, 6),
        ("data_volumes: [{size: 10, mount: /a}]\nworkers:\n  data_volume: 20", 6, 8),
    ],
)
def test_further_disks_are_given_by_one_key(complaints, text: str, line: int, short: int) -> None:
    assert complaints(MINIMAL + text) == [
        f"config.yml:{line}: data_volumes: data_volume is given for the same machines (config.yml:{short}), and is short "
        "for {size: 20, mount: /data}: keep one of them, with all disks in it"
    ]


def test_each_role_has_further_disks_of_its_own(load_text) -> None:
    text = "data_volume: 20\nmasters:\n  data_volume: null\n  data_volumes: [{size: 10, mount: /a, format: xfs}]\n"
    found = load_text(MINIMAL + text).by_role
    disks = {role: [(it.size, it.mount, it.format) for it in found[role].further_disks] for role in Role}
    assert disks == {
        Role.MASTER: [(10, "/a", "xfs")],
        Role.WORKER: [(20, "/data", "ext4")],
        Role.DISCOVERY: [(20, "/data", "ext4")],
    }


@pytest.mark.parametrize(
    "text", ["mounts: {/data: 'nas:/data'}", "users: [{name: ann}, {name: bob}]", "mounts: {/etcd: 'n:/e'}"]
)
def test_what_is_named_once_is_fine(load_text, text: str) -> None:
    load_text(MINIMAL + text)


@pytest.mark.parametrize("key", ["pod_subnet: 10.0.2.0/24", "pod_subnet: 10.0.0.0/14", "service_subnet: 10.0.2.16/28"])
def test_a_targets_own_network_is_kept_free(complaints, install, key: str) -> None:
    install("kpx-orbit", {"target": "orbit = kpx_orbit:Orbit"}, ORBIT)
    name, network = key.split(": ")
    assert complaints(ON_ORBIT + key) == [
        f"config.yml:5: {name} {network} overlaps 10.0.2.0/24, the network of target orbit's machines"
    ]


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("sysctls: {vm.max_map_count: 262144}", "sysctls.vm.max_map_count belongs to the kernel, which {theirs} it there"),
        ("sysctls: {kernel/panic: 10}", "sysctls.kernel/panic belongs to the kernel, which {theirs} it there"),
        (
            "kube_proxy: {conntrack: {min: 4}}",
            "kube_proxy.conntrack.min belongs to the kernel, which {theirs} it there",
        ),
        ("swap: 4", "swap belongs to the kernel, which {theirs} it up there"),
        ("workers: {swap: true}", "swap belongs to the kernel, which {theirs} it up there"),
        ("ntp_servers: [time.example]", "ntp_servers: the clock belongs to the kernel, which {theirs} its servers there"),
    ],
)
def test_what_belongs_to_a_shared_kernel_is_refused_at_its_line(complaints, install, key: str, line: str) -> None:
    install("kpx-orbit", {"target": "orbit = kpx_orbit:Orbit"}, ORBIT + "    shares_kernel = True\n")
    line = line.format(theirs="machines of target orbit share with their host: set")
    assert complaints(ON_ORBIT + key) == [f"config.yml:5: {line}"]


@pytest.mark.parametrize("name", ["net.ipv4.tcp_rmem", "net/core/somaxconn", "kernel.shmmax", "kernel.sem", "fs.mqueue.msg"])
def test_what_a_machine_has_of_its_own_in_a_shared_kernel_is_its_to_set(load_text, install, name: str) -> None:
    install("kpx-orbit", {"target": "orbit = kpx_orbit:Orbit"}, ORBIT + "    shares_kernel = True\n")
    assert load_text(f"{ON_ORBIT}sysctls: {{{name}: 1}}").core.sysctls == {name: "1"}


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ('shares_kernel = "no"', "Orbit.shares_kernel: 'no' is a str, where bool is expected; its author must mend it"),
        (
            'node_network = "10.0.2.0/24"',
            "Orbit.node_network: a str, where IPv4Network is expected; its author must mend it",
        ),
    ],
)
def test_what_a_target_says_of_its_machines_is_held_to_its_type(load_text, install, said: str, fault: str) -> None:
    install("kpx-orbit", {"target": "orbit = kpx_orbit:Orbit"}, f"{ORBIT}    {said}\n")
    with pytest.raises(PluginError) as told:
        load_text(ON_ORBIT)
    assert str(told.value) == fault


ON_ORBIT = MINIMAL.replace("moon", "orbit").replace("template: t\n", "")
ORBIT = """
from ipaddress import IPv4Network
from kube_provision_core import DriverConfig
class Orbit:
    Config = DriverConfig
    parallel = 1
    node_network = IPv4Network("10.0.2.0/24")
    def __init__(self, config): pass
"""
