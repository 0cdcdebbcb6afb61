"""Disks are formatted only if blank, found by what they are, and mounted at every boot."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kube_provision_core import Boot
from kube_provision_core.boot.templating import render as render_template

Render = Callable[..., Boot]
Content = Callable[[Boot, str], str]
Tool = Callable[..., subprocess.CompletedProcess[str]]

MIB = 1024**2


def test_a_mount_of_a_server_waits_for_the_network_and_for_packages(render: Render, content: Content) -> None:
    rendered = render(mounts={"/mnt/nfs": "files.example:/export", "/mnt/usb": "/dev/disk/by-label/usb"})
    remote, local = content(rendered, "mnt-nfs.mount"), content(rendered, "mnt-usb.mount")
    assert "Options=_netdev" in remote
    assert "WantedBy=remote-fs.target" in remote
    assert "network" not in local
    assert "systemctl start mnt-usb.mount" in content(rendered, "10-prepare/script-mounts.sh")
    assert "systemctl start mnt-nfs.mount" in content(rendered, "30-discover/script-remote-mounts.sh")


def test_a_volume_is_formatted_mounted_and_given_to_its_owner(render: Render, content: Content) -> None:
    rendered = render(volumes=[{"dev": "/dev/sdc", "mount": "/var/lib/my-app", "format": "xfs", "owner": "app"}])
    script = content(rendered, "10-prepare/script-volume-1.sh")
    assert "device=/dev/sdc kind=xfs\n" in script
    assert "systemctl start 'var-lib-my\\x2dapp.mount'" in script
    assert content(rendered, "30-discover/script-volume-owners.sh").endswith("chown app /var/lib/my-app\n")
    assert "Type=xfs" in content(rendered, "var-lib-my\\x2dapp.mount")


@pytest.fixture
def format_disk(tmp_path: Path, tool: Tool) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the formatting step on an image of a disk; the real tools take one for a disk."""

    def format_disk(image: Path, kind: str = "ext4") -> subprocess.CompletedProcess[str]:
        script = f"device={image} kind={kind}\n{render_template('steps/format.sh')}"
        return tool("bash", "-euo", "pipefail", "-c", script, env={"PATH": f"/usr/sbin:/sbin:{os.environ['PATH']}"})

    return format_disk


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "disk"
    with path.open("wb") as disk:
        disk.truncate(8 * MIB)
    return path


