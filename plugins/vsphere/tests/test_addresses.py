"""Which of the reported addresses is the machine's."""

from __future__ import annotations

from ipaddress import ip_network

from kube_provision_vsphere.addresses import GuestNic, usable

BRIDGE = GuestNic(-1, ("172.17.0.1",))


def test_only_addresses_of_virtual_cards_count() -> None:
    assert usable([BRIDGE, GuestNic(4000, ("10.0.0.5",))], "172.17.0.1") == ("10.0.0.5",)


def test_link_local_addresses_are_skipped() -> None:
    assert usable([GuestNic(4000, ("fe80::1", "169.254.3.4", "10.0.0.5"))], None) == ("10.0.0.5",)


def test_ipv4_comes_first_then_the_order_of_the_cards() -> None:
    nics = [GuestNic(4001, ("10.1.0.5",)), GuestNic(4000, ("2001:db8::5", "10.0.0.5"))]
    assert usable(nics, None) == ("10.0.0.5", "10.1.0.5", "2001:db8::5")


def test_networks_of_the_cluster_itself_are_skipped() -> None:
    nics = [GuestNic(4000, ("10.244.1.0", "10.0.0.5"))]
    assert usable(nics, None, skip=[ip_network("10.244.0.0/16")]) == ("10.0.0.5",)


def test_a_subnet_leaves_out_all_others() -> None:
    nics = [GuestNic(4000, ("192.168.0.5",)), GuestNic(4001, ("10.0.0.5", "2001:db8::5"))]
    assert usable(nics, None, subnet=ip_network("10.0.0.0/8")) == ("10.0.0.5",)


def test_a_network_that_happens_to_be_dockers_is_fine_on_a_real_card() -> None:
    assert usable([GuestNic(4000, ("172.17.3.4",))], None) == ("172.17.3.4",)


def test_the_primary_address_stands_in_where_no_card_is_told() -> None:
    assert usable([], "10.0.0.5") == ("10.0.0.5",)


def test_the_primary_address_may_be_a_container_bridge() -> None:
    assert usable([BRIDGE], "172.17.0.1") == ()


def test_what_is_no_address_is_skipped() -> None:
    assert usable([GuestNic(4000, ("", "unknown", "10.0.0.5"))], None) == ("10.0.0.5",)


def test_nothing_reported_is_no_address() -> None:
    assert usable([], None) == ()
