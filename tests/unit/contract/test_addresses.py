"""Which of the addresses that are told of a machine count, and what is said of the others."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest

from kube_provision_core import Cluster, MachineAddresses, judge_addresses

CLUSTER = Cluster("prod", "id", "1.36", frozenset())


def judge(*told: str, **more: object) -> MachineAddresses:
    return judge_addresses(told, CLUSTER, **more)  # type: ignore[arg-type]


def test_what_the_rest_can_use_counts_in_the_order_in_which_it_is_told() -> None:
    assert judge("10.1.0.5", "10.0.0.5", "10.1.0.5") == MachineAddresses(("10.1.0.5", "10.0.0.5"))


@pytest.mark.parametrize("text", ["", "unknown", "127.0.0.1", "::1", "0.0.0.0", "224.0.0.1", "fe80::1", "fe80::1%eth0"])
def test_what_every_machine_has_is_not_worth_a_word(text: str) -> None:
    assert judge(text) == MachineAddresses()


@pytest.mark.parametrize(
    ("told", "notice"),
    [
        ("2001:db8::7", "only IPv6 so far: 2001:db8::7"),
        ("169.254.3.4", "169.254.3.4 is link-local: no DHCP server has answered"),
        ("10.244.1.0", "10.244.1.0 lies in pod_subnet 10.244.0.0/16"),
        ("10.100.1.11", "10.100.1.11 lies in service_subnet 10.96.0.0/12"),
        ("172.17.0.9", "172.17.0.9 looks like a container bridge's"),
        ("10.50.0.1", "10.50.0.1 looks like a container bridge's"),
    ],
)
def test_what_does_not_count_is_named_until_something_does(told: str, notice: str) -> None:
    assert judge(told) == MachineAddresses(notice=notice)
    assert judge(told, "10.0.0.5") == MachineAddresses(("10.0.0.5",))


def test_an_address_that_is_surely_a_cards_may_look_like_a_bridges() -> None:
    told = ("172.17.3.4", "10.50.0.1")
    assert judge(*told, sure=told) == MachineAddresses(told)


def test_a_loopback_address_counts_where_it_is_surely_a_cards() -> None:
    assert judge("127.64.0.1", sure=["127.64.0.1"]).usable == ("127.64.0.1",)


def test_an_address_that_is_surely_a_cards_may_not_lie_where_pods_do() -> None:
    assert judge("10.244.1.7", sure=["10.244.1.7"]).usable == ()


def test_the_configured_address_comes_first() -> None:
    assert judge("10.50.0.18", "10.60.0.5", expected="10.60.0.5").usable == ("10.60.0.5", "10.50.0.18")


def test_until_the_configured_address_is_told_no_other_one_counts() -> None:
    assert judge("10.50.0.18", expected="10.60.0.5") == MachineAddresses(notice="10.50.0.18 is not the configured 10.60.0.5")


def test_the_configured_address_may_look_like_a_bridges() -> None:
    assert judge("10.60.0.1", expected="10.60.0.1").usable == ("10.60.0.1",)


def test_only_addresses_of_the_wanted_network_count() -> None:
    wanted = IPv4Network("10.0.0.0/8")
    assert judge("192.168.0.5", "10.0.0.5", only_in=wanted).usable == ("10.0.0.5",)
    assert judge("192.168.0.5", only_in=wanted).notice == "192.168.0.5 is outside 10.0.0.0/8, where addresses are to be"


def test_what_matters_of_many_addresses_is_said_briefly() -> None:
    assert judge(*(f"10.244.1.{number}" for number in range(2, 200)), "2001:db8::7").notice.count("lies in") == 3
