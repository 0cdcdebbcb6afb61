"""A VMware on disk: stand-ins for its programs, a template, a folder for machines, and the real driver on top."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import sys
from ast import literal_eval
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from gzip import decompress
from pathlib import Path
from typing import Any

from kube_provision_core import GuestInfo, Role, Vm
from kube_provision_fusion import vmx
from kube_provision_fusion.config import FusionConfig
from kube_provision_fusion.driver import Fusion
from kube_provision_fusion.host import Host, fusion, workstation
from kube_provision_fusion.vmrun import Limits, Vmrun

HERE = Path(__file__).parents[2] / "plugins" / "fusion" / "tests"
DATA = HERE / "data"
SECTORS_PER_GIB = 1024**3 // 512

QUICK = Limits(
    look=5, change=5, snapshot=5, linked_clone=5, full_clone=5, start=5, shut_down=5, shut_down_template=5, close=5
)

WORLD = {
    "product": "fusion",
    "edition": "pro",
    "address": "now",
    "clone_seconds": 0,
    "close_seconds": 0,
    "tools": True,
    "clings": False,
    "keeps_changes": False,
    "folds_case": False,
    "network": "172.16.133",
    "next_address": 130,
    "noise": {},
    "memory_mib": None,
    "last_umask": 0,
    "faults": [],
}


def read_vmx(path: Path) -> dict[str, str]:
    """Settings by lower-case name, as the stand-in reads them: with a parser that is not the driver's."""
    specification = importlib.util.spec_from_file_location("vmware_standin", HERE / "vmware_standin.py")
    assert specification
    assert specification.loader
    standin = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(standin)
    settings: dict[str, str] = standin.load_vmx(path)
    return settings


def write_disk(path: Path, gib: int) -> None:
    """A disk in two parts, as VMware describes it."""
    extents = [path.with_name(f"{path.stem}-s{number:03}.vmdk") for number in (1, 2)]
    for extent in extents:
        extent.write_bytes(b"KDMV" + bytes(60))
    lines = "".join(f'RW {gib * SECTORS_PER_GIB // 2} SPARSE "{extent.name}"\n' for extent in extents)
    head = '# Disk DescriptorFile\nversion=1\nencoding="UTF-8"\nCID=1a2b3c4d\nparentCID=ffffffff\n'
    path.write_text(f'{head}createType="twoGbMaxExtentSparse"\n\n# Extent description\n{lines}\n#DDB\n')


