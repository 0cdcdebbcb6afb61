"""What exists is seen in the folder and told by the machines, without asking more than needed."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from servers.vmware import Vmware

from kube_provision_core import Boot, Cluster, Node, NodeStatus, Power, Stage, TargetError, Vm
from kube_provision_fusion import machine_log
from kube_provision_fusion.driver import Fusion
from kube_provision_fusion.host import fusion
from kube_provision_fusion.machines import Machines

DONE = json.dumps({"stage": "finish", "state": "done", "error": ""})

Make = Callable[..., Vm]


@pytest.fixture
def make(driver: Fusion, node: Callable[..., Node], boot: Callable[[Node], Boot]) -> Make:
    def make(name: str = "w-prod-1", **more: str) -> Vm:
        one = node(name, **more)
        return driver.provision_vm(node=one, boot=boot(one))

    return make


@pytest.fixture
def look(driver: Fusion, cluster: Cluster) -> Callable[[], Vm]:
    def look() -> Vm:
        (vm,) = driver.list_vms(cluster=cluster)
        return vm

    return look


Look = Callable[[], Vm]


class TestAnAddress:
    def test_is_what_cloud_init_tells(self, make: Make, look: Look) -> None:
        make()
        assert look().addresses == ("172.16.133.130",)

    def test_is_what_the_node_publishes_beside_its_stage(self, vmware: Vmware, make: Make, look: Look) -> None:
        vmware.be(address="none")
        make()
        status = {"kube-provision.status": '{"address": "172.16.133.77", "stage": "install", "state": "running"}'}
        vmware.publish("w-prod-1", **status)
        assert look().addresses == ("172.16.133.77",)

    def test_may_come_late(self, vmware: Vmware, make: Make, look: Look) -> None:
        vmware.be(address="none")
        make()
        assert look().addresses == ()
        vmware.publish("w-prod-1", **{"local-ipv4": "172.16.133.130"})
        assert look().addresses == ("172.16.133.130",)

    def test_of_a_container_bridge_is_not_taken_where_the_lease_knows_better(
        self, vmware: Vmware, make: Make, look: Look
    ) -> None:
        vmware.be(address="bridge")
        make()
        assert look().addresses == ("172.16.133.130",)

    def test_comes_from_the_lease_where_the_guest_tells_nothing(self, vmware: Vmware, make: Make, look: Look) -> None:
        make()
        vmware.publish("w-prod-1", **{"local-ipv4": ""})
        assert look().addresses == ("172.16.133.130",)

    @pytest.mark.parametrize(
        ("told", "notice"),
        [
            ({"local-ipv6": "2001:db8::7"}, "only IPv6 so far: 2001:db8::7"),
            ({"local-ipv4": "10.100.1.11"}, "10.100.1.11 lies in service_subnet 10.96.0.0/12"),
            ({"local-ipv4": "10.244.3.1"}, "10.244.3.1 lies in pod_subnet 10.244.0.0/16"),
            ({"local-ipv4": "169.254.7.7"}, "169.254.7.7 is link-local: no DHCP server has answered"),
            ({"local-ipv4": "172.18.0.1"}, "172.18.0.1 looks like a container bridge's"),
        ],
    )
    def test_that_does_not_count_is_told_with_the_reason(
        self, vmware: Vmware, make: Make, look: Look, told: dict[str, str], notice: str
    ) -> None:
        vmware.be(address="none")
        make()
        vmware.publish("w-prod-1", **told)
        assert (look().addresses, look().notice) == ((), notice)

    def test_that_nobody_tells_is_waited_for_with_what_is_known(self, vmware: Vmware, make: Make, look: Look) -> None:
        vmware.be(address="none")
        make()
        card = vmware.machine("w-prod-1").get("ethernet0.address")
        assert look().notice == f"nothing heard yet from open-vm-tools in it, and {card} has no DHCP lease"
        vmware.set_vmx("w-prod-1", {"ethernet0.connectionType": "bridged"})
        assert look().notice.endswith("on a bridged network, whose leases this computer does not see")
        vmware.set_vmx("w-prod-1", {"ethernet0.startConnected": "FALSE"})
        assert look().notice == "network card ethernet0 is not connected"
        vmware.publish("w-prod-1", **{"local-ipv4": "172.16.133.130"})
        assert (look().address, look().notice) == ("172.16.133.130", "")

    def test_is_none_of_a_machine_that_is_off(self, vmware: Vmware, make: Make, look: Look) -> None:
        vm = make()
        look()
        vmware.vmrun().switch_off(vmware.vm_dir / "w-prod-1.vmwarevm" / "w-prod-1.vmx")
        assert (look().power, look().addresses, look().id) == (Power.OFF, (), vm.id)


class TestAStatus:
    def test_is_what_the_node_published_last(self, vmware: Vmware, make: Make, look: Look) -> None:
        make()
        assert look().status is None
        vmware.publish("w-prod-1", **{"kube-provision.status": '{"stage": "join", "state": "failed", "error": "why |22"}'})
        assert look().status == NodeStatus(Stage.JOIN, "failed", "why |22")

    def test_that_no_runner_would_write_is_none(self, vmware: Vmware, make: Make, look: Look) -> None:
        make()
        vmware.publish("w-prod-1", **{"kube-provision.status": '{"stage": "party"}'})
        assert look().status is None

    def test_is_void_when_the_machine_stops(self, vmware: Vmware, make: Make, look: Look) -> None:
        make()
        vmware.publish("w-prod-1", **{"kube-provision.status": DONE})
        assert look().status
        vmware.vmrun().switch_off(vmware.vm_dir / "w-prod-1.vmwarevm" / "w-prod-1.vmx")
        assert look().status is None
        make()
        assert look().status is None


class TestPower:
    def test_is_seen_although_vmrun_spells_the_path_differently(self, vmware: Vmware, make: Make, look: Look) -> None:
        vmware.be(folds_case=True)
        make()
        assert look().power is Power.ON

    def test_has_been_on_since_its_log_begins(self, vmware: Vmware, make: Make, look: Look) -> None:
        before = time.time()
        make()
        assert before - 2 < (look().on_since or 0) < time.time() + 1
        vmware.vmrun().switch_off(vmware.vm_dir / "w-prod-1.vmwarevm" / "w-prod-1.vmx")
        assert look().on_since is None

    @pytest.mark.parametrize(
        ("line", "seconds"),
        [
            ("2026-11-17T09:12:40.120Z In(05) vmx Log for VMware Fusion pid=4119", 1794906760.12),
            ("2026-11-17T10:12:40.120+01:00| vmx| I125: Log for VMware Workstation pid=4119", 1794906760.12),
            ("2026-11-17T99:12:40Z In(05)", None),
            ("Log for VMware Workstation", None),
            ("", None),
        ],
    )
    def test_has_a_log_that_tells_the_time_or_not(self, tmp_path: Path, line: str, seconds: float | None) -> None:
        (tmp_path / "vmware.log").write_text(f"{line}\nmore\n")
        assert machine_log.on_since(tmp_path) == seconds

    def test_may_be_suspended(self, vmware: Vmware, make: Make, look: Look) -> None:
        make()
        file = vmware.vm_dir / "w-prod-1.vmwarevm" / "w-prod-1.vmx"
        vmware.vmrun().switch_off(file)
        file.write_text(file.read_text().replace('checkpoint.vmstate = ""', 'checkpoint.vmState = "w-prod-1.vmss"'))
        assert look().power is Power.SUSPENDED


class TestCalls:
    def test_are_none_where_nothing_exists(self, vmware: Vmware, driver: Fusion, cluster: Cluster) -> None:
        assert driver.list_vms(cluster=cluster) == ()
        assert vmware.calls() == []

    def test_are_one_and_two_for_each_machine_that_runs(
        self, vmware: Vmware, driver: Fusion, make: Make, cluster: Cluster
    ) -> None:
        for number in (1, 2, 3):
            make(f"w-prod-{number}")
        vmware.forget_calls()
        driver.list_vms(cluster=cluster)
        assert len(vmware.calls()) == 1 + 2 * 3

    def test_are_one_where_all_have_finished(self, vmware: Vmware, driver: Fusion, make: Make, cluster: Cluster) -> None:
        for number in (1, 2):
            make(f"w-prod-{number}")
            published = {"address": f"172.16.133.{number}", **json.loads(DONE)}
            vmware.publish(f"w-prod-{number}", **{"kube-provision.status": json.dumps(published)})
        driver.list_vms(cluster=cluster)
        vmware.forget_calls()
        assert [vm.status.finished for vm in driver.list_vms(cluster=cluster) if vm.status] == [True, True]
        assert len(vmware.calls()) == 1

    def test_that_hang_hide_no_other_machine_and_are_not_made_again_soon(
        self, vmware: Vmware, make: Make, cluster: Cluster
    ) -> None:
        for number in (1, 2):
            make(f"w-prod-{number}")
        vmware.limits = replace(vmware.limits, look=5)
        driver = vmware.driver()
        with vmware.fault("readVariable", "w-prod-1", seconds=600):
            found = {vm.name: vm for vm in driver.list_vms(cluster=cluster)}
            assert found["w-prod-1"].addresses == ("172.16.133.130",), "the lease still tells"
            assert found["w-prod-2"].addresses == ("172.16.133.131",)
            begun = time.monotonic()
            driver.list_vms(cluster=cluster)
            assert time.monotonic() - begun < 5

    def test_that_list_nothing_in_time_are_told(self, vmware: Vmware, make: Make, cluster: Cluster) -> None:
        make()
        vmware.limits = replace(vmware.limits, look=0.3)
        with vmware.fault("list", seconds=60), pytest.raises(TargetError, match=r"no answer within 0\.3 s"):
            vmware.driver().list_vms(cluster=cluster)


class TestWhichMachines:
    def test_of_the_cluster_whatever_their_names(self, vmware: Vmware, driver: Fusion, make: Make, cluster: Cluster) -> None:
        make("w-prod-9")
        assert [vm.name for vm in driver.list_vms(cluster=cluster)] == ["w-prod-9"]

    def test_without_the_note_that_somebody_deleted(self, vmware: Vmware, make: Make, look: Look) -> None:
        vm = make()
        (vmware.vm_dir / "w-prod-1.vmwarevm" / "kube-provision.json").unlink()
        assert look().stamp == vm.stamp

    def test_not_a_stranger_under_another_name(self, vmware: Vmware, driver: Fusion, cluster: Cluster) -> None:
        vmware.create_foreign("windows")
        assert driver.list_vms(cluster=cluster) == ()

    def test_not_where_there_is_no_folder(self, vmware: Vmware, cluster: Cluster) -> None:
        assert vmware.driver(vm_dir=str(vmware.root / "none")).list_vms(cluster=cluster) == ()

    def test_a_stranger_whose_configuration_cannot_be_read(self, vmware: Vmware, look: Look) -> None:
        vmware.create_foreign("w-prod-1")
        (vmware.vm_dir / "w-prod-1.vmwarevm" / "w-prod-1.vmx").write_text('.encoding = "klingon"\n')
        assert look().stamp is None


class TestSomebodyElsesFolder:
    """In `vm_dir`, and not to be entered; seen as a user who is not root."""

    @pytest.fixture
    def machines(self) -> Iterator[Machines]:
        with TemporaryDirectory(dir="/tmp") as root:
            vm_dir = Path(root) / "shared"
            vm_dir.mkdir()
            vm_dir.chmod(0o755)
            Path(root).chmod(0o755)
            os.seteuid(65534)
            yield Machines(vm_dir, fusion("x86_64"))
            os.seteuid(0)

    @staticmethod
    def put(machines: Machines, name: str, mode: int) -> None:
        user = os.geteuid()
        os.seteuid(0)
        folder = machines.folder(name)
        folder.mkdir()
        (folder / f"{name}.vmx").write_text('displayName = "theirs"\n')
        folder.chmod(mode)
        os.seteuid(user)

    @pytest.mark.parametrize("mode", [0o700, 0o744, 0o711, 0o000])
    def test_is_passed_over(self, machines: Machines, cluster: Cluster, mode: int) -> None:
        self.put(machines, "theirs", mode)
        assert machines.concerning(cluster) == []
        assert machines.network_cards() == frozenset()

    @pytest.mark.parametrize("mode", [0o700, 0o744, 0o000])
    def test_is_told_where_it_bears_a_name_that_we_need(self, machines: Machines, cluster: Cluster, mode: int) -> None:
        self.put(machines, "w-prod-1", mode)
        with pytest.raises(TargetError, match=r"w-prod-1.*: cannot be (read|looked at): Permission denied"):
            machines.concerning(cluster)
