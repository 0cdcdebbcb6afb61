"""Addresses: those alone that the rest of the cluster can use, of the machine itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import ip_address

import pytest

from ... import Cluster, Endpoint, Vm
from ..connected import Connected
from ..offers import offered
from ..samples import node_of
from .fixtures import NAMES, TargetFixtures, make, one, ours

Tell = Callable[[Vm, Sequence[str]], None]

USELESS = {
    "link-local": "169.254.7.7",
    "IPv6": "2001:db8::7",
    "IPv6 link-local": "fe80::7",
    "loopback": "127.0.0.1",
    "of pods": "10.244.3.1",
    "of services": "10.96.0.7",
    "a container bridge": "172.17.0.1",
    "no address": "not-an-address",
}


class AddressChecks(TargetFixtures):
    def test_addresses_and_ports_are_of_their_types(self, driver: Connected, cluster: Cluster) -> None:
        make(driver)
        for vm in ours(driver, cluster).values():
            assert isinstance(vm.addresses, tuple), f"`addresses` is a {type(vm.addresses).__name__}, not a tuple"
            assert all(str(ip_address(address)) == address for address in vm.addresses)
            assert all(type(port) is int and isinstance(at, Endpoint) for port, at in vm.reach.items())
            assert isinstance(vm.notice, str)
            assert "\n" not in vm.notice

    def test_every_machine_has_its_own_address(
        self, driver: Connected, cluster: Cluster, tell_addresses: Tell | None
    ) -> None:
        tell = offered(tell_addresses, "tell_addresses")
        told = {name: f"192.0.2.{number}" for number, name in enumerate(NAMES, start=101)}
        for name, address in told.items():
            tell(make(driver, node_of(name)), [address])
        assert {name: vm.addresses for name, vm in ours(driver, cluster).items()} == {
            name: (address,) for name, address in told.items()
        }

    @pytest.mark.parametrize("kind", USELESS)
    def test_an_address_that_nobody_else_can_use_does_not_count(
        self, driver: Connected, cluster: Cluster, tell_addresses: Tell | None, kind: str
    ) -> None:
        tell, vm = offered(tell_addresses, "tell_addresses"), make(driver)
        tell(vm, [USELESS[kind]])
        assert one(driver, cluster).addresses == (), f"{USELESS[kind]} counts"
        tell(vm, [USELESS[kind], "192.0.2.107"])
        assert one(driver, cluster).addresses == ("192.0.2.107",)

    @pytest.mark.parametrize("kind", ["link-local", "IPv6", "of pods", "of services"])
    def test_why_an_address_does_not_count_is_told(
        self, driver: Connected, cluster: Cluster, tell_addresses: Tell | None, kind: str
    ) -> None:
        offered(tell_addresses, "tell_addresses")(make(driver), [USELESS[kind]])
        assert USELESS[kind] in one(driver, cluster).notice

    def test_a_machine_without_an_address_has_none(
        self, driver: Connected, cluster: Cluster, tell_addresses: Tell | None
    ) -> None:
        offered(tell_addresses, "tell_addresses")(make(driver), [])
        assert one(driver, cluster).addresses == ()
