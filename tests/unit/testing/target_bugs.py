"""Target drivers with one planted bug each, by the check that must find it; BUG stands for the driver."""

from __future__ import annotations

SUITE = """
import contextlib, logging, socket, threading, time
import pytest
from dataclasses import replace
from kube_provision_core import *
from kube_provision_core.testing import TargetContract
from doubles.memory import MemoryTarget, World

class Sound(MemoryTarget):
    pass

BUG

class TestDriver(TargetContract):
    @pytest.fixture
    def world(self):
        return World()

    @pytest.fixture
    def make_driver(self, world):
        return lambda: Driver({}, world)

    @pytest.fixture
    def create_foreign(self, world):
        return lambda name: world.vms.update({name: Vm(name, "foreign", Power.ON, None)})

    @pytest.fixture
    def break_creation(self, world):
        @contextlib.contextmanager
        def breaking(name):
            world.breaks.add(name)
            yield
            world.breaks.discard(name)
        return breaking

    @pytest.fixture
    def read_boot_data(self, world):
        return lambda vm: world.boot_data[vm.name]
"""

BUGS = {
    "test_provision_vm_is_idempotent_by_name": """
        class Driver(Sound):
            count = 0
            def provision_vm(self, node, boot):
                Driver.count += 1
                vm = super().provision_vm(node, boot)
                self.world.vms[f"{node.name}-{Driver.count}"] = replace(vm, name=f"{node.name}-{Driver.count}")
                return vm
        """,
    "test_a_creation_that_fails_leaves_nothing_unfindable": """
        class Driver(Sound):
            def _create(self, node, boot):
                if node.name in self.world.breaks:
                    self.world.vms[node.name] = Vm(node.name, "leaked", Power.OFF, None)
                return super()._create(node, boot)
        """,
    "test_an_error_is_one_line_without_secrets": """
        class Driver(Sound):
            def _create(self, node, boot):
                try:
                    return super()._create(node, boot)
                except TargetError as error:
                    raise TargetError(f"{error}: {boot.user_data!r}") from error
        """,
    "test_every_template_is_filled_in": """
        class Driver(Sound):
            def render_boot(self, node):
                fragment = super().render_boot(node)
                return replace(fragment, files=(*fragment.files, File("/etc/name", "name={{ node.name }}")))
        """,
    "test_one_machine_asked_for_twice_at_once_is_made_once": """
        class Driver(Sound):
            def provision_vm(self, node, boot):
                if node.name in self.world.vms:
                    return super().provision_vm(node, boot)
                time.sleep(0.02)
                vm = Vm(node.name, str(threading.get_ident()), Power.ON, node.stamp)
                self.world.vms[node.name] = vm
                self.world.boot_data[node.name] = boot.user_data
                return vm
        """,
    "test_secrets_are_never_told": """
        class Driver(Sound):
            def provision_vm(self, node, boot):
                logging.getLogger("driver").debug("booting with %s", boot.user_data)
                return super().provision_vm(node, boot)
        """,
    "test_constructor_does_no_io": """
        class Driver(Sound):
            def __init__(self, config, world):
                super().__init__(config, world)
                with socket.socket() as probe:
                    probe.connect_ex(("127.0.0.1", 9))
        """,
    "test_provision_vm_returns_the_machine_powered_on_and_stamped": """
        class Driver(Sound):
            def provision_vm(self, node, boot):
                return {"name": super().provision_vm(node, boot).name}
        """,
    "test_a_foreign_machine_is_never_destroyed": """
        class Driver(Sound):
            def destroy_vm(self, vm):
                self.world.vms.pop(vm.name, None)
                return True
        """,
    "test_a_machine_of_another_cluster_of_this_name_is_never_destroyed": """
        class Driver(Sound):
            def destroy_vm(self, vm):
                found = self.world.vms.get(vm.name)
                if found and (not found.stamp or found.stamp.cluster != vm.stamp.cluster):
                    raise TargetError("not ours")
                self.world.vms.pop(vm.name, None)
                return True
        """,
    "test_a_foreign_machine_is_listed_without_stamp_and_never_taken": """
        class Driver(Sound):
            def provision_vm(self, node, boot):
                self.world.vms.pop(node.name, None)
                return super().provision_vm(node, boot)
        """,
    "test_provision_vm_never_replaces_boot_data": """
        class Driver(Sound):
            def provision_vm(self, node, boot):
                self.world.boot_data[node.name] = boot.user_data + str(time.monotonic())
                return super().provision_vm(node, boot)
            def _create(self, node, boot):
                return Vm(node.name, node.name, Power.OFF, node.stamp)
        """,
    "test_destroy_vm_removes_the_machine_and_may_be_repeated": """
        class Driver(Sound):
            def destroy_vm(self, vm):
                if vm.name not in self.world.vms:
                    raise TargetError("there is no such machine")
                return super().destroy_vm(vm)
        """,
    "test_scrub_boot_takes_the_secrets_and_says_so": """
        class Driver(Sound):
            def scrub_boot(self, vm):
                self.world.vms[vm.name] = replace(self.world.vms[vm.name], scrubbed=True)
                return True
        """,
    "test_list_vms_leaves_out_other_clusters": """
        class Driver(Sound):
            def list_vms(self, cluster):
                return list(self.world.vms.values())
        """,
    "test_list_vms_tells_what_provision_vm_stamped": """
        class Driver(Sound):
            def list_vms(self, cluster):
                return [replace(vm, stamp=replace(vm.stamp, role=Role.WORKER) if vm.stamp else None)
                        for vm in super().list_vms(cluster)]
        """,
    "test_render_boot_is_a_function_of_its_arguments": """
        class Driver(Sound):
            def render_boot(self, node):
                return BootFragment(files=(File("/etc/when", str(time.monotonic())),))
        """,
    "test_preflight_answers_with_lines": """
        class Driver(Sound):
            def preflight(self, machines):
                return [ValueError("no such network")]
        """,
    "test_close_never_raises": """
        class Driver(Sound):
            closed = False
            def close(self):
                if self.closed:
                    raise RuntimeError("already closed")
                self.closed = True
        """,
    "test_every_node_gets_a_publisher": """
        class Driver(Sound):
            def render_boot(self, node):
                return BootFragment(files=(File(PUBLISHER, "#!/bin/sh"),))
        """,
    "test_declares_how_many_machines_it_makes_at_once": """
        class Driver(Sound):
            parallel = 0
        """,
    "test_an_empty_target_lists_nothing": """
        class Driver(Sound):
            def list_vms(self, cluster):
                return super().list_vms(cluster) or [Vm("w-contract-1", "stand-in", Power.OFF, None)]
        """,
    "test_many_machines_can_be_made_at_once": """
        class Driver(Sound):
            def _create(self, node, boot):
                vm = super()._create(node, boot)
                return replace(vm, id=str(id(self)))
        """,
}
