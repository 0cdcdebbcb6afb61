"""Bugs in what a machine is given to boot."""

from __future__ import annotations

import json
from dataclasses import replace

from kube_provision_sound_target.machines import Machines

from kube_provision_core import hookimpl

from ..planted import fails
from .sound import Sound, on


@fails("test_boot_data_arrives_whole")
class ExpandsDollars(Sound):
    @hookimpl
    def provision_vm(self, node, boot):
        return super().provision_vm(node, replace(boot, user_data=boot.user_data.replace("$dollar", "")))


@fails("test_boot_data_arrives_whole")
class KnowsAsciiAlone(Sound):
    @hookimpl
    def provision_vm(self, node, boot):
        return super().provision_vm(node, replace(boot, user_data=boot.user_data.encode("ascii", "replace").decode()))


@fails("test_every_machine_gets_its_own_boot_data")
class GivesAllTheFirstOnes(Sound):
    first = None

    @hookimpl
    def provision_vm(self, node, boot):
        self.first = self.first or boot.user_data
        return super().provision_vm(node, replace(boot, user_data=self.first))


@fails("test_provision_vm_never_replaces_boot_data")
class ReplacesBootData(Sound):
    @hookimpl
    def provision_vm(self, node, boot):
        vm = super().provision_vm(node, boot)
        self._machines.replace_user_data(node.name, boot.user_data)
        return vm


@fails("test_starting_a_machine_keeps_its_boot_data")
class DeliversAtEveryStart(Sound):
    @hookimpl
    def provision_vm(self, node, boot):
        was_off = (self._machines.read(node.name) or {}).get("power") == "off"
        vm = super().provision_vm(node, boot)
        if was_off:
            self._machines.replace_user_data(node.name, boot.user_data)
        return vm


@fails("test_scrubbed_boot_data_never_comes_back")
class BringsSecretsBack(Sound):
    @hookimpl
    def provision_vm(self, node, boot):
        was_scrubbed = (self._machines.read(node.name) or {}).get("scrubbed")
        vm = super().provision_vm(node, boot)
        if was_scrubbed:
            self._machines.replace_user_data(node.name, boot.user_data)
        return vm


class _Unnamed(Machines):
    def deliver(self, name, user_data, metadata):
        super().deliver(name, user_data, {"instance-id": metadata["instance-id"]})


@fails("test_a_machine_is_told_its_name_and_its_instance")
class LosesTheHostName(on(_Unnamed)):
    pass


class _OwnInstance(Machines):
    def deliver(self, name, user_data, metadata):
        super().deliver(name, user_data, {**metadata, "instance-id": f"i-{name}"})


@fails("test_a_machine_is_told_its_name_and_its_instance")
class MakesUpAnInstance(on(_OwnInstance)):
    pass


@fails("test_the_instance_never_changes")
class ChangesTheInstance(Sound):
    @hookimpl
    def provision_vm(self, node, boot):
        vm = super().provision_vm(node, boot)
        told = {"instance-id": boot.instance_id, "local-hostname": boot.hostname}
        (self._machines.folder / node.name / "meta-data").write_text(json.dumps(told))
        return vm
