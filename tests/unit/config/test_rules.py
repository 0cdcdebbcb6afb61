"""What must hold between keys."""

from __future__ import annotations

import pytest

from kube_provision_core import Role

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


def test_the_longest_host_name_counts(complaints) -> None:
    name = "n" * 55
    (line,) = complaints(MINIMAL.replace("prod", name) + "beacon_ip: 10.0.0.1\nworkers: 1000\nhost_prefix: aaaa\n")
    assert line.startswith(f"config.yml:1: the worker's host name aaaaw-{name}-1000 is 66 characters long")


@pytest.mark.parametrize("key", ["host_prefix: -x", "host_prefix: '-'"])
def test_a_host_name_that_is_no_label(complaints, key: str) -> None:
    lines = complaints(MINIMAL + key + "\n")
    assert lines[0].startswith("config.yml:6: the discovery machine's host name -")
    assert "is no DNS label" in lines[0]


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