def test_a_blank_disk_is_formatted_once(image: Path, format_disk: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    assert format_disk(image).returncode == 0
    formatted = image.read_bytes()
    assert formatted[0x438:0x43A] == b"\x53\xef"  # where ext4 says that it is there
    assert format_disk(image).returncode == 0
    assert image.read_bytes() == formatted


def test_another_file_system_is_left_as_it_is(
    image: Path, format_disk: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    assert format_disk(image, "ext4").returncode == 0
    before = image.read_bytes()
    ran = format_disk(image, "xfs")
    assert (ran.returncode, image.read_bytes()) == (1, before)
    assert "is not blank and holds ext4 instead of xfs: it is left as it is" in ran.stderr


def test_partitions_are_left_as_they_are(image: Path, format_disk: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    entry = b"\0" * 4 + b"\x83" + b"\0" * 3 + (2048).to_bytes(4, "little") + (4096).to_bytes(4, "little")
    with image.open("r+b") as disk:
        disk.seek(446)
        disk.write(entry)
        disk.seek(510)
        disk.write(b"\x55\xaa")
    before = image.read_bytes()
    ran = format_disk(image)
    assert (ran.returncode, image.read_bytes()) == (1, before)
    assert "is not blank and holds something instead of ext4" in ran.stderr


# --- further disks -------------------------------------------------------------------------------------------------

GIB = 1024**3

STAND_INS = {
    "lsblk": """case "$*" in
  *--inverse*) {root} || echo "{folder}/sda disk" ;;
  *--bytes*)
    {listed}
    for disk in {folder}/sd?; do echo "$disk $(stat --format %s $disk) disk 0"; done ;;
  *) echo 'what is there' ;;
esac
""",
    "blkid": """case $1 in
  --label | --uuid)
    tag=${1#--} found=2
    for disk in {folder}/sd?; do
      if [ "$(/usr/sbin/blkid --probe --output value --match-tag ${tag^^} $disk)" = "$2" ]; then echo $disk; found=0; fi
    done
    exit $found ;;
esac
exec /usr/sbin/blkid "$@"
""",
    "mkfs.ext4": 'echo "${0##*/} $*"\n{cut_off}\nexec /usr/sbin/mkfs.ext4 "$@"\n',
    "mkfs.xfs": 'echo "${0##*/} $*"\n{cut_off}\nexec /usr/sbin/mkfs.xfs "$@"\n',
    "e2label": '{cut_off_unlabelled}\nexec /usr/sbin/e2label "$@"\n',
    "xfs_admin": '{cut_off_unlabelled}\nexec /usr/sbin/xfs_admin "$@"\n',
    "findmnt": "echo /dev/sda1\n",
    "systemctl": 'echo "${0##*/} $*"\n',
    "udevadm": "",
}
"""What knows a machine's disks says that these images are some; what looks into them and formats them is real."""


class Disks:
    """A machine's, `sda` with its system: files without content, but for what is written there."""

    def __init__(self, folder: Path, script: Callable[..., str]) -> None:
        self.folder = folder
        self._script = script

    def plug(self, *sizes: float) -> None:
        """More disks of so many GiB."""
        for size in sizes:
            letter = "abcdefgh"[len(list(self.folder.glob("sd?")))]
            with (self.folder / f"sd{letter}").open("wb") as disk:
                disk.truncate(int(size * GIB))

    def mkfs(self, name: str, kind: str = "ext4", label: str = "") -> None:
        subprocess.run([f"/usr/sbin/mkfs.{kind}", "-q", "-L", label, self.folder / name], check=True, timeout=60)

    def boot(
        self, *, root_is_known: bool = True, listed: str = "", cut_off: str = "", unlabelled: str = "", **keys: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run the step with these keys of the configuration. `cut_off`: a disk before whose format the power goes;
        `unlabelled`: one after whose."""
        said = {
            "{folder}": str(self.folder),
            "{root}": "false" if root_is_known else "true",
            "{listed}": listed,
            "{cut_off}": f"case $* in *{cut_off}) kill -9 $PPID; exit 1;; esac" if cut_off else "",
            "{cut_off_unlabelled}": f"case $* in *{unlabelled}*) kill -9 $PPID; exit 1;; esac" if unlabelled else "",
        }
        programs = self.folder / "bin"
        programs.mkdir(exist_ok=True)
        for name, text in STAND_INS.items():
            for place, value in said.items():
                text = text.replace(place, value)
            (programs / name).write_text(f"#!/bin/bash\n{text}")
            (programs / name).chmod(0o755)
        environment = {"PATH": f"{programs}:/usr/sbin:{os.environ['PATH']}"}
        script = self._script(**keys).replace('"/etc/systemd/system', f'"{self.folder}/units')
        return subprocess.run(
            ["bash", "-c", script], capture_output=True, text=True, check=False, env=environment, timeout=60
        )

    def labels(self) -> dict[str, str]:
        """`ext4 kube-data` by the name of a disk that holds a file system."""
        found = {disk.name: self._probe(disk, "TYPE", "LABEL") for disk in sorted(self.folder.glob("sd?"))}
        return {name: text for name, text in found.items() if text}

    def uuid(self, name: str) -> str:
        return self._probe(self.folder / name, "UUID")

    @staticmethod
    def _probe(disk: Path, *tags: str) -> str:
        command = ("/usr/sbin/blkid", "--probe", "--output", "value", "--match-tag")
        said = [subprocess.run([*command, it, disk], capture_output=True, text=True, timeout=20).stdout for it in tags]
        return " ".join(filter(None, (line.strip() for line in said)))


@pytest.fixture
def disks(tmp_path: Path, render: Render, content: Content) -> Disks:
    """A boot disk of 50 GiB, and none besides."""

    for program, package in (("mkfs.ext4", "e2fsprogs"), ("mkfs.xfs", "xfsprogs")):
        if not Path("/usr/sbin", program).exists():
            pytest.fail(f"{program} is missing: apt-get install {package}")

    def script(**keys: Any) -> str:
        return content(render(**keys), "script-data-volume.sh")

    folder = tmp_path / "machine"
    folder.mkdir()
    disks = Disks(folder, script)
    disks.plug(50)
    return disks


@pytest.mark.parametrize(
    ("sizes", "volumes", "chosen"),
    [
        ((10,), (), "sdb"),
        ((11,), (), "sdb"),
        ((10, 10), ("sdb",), "sdc"),
        ((20, 10), (), "sdc"),
    ],
    ids=["the only other one", "whatever its size", "not a volume", "of several that of its size"],
)
def test_the_second_disk_is_found(disks: Disks, sizes: tuple[float, ...], volumes: tuple[str, ...], chosen: str) -> None:
    disks.plug(*sizes)
    taken = [{"dev": str(disks.folder / name), "mount": f"/{name}"} for name in volumes]
    ran = disks.boot(data_volume=10, volumes=taken)
    assert ran.returncode == 0, ran.stderr
    assert disks.labels() == {chosen: "ext4 kube-data"}
    assert ran.stdout.endswith("systemctl start data.mount\n")


def test_memory_and_floppies_are_no_disks(disks: Disks) -> None:
    disks.plug(11)
    ran = disks.boot(data_volume=10, listed="echo /dev/zram0 1024 disk 0; echo /dev/fd0 4096 disk 0; echo /dev/sr0 9 rom 0")
    assert (ran.returncode, disks.labels()) == (0, {"sdb": "ext4 kube-data"}), ran.stderr


@pytest.mark.parametrize("sizes", [(), (10, 10)])
def test_a_second_disk_that_cannot_be_told_is_never_guessed(disks: Disks, sizes: tuple[float, ...]) -> None:
    disks.plug(*sizes)
    ran = disks.boot(data_volume=10)
    assert (ran.returncode, disks.labels()) == (1, {})
    told = f"data_volumes: of 10 GiB, blank disks wanted: 1, free: {len(sizes)}, among: what is there\n"
    assert ran.stderr == told


def test_no_disk_is_taken_where_the_boot_disk_cannot_be_told(disks: Disks) -> None:
    disks.plug(10)
    ran = disks.boot(root_is_known=False, data_volume=10)
    assert (ran.returncode, disks.labels()) == (1, {})
    assert "which disk carries the root file system" in ran.stderr


def test_a_second_disk_that_is_formatted_is_found_by_its_label(disks: Disks) -> None:
    disks.plug(20, 10)
    disks.mkfs("sdb", label="kube-data")
    ran = disks.boot(data_volume=10)
    assert "mkfs" not in ran.stdout
    assert ran.stdout.endswith("systemctl start data.mount\n")


@pytest.mark.parametrize(("kind", "label"), [("xfs", "mine"), ("ext4", "mine"), ("ext4", "")])
def test_a_second_disk_that_is_not_blank_is_left_as_it_is(disks: Disks, kind: str, label: str) -> None:
    disks.plug(10)
    disks.mkfs("sdb", kind, label)
    ran = disks.boot(data_volume=10)
    assert (ran.returncode, disks.labels()) == (1, {"sdb": f"{kind} {label}".strip()})
    assert ran.stderr.startswith("data_volumes: of 10 GiB, blank disks wanted: 1, free: 0, among: ")
    assert not list(disks.folder.glob("units/*"))


def test_a_labelled_disk_of_another_kind_is_left_as_it_is(disks: Disks) -> None:
    disks.plug(10)
    disks.mkfs("sdb", "xfs", label="kube-data")
    ran = disks.boot(data_volume=10)
    assert (ran.returncode, disks.labels()) == (1, {"sdb": "xfs kube-data"})
    assert ran.stderr.endswith("sdb is labelled kube-data and holds xfs instead of ext4: it is left as it is\n")


SEVERAL = [
    {"size": 10, "mount": "/var/lib/etcd"},
    {"size": 20, "mount": "/srv", "format": "xfs"},
    {"size": 10, "mount": "/var/lib/my-app"},
]
DONE = {"ext4 kube-data", "xfs kube-data-2", "ext4 kube-data-3"}


@pytest.mark.parametrize("sizes", [(10, 20, 10), (20, 10, 10), (10, 10, 20), (10, 30, 20, 10)], ids=str)
def test_each_of_several_disks_is_found_by_its_size(disks: Disks, sizes: tuple[float, ...]) -> None:
    disks.plug(*sizes)
    ran = disks.boot(data_volumes=SEVERAL)
    assert ran.returncode == 0, ran.stderr
    found = disks.labels()
    assert set(found.values()) == DONE
    assert {name: (disks.folder / name).stat().st_size // GIB for name, it in found.items() if it.startswith("xfs")} == {
        f"sd{'bcde'[sizes.index(20)]}": 20
    }
    assert ran.stdout.endswith("systemctl start var-lib-etcd.mount srv.mount 'var-lib-my\\x2dapp.mount'\n".replace("'", ""))


def test_from_the_next_boot_on_each_is_mounted_by_what_no_other_disk_has(disks: Disks) -> None:
    disks.plug(20, 10, 10)
    assert disks.boot(data_volumes=SEVERAL).returncode == 0
    mounted = {path.parent.name.removesuffix(".mount.d"): path.read_text() for path in disks.folder.glob("units/*/*.conf")}
    by_label = {label.split()[1]: disks.uuid(name) for name, label in disks.labels().items()}
    assert mounted == {
        unit: f"[Mount]\nWhat=/dev/disk/by-uuid/{by_label[label]}\n"
        for unit, label in (("var-lib-etcd", "kube-data"), ("srv", "kube-data-2"), ("var-lib-my\\x2dapp", "kube-data-3"))
    }


def test_several_disks_are_formatted_once(disks: Disks) -> None:
    disks.plug(10, 20, 10)
    disks.boot(data_volumes=SEVERAL)
    before = disks.labels()
    ran = disks.boot(data_volumes=SEVERAL)
    assert (ran.returncode, disks.labels(), "mkfs" in ran.stdout) == (0, before, False), ran.stderr


@pytest.mark.parametrize("cut_off", ["sdb", "sdc", "sdd"])
def test_a_boot_that_is_cut_off_between_formats_goes_on(disks: Disks, cut_off: str) -> None:
    disks.plug(10, 20, 10)
    assert disks.boot(cut_off=cut_off, data_volumes=SEVERAL).returncode != 0
    before = disks.labels()
    assert cut_off not in before
    ran = disks.boot(data_volumes=SEVERAL)
    assert (ran.returncode, set(disks.labels().values())) == (0, DONE), ran.stderr
    assert before.items() <= disks.labels().items()


@pytest.mark.parametrize("unlabelled", ["sdb", "sdc", "sdd"])
def test_a_format_that_is_cut_off_is_made_anew(disks: Disks, unlabelled: str) -> None:
    """What it has left is no file system yet, whatever it looks like."""
    disks.plug(10, 20, 10)
    assert disks.boot(unlabelled=unlabelled, data_volumes=SEVERAL).returncode != 0
    half_made = disks.labels()[unlabelled], disks.uuid(unlabelled)
    assert half_made[0] in ("ext4", "xfs")
    ran = disks.boot(data_volumes=SEVERAL)
    assert (ran.returncode, set(disks.labels().values())) == (0, DONE), ran.stderr
    assert disks.uuid(unlabelled) != half_made[1]


def test_what_somebody_has_labelled_otherwise_is_no_format_that_was_cut_off(disks: Disks) -> None:
    disks.plug(10, 20, 10)
    assert disks.boot(unlabelled="sdb", data_volumes=SEVERAL).returncode != 0
    subprocess.run(["/usr/sbin/e2label", disks.folder / "sdb", "mine"], check=True, timeout=20)
    ran = disks.boot(data_volumes=SEVERAL)
    assert (ran.returncode, disks.labels()["sdb"]) == (1, "ext4 mine")


@pytest.mark.parametrize("own", [10, 20])
def test_a_blank_disk_of_the_templates_own_is_never_formatted(disks: Disks, own: int) -> None:
    """Nothing says which of them it is; and nothing is formatted before that is known of all."""
    disks.plug(10, 20, 10, own)
    ran = disks.boot(data_volumes=SEVERAL)
    wanted = {10: 2, 20: 1}[own]
    assert (ran.returncode, disks.labels()) == (1, {})
    assert ran.stderr.startswith(f"data_volumes: of {own} GiB, blank disks wanted: {wanted}, free: {wanted + 1}, among: ")


@pytest.mark.parametrize(("kind", "name", "size"), [("ext4", "sdb", 10), ("xfs", "sdc", 20)])
def test_disks_that_hold_something_are_none_of_several(disks: Disks, kind: str, name: str, size: int) -> None:
    disks.plug(10, 20, 10, size)
    disks.mkfs(name, kind, "mine")
    ran = disks.boot(data_volumes=SEVERAL)
    found = disks.labels()
    assert found.pop(name) == f"{kind} mine"
    assert (ran.returncode, set(found.values())) == (0, DONE), ran.stderr


def test_a_disk_that_is_missing_keeps_the_others_blank(disks: Disks) -> None:
    disks.plug(10, 20)
    ran = disks.boot(data_volumes=SEVERAL)
    assert (ran.returncode, disks.labels()) == (1, {})
    assert "of 10 GiB, blank disks wanted: 2, free: 1" in ran.stderr


def test_a_disk_beside_one_that_is_formatted_is_told_by_its_size(disks: Disks) -> None:
    """Where one is left of several, it is not any disk: it might be the template's."""
    disks.plug(10, 30)
    disks.mkfs("sdb", label="kube-data")
    ran = disks.boot(data_volumes=[{"size": 10, "mount": "/a"}, {"size": 20, "mount": "/b"}])
    assert (ran.returncode, disks.labels()) == (1, {"sdb": "ext4 kube-data"})


def test_a_volume_is_none_of_several(disks: Disks) -> None:
    disks.plug(10, 20, 10, 10)
    taken = [{"dev": str(disks.folder / "sdb"), "mount": "/v"}]
    ran = disks.boot(data_volumes=SEVERAL, volumes=taken)
    assert (ran.returncode, "sdb" in disks.labels()) == (0, False), ran.stderr


def test_each_of_several_disks_is_mounted_by_its_label(render: Render, content: Content) -> None:
    rendered = render(data_volumes=SEVERAL)
    mounts = [content(rendered, name) for name in ("var-lib-etcd.mount", "srv.mount", "var-lib-my\\x2dapp.mount")]
    for unit, label, kind in zip(mounts, ("kube-data", "kube-data-2", "kube-data-3"), ("ext4", "xfs", "ext4"), strict=True):
        assert f"What=/dev/disk/by-label/{label}\n" in unit
        assert f"Type={kind}\n" in unit


def test_as_many_disks_as_can_be_configured_have_labels_that_fit(render: Render, content: Content) -> None:
    """xfs takes 12 characters."""
    rendered = render(data_volumes=[{"size": 1, "mount": f"/d{number}"} for number in range(1, 100)])
    units = (content(rendered, f"d{number}.mount") for number in range(1, 100))
    found = {label for unit in units for label in re.findall("by-label/(.+)", unit)}
    assert len(found) == 99
    assert max(map(len, found)) <= 12
