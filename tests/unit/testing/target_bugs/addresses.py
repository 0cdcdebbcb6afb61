"""Bugs in which addresses count."""

from __future__ import annotations

from dataclasses import replace

from kube_provision_core import hookimpl

from ..planted import fails
from .sound import Sound


@fails("test_addresses_and_ports_are_of_their_types")
class TellsATextForAddresses(Sound):
    @hookimpl
    def list_vms(self, cluster):
        return [replace(vm, addresses=" ".join(vm.addresses)) for vm in super().list_vms(cluster)]


@fails("test_addresses_and_ports_are_of_their_types")
class TellsNetworksForAddresses(Sound):
    @hookimpl
    def list_vms(self, cluster):
        return [replace(vm, addresses=tuple(f"{it}/24" for it in vm.addresses)) for vm in super().list_vms(cluster)]


@fails("test_addresses_and_ports_are_of_their_types")
class TellsTextsForPorts(Sound):
    @hookimpl
    def list_vms(self, cluster):
        return [replace(vm, reach={"6443": "127.0.0.1:7001"}) for vm in super().list_vms(cluster)]


@fails("test_every_machine_has_its_own_address")
class TellsOneAddressOfAll(Sound):
    @hookimpl
    def list_vms(self, cluster):
        vms = super().list_vms(cluster)
        return [replace(vm, addresses=vms[0].addresses) for vm in vms]


def _addressed(judge):
    class Driver(Sound):
        def _look(self, name, cluster):
            vm = super()._look(name, cluster)
            told = (self._machines.read(name) or {}).get("addresses", ())
            return replace(vm, addresses=judge(tuple(told))) if cluster else vm

    return Driver


@fails("test_an_address_that_nobody_else_can_use_does_not_count")
class BelievesEveryAddress(_addressed(lambda told: told)):
    pass


@fails("test_an_address_that_nobody_else_can_use_does_not_count")
class BelievesAllButLinkLocal(
    _addressed(lambda told: tuple(it for it in told if not it.startswith(("169.254.", "fe80:", "127.", "not"))))
):
    pass


@fails("test_an_address_that_nobody_else_can_use_does_not_count")
class BelievesTheCardsOfContainers(
    _addressed(lambda told: tuple(it for it in told if it.startswith(("172.17.", "192.0.2."))))
):
    pass


@fails("test_an_address_that_nobody_else_can_use_does_not_count")
class LooksAtItsFirstCardAlone(_addressed(lambda told: tuple(it for it in told[:1] if it.startswith("192.0.2.")))):
    pass


@fails("test_why_an_address_does_not_count_is_told")
class TellsNoReason(Sound):
    @hookimpl
    def list_vms(self, cluster):
        return [replace(vm, notice="") for vm in super().list_vms(cluster)]


@fails("test_a_machine_without_an_address_has_none")
class MakesUpAnAddress(Sound):
    @hookimpl
    def list_vms(self, cluster):
        return [replace(vm, addresses=vm.addresses or ("192.0.2.1",)) for vm in super().list_vms(cluster)]
