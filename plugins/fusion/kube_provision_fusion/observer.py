"""The machines as they are now."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from kube_provision_core import Cluster, Power, Vm, judge_addresses, task_digest

from . import leases, machine_log, scrubbing, settings, tasks
from .guests import Guests
from .host import Host
from .machines import Found, Machines
from .vmrun import Vmrun
from .vmx import Vmx

LOOKS = 4
"""Machines that are asked at once."""


class Observer:
    """Thread-safe. Methods raise `TargetError`."""

    def __init__(self, host: Host, machines: Machines, vmrun: Vmrun) -> None:
        self._host, self._machines, self._vmrun = host, machines, vmrun
        self._guests = Guests()

    def look(self, cluster: Cluster) -> tuple[Vm, ...]:
        """The cluster's machines, and any that bear one of its names. One call for all, up to two for each that runs."""
        found = self._machines.concerning(cluster)
        if not found:
            return ()
        running = self._vmrun.running()
        leased = leases.read(self._host.leases)

        def see(one: Found) -> Vm:
            return self._vm(one, cluster, running, leased)

        with ThreadPoolExecutor(LOOKS) as pool:
            return tuple(pool.map(see, sorted(found, key=lambda one: one.name)))

    def _vm(self, found: Found, cluster: Cluster, running: frozenset[str], leased: Mapping[str, str]) -> Vm:
        vm = Vm(found.name, str(found.file), self._power(found, running), found.stamp, where=str(found.folder))
        if found.stamp is None or found.vmx is None:
            return replace(vm, complete=found.complete)
        vm = replace(vm, task=task_digest(tasks.waiting(found.folder, found.vmx)))
        if vm.power is not Power.ON:
            self._guests.forget(found.file)
            return replace(vm, scrubbed=scrubbing.is_clean(found.vmx))
        vm = replace(vm, on_since=machine_log.on_since(found.folder))
        heard = self._guests.hear(self._vmrun, found.file, several=bool(found.vmx.get(settings.CARD)))
        lease = leased.get(found.vmx.get(f"{settings.own_card(found.vmx)}.address").lower(), "")
        judged = judge_addresses([heard.address, lease], cluster, sure=[lease])
        notice = judged.notice or ("" if judged.usable else _why_nothing(found.vmx))
        return replace(vm, status=heard.status, addresses=judged.usable, notice=notice, scrubbed=self._is_scrubbed(found))

    def _power(self, found: Found, running: frozenset[str]) -> Power:
        if self._host.normal(found.file) in running:
            return Power.ON
        return Power.SUSPENDED if found.vmx and found.vmx.get("checkpoint.vmState") else Power.OFF

    def _is_scrubbed(self, found: Found) -> bool:
        """In the file and in the running machine, which writes the file anew when it stops."""
        if found.vmx is None or not scrubbing.is_clean(found.vmx):
            return False
        return self._guests.runs_clean(self._vmrun, found.file, found.version)


def _why_nothing(vmx: Vmx) -> str:
    """Of a machine that runs, and of which nobody has told any address."""
    card = vmx.get(f"{settings.own_card(vmx)}.address")
    bridged = vmx.get(f"{settings.own_card(vmx)}.connectionType").lower() in ("", "bridged")
    lease = "on a bridged network, whose leases this computer does not see" if bridged else f"{card} has no DHCP lease"
    return settings.unplugged(vmx) or f"nothing heard yet from open-vm-tools in it, and {lease}"
