"""The driver keeps every promise of the target contract."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest
from servers.vmware import Vmware, write_disk

from kube_provision_core import Baked, Machine, Node, Role, Vm
from kube_provision_core.testing import BakingContract, TargetContract
from kube_provision_fusion import disks, driver, note, vmx
from kube_provision_fusion.driver import Fusion
from kube_provision_fusion.folder_lock import locked
from kube_provision_fusion.stamp import STAMP, STATUS
from kube_provision_fusion.vmrun import Vmrun


class TestFusion(TargetContract):
    without: ClassVar[Mapping[str, str]] = {
        "test_arrange_vms_may_be_repeated": "there is one host",
    }

    @pytest.fixture
    def make_driver(self, vmware: Vmware) -> Callable[[], Fusion]:
        """Each role has a template of its own."""
        config = {role: vmware.config(template=str(_template_of(role, vmware))) for role in Role}
        return lambda: Fusion(config, vmware.host, vmware.limits)

    @pytest.fixture
    def read_role(self, vmware: Vmware) -> Callable[[Vm], Role]:
        def read(vm: Vm) -> Role:
            (clone,) = vmware.calls("clone", f"-cloneName={vm.name}")
            (role,) = [role for role in Role if any(f"/base-{role}." in argument for argument in clone["argv"])]
            return role

        return read

    @pytest.fixture
    def create_foreign(self, vmware: Vmware) -> Callable[[str], None]:
        return vmware.create_foreign

    @pytest.fixture
    def break_creation(self, vmware: Vmware) -> Callable[[str], AbstractContextManager[None]]:
        return lambda name: vmware.fault("half clone", name, message="There is not enough space on the disk")

    @pytest.fixture
    def read_boot_data(self, vmware: Vmware) -> Callable[[Vm], str]:
        return vmware.boot_data

    @pytest.fixture
    def attach_disk(self, vmware: Vmware) -> Callable[[Vm], Callable[[], bool]]:
        def attach(vm: Vm) -> Callable[[], bool]:
            vmware.vmrun().switch_off(Path(vm.id))
            disk = vmware.root / "volume.vmdk"
            write_disk(disk, 1)
            added = {"scsi0:5.present": "TRUE", "scsi0:5.fileName": str(disk)}
            vmx.write(Path(vm.id), vmx.read(Path(vm.id)).changed(added))
            return lambda: disk.exists() and disk.with_name("volume-s001.vmdk").exists()

        return attach

    @pytest.fixture
    def make_misled_driver(self, vmware: Vmware) -> Callable[[], Fusion]:
        return lambda: vmware.driver(template=str(vmware.root / "nowhere.vmx"))

    @pytest.fixture
    def power_off(self, vmware: Vmware) -> Callable[[Vm], None]:
        return lambda vm: vmware.vmrun().switch_off(Path(vm.id))

    @pytest.fixture
    def publish(self, vmware: Vmware) -> Callable[[Vm, str], None]:
        return lambda vm, text: vmware.publish(vm.name, **{STATUS: text})

    @pytest.fixture
    def tell_addresses(self, vmware: Vmware) -> Callable[[Vm, Sequence[str]], None]:
        """Tools tell one address, a node's publisher another."""
        vmware.be(address="none")

        def tell(vm: Vm, addresses: Sequence[str]) -> None:
            status = {"stage": "join", "state": "running", "address": "".join(addresses[1:])}
            vmware.publish(vm.name, local_ipv4="".join(addresses[:1]), **{STATUS: json.dumps(status)})

        return tell

    @pytest.fixture
    def read_metadata(self, vmware: Vmware) -> Callable[[Vm], str]:
        return lambda vm: vmware.metadata_of(Path(vm.id))

    @pytest.fixture
    def read_size(self) -> Callable[[Vm], Machine]:
        def read(vm: Vm) -> Machine:
            file = Path(vm.id)
            made = vmx.read(file)
            _, *further = disks.disks(made, file.parent)
            sizes = tuple(disks.capacity(disk.file) // disks.GIB for disk in further)
            return Machine(int(made.get("numvcpus")), int(made.get("memsize")) // 1024, data_volumes_gib=sizes)

        return read

    @pytest.fixture
    def find_text(self, vmware: Vmware) -> Callable[[str], Sequence[str]]:
        return vmware.places_of

    @pytest.fixture
    def receive(self, vmware: Vmware) -> Callable[[Vm], bytes]:
        return vmware.task

    @pytest.fixture
    def silence(self, vmware: Vmware) -> Callable[[], AbstractContextManager[None]]:
        @contextmanager
        def silent() -> Iterator[None]:
            away = vmware.program.rename(vmware.root / "vmrun.away")
            yield
            away.rename(vmware.program)

        return silent

    @pytest.fixture
    def hold_lock(self, vmware: Vmware, monkeypatch: pytest.MonkeyPatch) -> Callable[[Node], AbstractContextManager[None]]:
        monkeypatch.setattr(driver, "LOCK_TIMEOUT", 0.1)

        @contextmanager
        def hold(node: Node) -> Iterator[None]:
            (folder,) = vmware.vm_dir.glob(f"{node.name}*")
            with locked(folder, 1.0):
                yield

        return hold

    @pytest.fixture
    def damage(self, vmware: Vmware) -> Callable[[Vm], None]:
        def damage(vm: Vm) -> None:
            (Path(vm.id).parent / note.FILE).write_text("{")
            vmx.write(Path(vm.id), vmx.read(Path(vm.id)).changed({STAMP: "{"}))

        return damage

    @pytest.fixture
    def kill_during(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Iterator[AbstractContextManager[None]]]:
        """Before and after the clone, when its settings are written, and when all is noted."""

        @contextmanager
        def kill(owner: Any, name: str, *, late: bool, after: int = 0) -> Iterator[None]:
            call, left = getattr(owner, name), iter(range(after, -1, -1))

            def killed(*arguments: Any, **keywords: Any) -> Any:
                last = next(left) == 0
                answer = call(*arguments, **keywords) if late or not last else None
                if last:
                    raise Killed
                return answer

            with monkeypatch.context() as patch:
                patch.setattr(owner, name, killed)
                yield

        def moments(name: str) -> Iterator[AbstractContextManager[None]]:
            yield kill(Vmrun, "clone", late=False)
            yield kill(Vmrun, "clone", late=True)
            yield kill(vmx, "write", late=True)
            yield kill(note, "write", late=True, after=1)

        return moments


class Killed(BaseException):
    """What `except Exception` does not catch."""


def _template_of(role: Role, vmware: Vmware) -> Path:
    file = vmware.vm_dir / f"base-{role}.vmwarevm" / f"base-{role}.vmx"
    if not file.exists():
        shutil.copytree(vmware.template.parent, file.parent)
        (file.parent / vmware.template.name).rename(file)
    return file


class TestWorkstation(TestFusion):
    """The same on Linux: another product, other names of folders."""

    @pytest.fixture(autouse=True)
    def _on_linux(self, vmware: Vmware) -> None:
        vmware.be(product="ws")


class TestBaking(BakingContract):
    @pytest.fixture
    def template(self, vmware: Vmware) -> Path:
        return vmware.vm_dir / "kube.vmwarevm" / "kube.vmx"

    @pytest.fixture
    def make_driver(self, vmware: Vmware, template: Path) -> Callable[[], Fusion]:
        return lambda: vmware.driver(template=str(template), bake_from=str(vmware.template))

    @pytest.fixture
    def guest_bakes(self, vmware: Vmware) -> Callable[[Baked], None]:
        def bakes(baked: Baked) -> None:
            status = {"stage": "finish", "state": "done", "error": "", "baked": baked.document}
            vmware.publish("kube", **{"kube-provision.status": json.dumps(status)})

        return bakes

    @pytest.fixture
    def create_foreign(self, vmware: Vmware) -> Callable[[], None]:
        return lambda: vmware.create_foreign("kube")

    @pytest.fixture
    def read_boot_data(self, vmware: Vmware) -> Callable[[], str]:
        return lambda: "".join(vmware.boot_data_in(folder) for folder in vmware.vm_dir.glob("kube.2*"))
