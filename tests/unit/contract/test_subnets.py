"""Networks of pods and services, of one family or of both."""

from __future__ import annotations

import pytest

from kube_provision_core.contract.kubeadm_limits import pod_network_fault, service_network_fault
from kube_provision_core.contract.subnets import subnets, written


@pytest.mark.parametrize("text", ["10.244.0.0/16", "10.244.0.0/16,fd00:10:244::/56"])
def test_are_read_as_kubeadm_writes_them(text: str) -> None:
    assert [network.version for network in subnets(text)] == [4, 6][: text.count(",") + 1]
    assert written(subnets(text)) == text
    assert subnets(text.replace(",", " , ")) == subnets(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must be an IPv4 network such as"),
        ("10.244.0.1/16", "its host bits zero"),
        ("10.244.0.0/16,", "with an IPv6 one after a comma"),
        ("10.244.0.0/16;fd00::/56", "with an IPv6 one after a comma"),
        ("10.244.0.0/255.255.0.0", "must be an IPv4 network such as"),
        ("10.244.0.0/16,fd00::%eth0/56", "must be an IPv4 network such as"),
        ("10.244.0.0/16,fe80::/64", "whose addresses mean something else to every machine"),
        ("10.244.0.0/16,ff00::/56", "whose addresses mean something else to every machine"),
        ("10.244.0.0/16,::/56", "has ::/56, whose addresses mean"),
        ("127.0.0.0/16", "has 127.0.0.0/16, whose addresses mean"),
        ("240.0.0.0/16", "has 240.0.0.0/16, whose addresses mean"),
        ("224.0.0.0/16", "whose addresses mean something else to every machine"),
        (
            "fd00::/56",
            "is IPv6 alone, and nodes reach each other by IPv4: write an IPv4 network and a comma before it",
        ),
        ("fd00::/56,10.244.0.0/16", "must have the IPv4 network first: 10.244.0.0/16,fd00::/56"),
        ("10.244.0.0/16,10.245.0.0/16", "must be an IPv4 network, or one of each family"),
        ("fd00::/56,fd01::/56", "must be an IPv4 network, or one of each family"),
        ("10.244.0.0/16,fd00::/56,fd01::/56", "must be an IPv4 network, or one of each family"),
    ],
)
def test_are_refused_with_what_to_write(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        subnets(text)


@pytest.mark.parametrize(("length", "fits"), [(47, False), (48, True), (64, True), (65, False)])
def test_each_node_gets_64_bits_of_the_pods_ipv6_network(length: int, fits: bool) -> None:
    (_, six) = subnets(f"10.0.0.0/16,fd00::/{length}")
    assert pod_network_fault(six) == ("" if fits else "must be between a /48 and a /64")


@pytest.mark.parametrize(("length", "fits"), [(107, False), (108, True), (124, True), (125, False)])
def test_there_are_at_most_a_million_services(length: int, fits: bool) -> None:
    (_, six) = subnets(f"10.0.0.0/16,fd00::/{length}")
    assert service_network_fault(six) == ("" if fits else "must be between a /108 and a /124")
