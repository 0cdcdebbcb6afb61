"""Which of the reported addresses is the machine's, and what is said where none is."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest

from kube_provision_core import Cluster, MachineAddresses
from kube_provision_vsphere.addresses import GuestNetwork, GuestNic, judge

BRIDGE = GuestNic(-1, ("172.17.0.1",))
CLUSTER = Cluster("prod", "id", "1.36", frozenset())


def judged(
    *nics: GuestNic,
    primary: str | None = None,
    tools_run: bool = True,
    expected: str | None = None,
    only_in: IPv4Network | None = None,
) -> MachineAddresses:
    return judge(GuestNetwork(nics, primary, tools_run), CLUSTER, expected=expected, only_in=only_in)


def test_only_addresses_of_virtual_cards_count() -> None:
    assert judged(BRIDGE, GuestNic(4000, ("10.0.0.5",)), primary="172.17.0.1").usable == ("10.0.0.5",)


def test_they_come_in_the_order_of_the_cards() -> None:
    assert judged(GuestNic(4001, ("10.1.0.5",)), GuestNic(4000, ("2001:db8::5", "10.0.0.5"))).usable == (
        "10.0.0.5",
        "10.1.0.5",
    )


def test_an_address_like_a_bridges_is_fine_on_a_real_card() -> None:
    assert judged(GuestNic(4000, ("172.17.3.4", "10.0.0.1"))).usable == ("172.17.3.4", "10.0.0.1")


def test_the_primary_address_stands_in_where_no_card_is_told() -> None:
    assert judged(primary="10.0.0.5").usable == ("10.0.0.5",)
    assert judged(BRIDGE, primary="172.17.0.1") == MachineAddresses(notice="172.17.0.1 looks like a container bridge's")


def test_networks_that_the_configuration_names_are_heeded() -> None:
    card = GuestNic(4000, ("192.168.0.5", "10.0.0.5"))
    assert judged(card, only_in=IPv4Network("10.0.0.0/8")).usable == ("10.0.0.5",)
    assert judged(card, expected="10.0.0.5").usable == ("10.0.0.5", "192.168.0.5")
    assert judged(card, expected="10.0.0.6").usable == ()


@pytest.mark.parametrize(
    ("nics", "tools_run", "notice"),
    [
        ((), False, "guest tools do not run"),
        ((BRIDGE,), True, "guest tools run and tell no network card"),
        ((GuestNic(4000, ("fe80::1",)),), True, "guest tools tell no address yet: does a DHCP server answer?"),
        ((GuestNic(4000, ("2001:db8::7",)),), True, "only IPv6 so far: 2001:db8::7"),
        ((GuestNic(4000, (), connected=False),), True, "network card 1 is not connected"),
        (
            (GuestNic(4000, ("169.254.3.4",)), GuestNic(4001, (), connected=False)),
            True,
            "network card 2 is not connected; 169.254.3.4 is link-local: no DHCP server has answered",
        ),
    ],
)
def test_without_an_address_what_was_seen_is_said(nics: tuple[GuestNic, ...], tools_run: bool, notice: str) -> None:
    assert judged(*nics, tools_run=tools_run) == MachineAddresses(notice=notice)