@dataclass
class Vmware:
    """One computer with VMware on it."""

    root: Path
    limits: Limits = QUICK
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def state(self) -> Path:
        return self.root / "bin" / "state"

    @property
    def program(self) -> Path:
        return self.root / "bin" / "vmrun"

    @property
    def vm_dir(self) -> Path:
        return self.root / "Virtual Machines.localized"

    @property
    def template(self) -> Path:
        return self.vm_dir / "ubuntu_base.vmwarevm" / "ubuntu_base.vmx"

    @property
    def host(self) -> Host:
        made = workstation("x86_64") if self._world()["product"] == "ws" else fusion("x86_64")
        return replace(made, leases=(str(self.root / "*.leases"),), programs=(self.root / "nowhere" / "vmrun",))

    def install(self) -> None:
        (self.state / "running").mkdir(parents=True)
        (self.state / "cloning").mkdir()
        _write(self.state / "world", {**WORLD, "leases": str(self.root / "vmnet8.leases")})
        code = f"import sys\nsys.path.insert(0, {str(HERE)!r})\nimport vmware_standin as it\nit.leave(it.main())\n"
        for name in ("vmrun", "vmware-vdiskmanager"):
            (self.root / "bin" / name).write_text(f"#!{sys.executable} -IS\n{code}")
            (self.root / "bin" / name).chmod(0o755)
        self.add_template("ubuntu_base.vmx")

    def add_template(self, data: str) -> Path:
        """A machine of the tests' data in `vm_dir`, with its disks of 20 GiB."""
        file = self.vm_dir / f"{Path(data).stem}.vmwarevm" / data
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(DATA / data, file)
        write_disk(file.parent / "Virtual Disk.vmdk", 20)
        return file

    # --- the driver ------------------------------------------------------------------------------------------------

    def config(self, **keys: Any) -> FusionConfig:
        return FusionConfig.model_validate(
            {"template": str(self.template), "vm_dir": str(self.vm_dir), "vmrun": str(self.program), **self.settings, **keys}
        )

    def driver(self, **keys: Any) -> Fusion:
        return Fusion(dict.fromkeys(Role, self.config(**keys)), self.host, self.limits)

    def vmrun(self) -> Vmrun:
        return Vmrun(self.program, self.host, self.limits)

    # --- the world -------------------------------------------------------------------------------------------------

    def _world(self) -> dict[str, Any]:
        return _read(self.state / "world")

    def be(self, **changes: Any) -> None:
        """What kind of VMware this is from now on."""
        _write(self.state / "world", {**self._world(), **changes})

    @contextmanager
    def fault(
        self, verb: str, contains: str = "", *, message: str = "", seconds: float = 0, times: int = 1000
    ) -> Iterator[None]:
        """Calls of `verb` whose arguments contain that text take long, or are refused."""
        fault = {"verb": verb, "contains": contains, "message": message, "seconds": seconds, "times": times}
        self.be(faults=[fault])
        yield
        self.be(faults=[])

    def calls(self, verb: str = "", contains: str = "") -> list[dict[str, Any]]:
        """What was run so far."""
        log = self.state / "calls"
        calls = [literal_eval(line) for line in log.read_text().splitlines()] if log.exists() else []
        return [call for call in calls if verb in ("", call["verb"]) and contains in " ".join(call["argv"])]

    def forget_calls(self) -> None:
        (self.state / "calls").unlink(missing_ok=True)

    # --- machines --------------------------------------------------------------------------------------------------

    def machine(self, name: str) -> vmx.Vmx:
        return vmx.read(self.vm_dir / f"{name}.vmwarevm" / f"{name}.vmx")

    def set_vmx(self, name: str, changes: dict[str, str]) -> None:
        """As somebody does who edits the machine's .vmx."""
        file = self.vm_dir / f"{name}.vmwarevm" / f"{name}.vmx"
        vmx.write(file, vmx.read(file).changed(changes))

    def running(self) -> dict[str, dict[str, Any]]:
        """What the stand-in holds of running machines, by name."""
        records = [_read(file) for file in (self.state / "running").glob("*.machine")]
        return {Path(record["path"]).stem: record for record in records}

    def publish(self, name: str, **variables: str) -> None:
        """As the guest does."""
        for file in (self.state / "running").glob("*.machine"):
            record = _read(file)
            if Path(record["path"]).stem == name:
                record["guest"] |= {key.replace("_", "-"): value for key, value in variables.items()}
                _write(file, record)

    def end(self) -> None:
        """End what stands in for running machines."""
        for record in self.running().values():
            if record["pid"]:
                os.kill(record["pid"], signal.SIGKILL)

    def pull_the_plug(self) -> None:
        """The computer crashes: nothing runs, locks stay."""
        for file in (self.state / "running").glob("*.machine"):
            file.unlink()

    def create_foreign(self, name: str) -> None:
        file = self.vm_dir / f"{name}.vmwarevm" / f"{name}.vmx"
        file.parent.mkdir()
        file.write_text('.encoding = "UTF-8"\ndisplayName = "somebody\'s"\n')

    def boot_data_of(self, file: Path) -> str:
        """What this .vmx holds."""
        return _decoded(vmx.read(file).get("guestinfo.userdata"))

    def boot_data_in(self, folder: Path) -> str:
        """What lies in a machine's folder: in its .vmx and in its logs; empty where there is none."""
        held = [vmx.read(file).get("guestinfo.userdata") for file in folder.glob("*.vmx")]
        held += [value for log in folder.glob("*.log") for value in _logged(log.read_text())]
        return "\n".join(map(_decoded, filter(None, held)))

    def metadata_of(self, file: Path) -> str:
        """What tells the machine of this .vmx its name and its instance."""
        return _decoded(vmx.read(file).get("guestinfo.metadata"))

    def places_of(self, text: str) -> list[str]:
        """Folders of machines, and running machines, that hold a text: plainly, or in what guests may ask for."""
        folders = [folder for folder in self.vm_dir.iterdir() if folder.is_dir()]
        plain = [str(path) for path in self.vm_dir.rglob("*") if path.is_file() and text in path.read_text(errors="replace")]
        held = [str(folder) for folder in folders if text in self.boot_data_in(folder)]
        values = {name: record["config"].get("guestinfo.userdata") for name, record in self.running().items()}
        tasks = [place for place, task in self._tasks() if text.encode() in task]
        return [*plain, *held, *tasks, *(name for name, value in values.items() if value and text in _decoded(value))]

    def task(self, vm: Vm) -> bytes:
        """What its receiver finds: in the running machine, else in the file that it starts with."""
        running = self.running().get(vm.name)
        held = running["guest"].get("kube-provision.task") if running else vmx.read(Path(vm.id)).get(GuestInfo.TASK)
        return b64decode(held or "")

    def _tasks(self) -> Iterator[tuple[str, bytes]]:
        """Every place that a task may lie in, and what lies there."""
        for file in self.vm_dir.glob("*/*.vmx"):
            yield str(file), b64decode(vmx.read(file).get(GuestInfo.TASK))
        for file in self.vm_dir.glob("*/*.log"):
            for line in file.read_text(errors="replace").splitlines():
                if f" {GuestInfo.TASK} = " in line:
                    yield str(file), GuestInfo.waiting(line.rpartition(f"{GuestInfo.TASK} = ")[2].strip('"'))
        for name, record in self.running().items():
            yield name, b64decode(record["config"].get(GuestInfo.TASK, ""))
            yield name, b64decode(record["guest"].get("kube-provision.task", ""))

    def boot_data(self, vm: Vm) -> str:
        """All of it that VMware holds: in the file, in the running machine, in its logs."""
        machines = [record for name, record in self.running().items() if name == vm.name]
        running = [record["config"]["guestinfo.userdata"] for record in machines]
        seen = [record["guest"]["userdata"] for record in machines]
        return "\n".join([self.boot_data_in(Path(vm.id).parent), *map(_decoded, [*running, *seen])])


def _read(file: Path) -> dict[str, Any]:
    """The stand-in keeps its state as Python's literals: it can read those without importing anything."""
    value: dict[str, Any] = literal_eval(file.read_text())
    return value


def _write(file: Path, value: dict[str, Any]) -> None:
    file.write_text(ascii(value))


def _decoded(value: str) -> str:
    return decompress(b64decode(value)).decode()


def _logged(text: str) -> list[str]:
    lines = [line for line in text.splitlines() if " guestinfo.userdata = " in line]
    values = [line.rpartition("= ")[2].strip('"') for line in lines]
    return [value for value in values if value.strip("-")]
