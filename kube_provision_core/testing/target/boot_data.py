"""What a machine is given to boot: whole, its own, and never replaced."""

from __future__ import annotations

from collections.abc import Callable

from ... import Vm
from ..connected import Connected
from ..offers import answering, offered
from ..samples import SECRET, boot_of, node_of
from .fixtures import WORKER, TargetFixtures, make

Read = Callable[[Vm], str]
LATER = boot_of(WORKER, instance="2", secret="another-secret")  # noqa: S106 - none at all
"""What a later run has rendered: other tokens, another instance."""


class BootDataChecks(TargetFixtures):
    def test_boot_data_arrives_whole(self, driver: Connected, read_boot_data: Read | None) -> None:
        vm, boot = make(driver), boot_of(WORKER)
        assert _holds(offered(read_boot_data, "read_boot_data")(vm), boot.user_data), "the boot data has changed on its way"

    def test_every_machine_gets_its_own_boot_data(self, driver: Connected, read_boot_data: Read | None) -> None:
        read, nodes = offered(read_boot_data, "read_boot_data"), [node_of("w-contract-1"), node_of("w-contract-2")]
        vms = [make(driver, node, boot_of(node, secret=f"of-{node.name}")) for node in nodes]
        for vm in vms:
            assert f"of-{vm.name}" in read(vm), f"{vm.name} has another machine's boot data"

    def test_provision_vm_never_replaces_boot_data(
        self, connect: Callable[[], Connected], read_boot_data: Read | None
    ) -> None:
        read, vm = offered(read_boot_data, "read_boot_data"), make(connect())
        before = read(vm)
        make(connect(), boot=LATER)
        assert read(vm) == before

    def test_starting_a_machine_keeps_its_boot_data(
        self, driver: Connected, read_boot_data: Read | None, power_off: Callable[[Vm], None] | None
    ) -> None:
        read, vm = offered(read_boot_data, "read_boot_data"), make(driver)
        offered(power_off, "power_off")(vm)
        make(driver, boot=LATER)
        assert SECRET in read(vm), "its boot data is gone"
        assert "another-secret" not in read(vm), "its boot data was replaced"

    def test_scrubbed_boot_data_never_comes_back(
        self, driver: Connected, read_boot_data: Read | None, power_off: Callable[[Vm], None] | None
    ) -> None:
        answering(driver, "scrub_boot")
        read, vm = offered(read_boot_data, "read_boot_data"), make(driver)
        driver.scrub_boot(vm=vm)
        offered(power_off, "power_off")(vm)
        make(driver)
        assert SECRET not in read(vm)

    def test_a_machine_is_told_its_name_and_its_instance(self, driver: Connected, read_metadata: Read | None) -> None:
        told, boot = offered(read_metadata, "read_metadata")(make(driver)), boot_of(WORKER, instance="1")
        assert boot.hostname in told.replace(boot.instance_id, ""), "the host name is lost"
        assert boot.instance_id in told, "the instance id is lost"

    def test_the_instance_never_changes(
        self, driver: Connected, read_metadata: Read | None, power_off: Callable[[Vm], None] | None
    ) -> None:
        """A new one would make the next boot a first boot."""
        read, vm = offered(read_metadata, "read_metadata"), make(driver)
        before = read(vm)
        make(driver, boot=LATER)
        offered(power_off, "power_off")(vm)
        make(driver, boot=LATER)
        assert read(vm) == before


def _holds(read: str, text: str) -> bool:
    """Where what was read are bytes, each is a character of Latin 1."""
    return text in read or text.encode().decode("latin-1") in read
