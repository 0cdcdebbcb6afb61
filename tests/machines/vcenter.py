"""A site whose hypervisor is a simulated vCenter with real machines: what is powered on there boots as a host.

with VCenterLab(tmp_path) as lab:
    run = lab.provision("--wait")
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from machines.image import Image
from machines.lab import Lab
from machines.leaks import unpacked
from machines.network import PREFIX, Network
from machines.nspawn import CHANNEL, Host
from machines.packages import Package
from servers.simulator import Guest, Simulator

from kube_provision_core import GuestInfo, replace_file

SET = "guestinfo"
"""The folder in the shared one that has a file for each key which the guest has set."""
GIVEN = "given"
"""Another, with those that the vCenter holds and that it may ask for."""
GUEST_TOOLS = f"""\
#!/bin/sh
# vmtoolsd --cmd "info-set KEY VALUE", "info-get KEY": what open-vm-tools does over the hypervisor's backdoor, done over a
# shared folder.
set -eu
[ "$1" = --cmd ]
case $2 in
info-get\\ *)
  file={CHANNEL}/{GIVEN}/${{2#info-get }}
  test ! -e "$file" || exec cat "$file"
  echo "No value found" >&2
  exit 1
  ;;
esac
setting=${{2#info-set }}
key=${{setting%% *}}
mkdir -p {CHANNEL}/{SET}
printf '%s' "${{setting#"$key" }}" >{CHANNEL}/"$key.part"
mv {CHANNEL}/"$key.part" {CHANNEL}/{SET}/"$key"
"""
GUEST_TOOLS_PATH = "usr/bin/vmtoolsd"
LOOK = 0.2
"""Seconds between two looks at the vCenter."""


class VCenterHosts:
    """Follows a vCenter's machines with hosts: power, guestinfo, and what the guest publishes."""

    def __init__(self, folder: Path, network: Network, image_of: Callable[[str], Image], vcenter: Simulator) -> None:
        self.hosts: dict[str, Host] = {}
        """Those that exist, by name."""
        self.problem: BaseException | None = None
        """What ended the following before its time."""
        self._folder, self._network, self._image_of, self._vcenter = folder, network, image_of, vcenter
        self._published: dict[str, dict[str, str]] = {}
        self._stop = threading.Event()
        # A host ends with the thread that starts it: this one.
        self._thread = threading.Thread(target=self._run, name="vcenter-hosts")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join(60)

    def _run(self) -> None:
        try:
            while not self._stop.wait(LOOK):
                self._follow({vm["name"]: vm for vm in self._vcenter.vms().values() if not vm["template"]})
        except BaseException as problem:
            self.problem = problem
            raise
        finally:
            for name in list(self.hosts):
                self._remove(name)

    def _follow(self, vms: Mapping[str, Mapping[str, Any]]) -> None:
        for name in self.hosts.keys() - vms.keys():
            self._remove(name)
        for name, vm in vms.items():
            host = self.hosts.get(name)
            if vm["power"] != "poweredOn":
                if host and host.on:
                    host.kill()
            elif host is None:
                self._create(name, vm)
            else:
                self._deliver(host, vm)
                self._publish(host)

    def _create(self, name: str, vm: Mapping[str, Any]) -> None:
        address = next((address for address in vm["addresses"] if address.startswith(f"{PREFIX}.")), None)
        if address is None:
            return
        host = Host(name, self._folder, self._image_of(name), self._network.link(name, address))
        instance_id = json.loads(_guestinfo(vm, "metadata"))["instance-id"]
        host.insert_seed(instance_id, _guestinfo(vm, "userdata"))
        host.install(GUEST_TOOLS_PATH, GUEST_TOOLS)  # a template without them could not have read its boot data
        host.start()
        self.hosts[name] = host

    def _deliver(self, host: Host, vm: Mapping[str, Any]) -> None:
        user_data = _guestinfo(vm, "userdata")
        if user_data != host.user_data:
            host.replace_user_data(user_data)
        _give(host.folder / "channel" / GIVEN / GuestInfo.TASK, vm["extra_config"].get(GuestInfo.TASK, "").encode())
        if not host.on:
            host.start()

    def _publish(self, host: Host) -> None:
        told = {path.name: path.read_text() for path in (host.folder / "channel" / SET).glob("*")}
        before = self._published.get(host.name, {})
        if told != before:
            self._vcenter.publish(host.name, {key: value for key, value in told.items() if before.get(key) != value})
            self._published[host.name] = told

    def _remove(self, name: str) -> None:
        host = self.hosts.pop(name)
        self._published.pop(name, None)
        host.destroy()
        self._network.unplug(host.link)


def _give(file: Path, value: bytes) -> None:
    if not value:
        file.unlink(missing_ok=True)
    elif not file.exists() or file.read_bytes() != value:
        file.parent.mkdir(exist_ok=True)
        replace_file(file, value)


def _guestinfo(vm: Mapping[str, Any], name: str) -> str:
    return unpacked(vm["extra_config"], f"guestinfo.{name}")


class VCenterLab(Lab):
    """A `Lab` whose target is vSphere."""

    def _start_target(self, stack: ExitStack) -> None:
        guests = [Guest("*", network=f"{PREFIX}.64/26")]
        self.vcenter = stack.enter_context(Simulator(guests=guests, clone_time=0.5))
        self.machines = stack.enter_context(VCenterHosts(self.folder, self.network, self.image_of, self.vcenter))

    def _more_packages(self, folder: Path) -> list[Path]:
        tools = Package("open-vm-tools", "2:12.5.0-1", {f"/{GUEST_TOOLS_PATH}": GUEST_TOOLS})
        return [tools.build(folder)]

    @property
    def target(self) -> dict[str, Any]:
        return dict(self.vcenter.keys)

    @property
    def environment(self) -> dict[str, str]:
        return super().environment | {"KUBE_PROVISION_VCENTER_PASSWORD": self.vcenter.password}

    def set_by_guest(self, name: str, key: str) -> str | None:
        """What a guest itself has set last, with its own tools; None if nothing."""
        file = self._setting(name, key)
        return file.read_text() if file.exists() else None

    def forget(self, name: str, key: str) -> None:
        """What a guest has set, as a hypervisor may that loses power."""
        self._setting(name, key).unlink()

    def _setting(self, name: str, key: str) -> Path:
        return self.hosts[name].folder / "channel" / SET / key

    @property
    def hosts(self) -> dict[str, Host]:
        assert self.machines.problem is None
        return self.machines.hosts
