"""Disks are formatted only if blank, found by what they are, and mounted at every boot."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from kube_provision_core import Boot, Node
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
    assert "device=/dev/sdc" in script
    assert "mkfs.xfs" in script
    assert "systemctl start 'var-lib-my\\x2dapp.mount'" in script
    assert content(rendered, "30-discover/script-volume-owners.sh").endswith("chown app /var/lib/my-app\n")
    assert "Type=xfs" in content(rendered, "var-lib-my\\x2dapp.mount")


@pytest.fixture
def format_disk(tmp_path: Path, tool: Tool) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the formatting step on an image of a disk; the real tools take one for a disk."""

    def format_disk(image: Path, kind: str = "ext4", label: str = "") -> subprocess.CompletedProcess[str]:
        script = render_template("steps/format.sh", kind=kind, label=label)
        environment = {"PATH": f"/usr/sbin:/sbin:{os.environ['PATH']}"}
        return tool("bash", "-euo", "pipefail", "-c", f"device={image}\n{script}", env=environment)

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


# --- the second disk -------------------------------------------------------------------------------------------------

LSBLK = """#!/bin/sh
case "$*" in
  *--inverse*) {root} || printf '/dev/sda1 part\\n/dev/sda disk\\n' ;;
  *--bytes*) printf '%s\\n' {disks} ;;
  *) echo 'what is there' ;;
esac
"""


BLKID = """#!/bin/sh
if [ "$1" = --label ]; then echo "{label}"; else {probed}; fi
"""


@pytest.fixture
def find_disk(
    tmp_path: Path, render: Render, content: Content, make_node: Callable[..., Node]
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the step on a machine with these disks, each `path bytes`; what it does is said by stand-ins."""

    def find_disk(
        *disks: str, label: str = "", volumes: tuple[str, ...] = (), root_is_known: bool = True
    ) -> subprocess.CompletedProcess[str]:
        lines = " ".join(f"'{disk} disk 0'" for disk in disks)
        stand_ins = {
            "lsblk": LSBLK.format(disks=lines, root="false" if root_is_known else "true"),
            "findmnt": "#!/bin/sh\necho /dev/sda1\n",
            "blkid": BLKID.format(label=label, probed="echo ext4" if label else "exit 2"),
            **dict.fromkeys(("mkfs.ext4", "udevadm", "systemctl"), '#!/bin/sh\necho "${0##*/} $*"\n'),
        }
        for name, text in stand_ins.items():
            (tmp_path / name).write_text(text)
            (tmp_path / name).chmod(0o755)
        wanted = [{"dev": dev, "mount": f"/v{number}"} for number, dev in enumerate(volumes)]
        script = content(render(make_node(data_volume=10), volumes=wanted), "script-data-volume.sh")
        environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
        return subprocess.run(
            ["bash", "-c", script], capture_output=True, text=True, check=False, env=environment, timeout=20
        )

    return find_disk


GIB = 1024**3


@pytest.mark.parametrize(
    ("disks", "volumes", "chosen"),
    [
        ([f"/dev/sda {50 * GIB}", f"/dev/sdb {10 * GIB}"], (), "/dev/sdb"),
        ([f"/dev/sda {50 * GIB}", f"/dev/sdb {11 * GIB}"], (), "/dev/sdb"),
        ([f"/dev/sda {10 * GIB}", f"/dev/sdb {10 * GIB}", f"/dev/sdc {10 * GIB}"], ("/dev/sdb",), "/dev/sdc"),
        ([f"/dev/sda {10 * GIB}", f"/dev/sdb {20 * GIB}", f"/dev/sdc {10 * GIB}"], (), "/dev/sdc"),
        ([f"/dev/sda {50 * GIB}", "/dev/zram0 1024", "/dev/fd0 4096", f"/dev/sdb {10 * GIB}"], (), "/dev/sdb"),
    ],
    ids=["the only other one", "whatever its size", "not a volume", "of several that of its size", "no memory, no floppy"],
)
def test_the_second_disk_is_found(
    find_disk: Callable[..., subprocess.CompletedProcess[str]], disks: list[str], volumes: tuple[str, ...], chosen: str
) -> None:
    ran = find_disk(*disks, volumes=volumes)
    assert ran.returncode == 0, ran.stderr
    assert f"mkfs.ext4 -q -L kube-data {chosen}\n" in ran.stdout
    assert ran.stdout.endswith("systemctl start data.mount\n")


@pytest.mark.parametrize("disks", [[f"/dev/sda {10 * GIB}"], [f"/dev/sd{letter} {10 * GIB}" for letter in "abc"]])
def test_a_second_disk_that_cannot_be_told_is_never_guessed(
    find_disk: Callable[..., subprocess.CompletedProcess[str]], disks: list[str]
) -> None:
    ran = find_disk(*disks)
    assert ran.returncode == 1
    assert "mkfs" not in ran.stdout
    assert ran.stderr.splitlines()[-1].startswith("data_volume: no single second disk of 10 GiB")


def test_no_disk_is_taken_where_the_boot_disk_cannot_be_told(
    find_disk: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    ran = find_disk(f"/dev/sda {50 * GIB}", f"/dev/sdb {10 * GIB}", root_is_known=False)
    assert (ran.returncode, "mkfs" in ran.stdout) == (1, False)
    assert "which disk carries the root file system" in ran.stderr


def test_a_second_disk_that_is_formatted_is_found_by_its_label(
    find_disk: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    ran = find_disk(label="/dev/sdz")
    assert "mkfs" not in ran.stdout
    assert ran.stdout.endswith("systemctl start data.mount\n")
