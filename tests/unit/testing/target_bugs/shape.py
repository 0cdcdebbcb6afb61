"""Bugs in what a driver's class is, and what it leaves when a run is over."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from pathlib import Path
from types import MappingProxyType

from kube_provision_core import BootFragment, Power, Role, Vm, hookimpl

from ..planted import fails
from .sound import Sound


@fails("test_constructor_does_no_io")
class ConnectsInItsConstructor(Sound):
    def __init__(self, config):
        super().__init__(config)
        with socket.socket() as probe:
            probe.connect_ex(("127.0.0.1", 9))


@fails("test_constructor_does_no_io")
class ResolvesInItsConstructor(Sound):
    def __init__(self, config):
        super().__init__(config)
        socket.getaddrinfo("localhost", 80)


@fails("test_constructor_does_no_io")
class StartsAThreadInItsConstructor(Sound):
    def __init__(self, config):
        super().__init__(config)
        threading.Timer(0.1, int).start()


@fails("test_constructor_does_no_io")
class WritesInItsConstructor(Sound):
    def __init__(self, config):
        super().__init__(config)
        with Path(os.devnull).open("w"):
            pass


@fails("test_constructor_does_no_io")
class MakesAFolderInItsConstructor(Sound):
    def __init__(self, config):
        super().__init__(config)
        with contextlib.suppress(OSError):
            Path(os.devnull).mkdir()


@fails("test_every_hook_is_marked_and_as_the_contract_names_it")
class LosesAMark(Sound):
    def list_vms(self, cluster):
        return super().list_vms(cluster)


@fails("test_every_hook_is_marked_and_as_the_contract_names_it")
class MisspellsAHook(Sound):
    @hookimpl
    def scrub_boots(self, vm):
        return True


@fails("test_every_hook_is_marked_and_as_the_contract_names_it")
class WantsAnotherArgument(Sound):
    @hookimpl
    def destroy_vm(self, machine):
        return super().destroy_vm(machine)


@fails("test_every_hook_is_marked_and_as_the_contract_names_it")
class OnlyWrapsWhatItShouldAnswer:
    Config, api_version, parallel = Sound.Config, 1, 4

    def __init__(self, config):
        self._config = config

    @hookimpl(wrapper=True)
    def provision_vm(self, node):
        yield
        return Vm(node.name, node.name, Power.ON, node.stamp)

    @hookimpl
    def list_vms(self, cluster):
        return []

    @hookimpl
    def render_boot(self):
        return BootFragment()


@fails("test_declares_what_it_is")
class HasAnotherConfig(Sound):
    Config = dict


@fails("test_declares_what_it_is")
class SpeaksAnotherVersion(Sound):
    api_version = 2


@fails("test_declares_how_many_machines_it_makes_at_once")
class MakesNone(Sound):
    parallel = 0


@fails("test_declares_how_many_machines_it_makes_at_once")
class MakesSome(Sound):
    parallel = "16"


@fails("test_declares_for_how_long_a_machine_is_awaited")
class AwaitsNothing(Sound):
    address_timeout = "5 min"


@fails("test_declares_for_how_long_a_machine_is_awaited")
class AwaitsNoBoot(Sound):
    boot_timeout = 0


@fails("test_says_whether_its_machines_share_the_kernel_of_their_host")
class SharesSomething(Sound):
    shares_kernel = "no"


@fails("test_says_which_interface_is_in_the_nodes_network")
class NamesACard(Sound):
    node_interfaces = MappingProxyType({Role.WORKER: "network adapter 1"})


@fails("test_says_which_interface_is_in_the_nodes_network")
class NamesRolesByText(Sound):
    node_interfaces = MappingProxyType({"worker": "eth0"})


@fails("test_says_addresses_of_machines_before_they_are_made")
class GivesTwoMachinesOneAddress(Sound):
    fixed_addresses = {Role.MASTER: ["10.0.0.11", "10.0.0.11"]}  # noqa: RUF012 - nobody changes it


@fails("test_says_addresses_of_machines_before_they_are_made")
class SaysNetworksForAddresses(Sound):
    fixed_addresses = {Role.MASTER: ["10.0.0.11/24"]}  # noqa: RUF012 - nobody changes it


@fails("test_close_never_raises")
class ClosesOnce(Sound):
    closed = False

    @hookimpl
    def close(self):
        if self.closed:
            raise RuntimeError("already closed")
        self.closed = True


@fails("test_a_run_that_is_over_leaves_nothing_open")
class LeaksDescriptors(Sound):
    @hookimpl
    def list_vms(self, cluster):
        os.open(self._machines.folder, os.O_RDONLY)
        return super().list_vms(cluster)


@fails("test_a_run_that_is_over_leaves_nothing_open")
class LeavesThreads(Sound):
    @hookimpl
    def list_vms(self, cluster):
        threading.Thread(target=time.sleep, args=(1,), daemon=True).start()
        return super().list_vms(cluster)
