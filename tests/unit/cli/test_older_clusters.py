"""A cluster that an older version made, whose files lie in `older`, is read as it was then.

That version had no rooms yet. It wrote the folder of secrets, and for each machine what each target keeps of it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from doubles.memory import World

from kube_provision_core import NodeStatus, Power, Role, Stage, Stamp, Vm
from kube_provision_core.folder.store import Folder
from kube_provision_fusion import note
from kube_provision_fusion import stamp as in_vmx
from kube_provision_qemu import record

OLDER = Path(__file__).with_name("older")
MACHINES = json.loads((OLDER / "machines.json").read_text())
CONFIG = ("-c", "config.yml", "-w", "1")


def of_fusion(name: str, kept: dict[str, str], folder: Path) -> Stamp | None:
    (folder / note.FILE).write_text(kept["fusion note"])
    noted = note.read(folder)
    return noted.stamp if noted and noted.complete else None


def of_qemu(name: str, kept: dict[str, str], folder: Path) -> Stamp | None:
    (folder / record.RECORD).write_text(kept["qemu"])
    made = record.read(folder)
    return made.stamp if made else None


READERS: dict[str, Callable[[str, dict[str, str], Path], Stamp | None]] = {
    "vSphere": lambda name, kept, folder: Stamp.parse(kept["vsphere"]),
    "Fusion's .vmx": lambda name, kept, folder: in_vmx.load(name, kept["fusion"]),
    "Fusion's note": of_fusion,
    "QEMU": of_qemu,
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
@pytest.mark.parametrize("name", MACHINES)
def test_every_target_knows_its_machines(name: str, read, tmp_path: Path) -> None:
    folder = tmp_path / name
    folder.mkdir()
    found = read(name, MACHINES[name], folder)
    assert found
    assert found.document.items() >= json.loads(MACHINES[name]["vsphere"]).items()


@pytest.fixture
def older(world: World) -> World:
    """The cluster as that version left it; its machines have finished their boots since."""
    shutil.copytree(OLDER / "folder", "state/kube-provision/prod")
    for path in (Path("state/kube-provision/prod"), *Path("state/kube-provision/prod").rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)  # as it was: git keeps no more of it than who may execute
    for name, kept in MACHINES.items():
        stamp = Stamp.parse(kept["vsphere"])
        world.vms[name] = Vm(name, f"memory-{name}", Power.ON, stamp, where=f"memory/{name}", scrubbed=True)
        world.statuses[name] = NodeStatus(Stage.FINISH, "done")
    return world


def test_its_folder_is_read_to_the_last_secret(older: World) -> None:
    folder = Folder.open(Path("state/kube-provision"), "prod")
    assert folder
    assert folder.cluster_id == json.loads((OLDER / "folder/cluster.json").read_text())["cluster_id"]
    secrets = json.loads((OLDER / "folder/secrets.json").read_text())
    assert (folder.join_secrets().token, folder.join_secrets().certificate_key) == (
        secrets["token"],
        secrets["certificate_key"],
    )
    assert dict(folder.pki.files) == {
        file.relative_to(OLDER / "folder/pki").as_posix(): file.read_bytes() for file in (OLDER / "folder/pki").rglob("*.*")
    }


def test_status_shows_its_machines_and_that_they_are_as_configured(run, older: World) -> None:
    status = json.loads(run("status", *CONFIG, "-o", "json").out)
    assert {node["name"] for node in status["nodes"]} == MACHINES.keys()
    assert {(node["stage"], node["power"], node["drifted"]) for node in status["nodes"]} == {("finish done", "on", False)}


def test_of_another_configuration_status_tells_that_it_is_one_and_not_what_is_different(run, older: World) -> None:
    Path("config.yml").write_text(Path("config.yml").read_text() + "\nmem: 9\n")
    status = json.loads(run("status", *CONFIG, "-o", "json").out)
    assert {node["drifted"] for node in status["nodes"]} == {True}
    assert [node["changes"] for node in status["nodes"]] == [[{"key": "", "old": None, "new": None}]] * len(MACHINES)


def test_nothing_is_to_be_changed_about_it(run, older: World) -> None:
    ran = run("plan", *CONFIG, "-o", "json")
    assert ran.code == 0, ran.err
    marks = {action["mark"] for action in json.loads(ran.out)["actions"]}
    assert marks <= {".", "="}


def test_it_is_destroyed_with_all_that_belongs_to_it(run, older: World) -> None:
    ran = run("destroy", "--yes", "-c", "config.yml")
    assert ran.code == 0, ran.err
    assert older.vms == {}
    assert not Path("state/kube-provision/prod").exists()


def test_its_machines_have_the_role_that_they_were_made_for() -> None:
    roles = {name: Stamp.parse(kept["vsphere"]).role for name, kept in MACHINES.items()}
    assert roles == {
        "table-prod": Role.DISCOVERY,
        **dict.fromkeys(("m-prod-1", "m-prod-2", "m-prod-3"), Role.MASTER),
        "w-prod-1": Role.WORKER,
    }
