"""The step that makes a swap file, with the real tools on real file systems, whose kernel then swaps to it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from servers.debian import install

from kube_provision_core.boot.templating import render

GIB = 1024**3
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(params=["ext4", "xfs"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A boot disk of 6 GiB, of which a few MiB are ever written."""
    install("e2fsprogs", "xfsprogs")
    image, root = tmp_path / "disk", tmp_path / "root"
    with image.open("wb") as disk:
        disk.truncate(6 * GIB)
    root.mkdir()
    subprocess.run([f"mkfs.{request.param}", "-q", image], check=True, timeout=60, env=ENVIRONMENT)
    subprocess.run(["mount", "-o", "loop", image, root], check=True, timeout=60)
    yield root
    subprocess.run(["umount", "--lazy", root], check=True, timeout=60)


ENVIRONMENT = {"PATH": f"/usr/sbin:/sbin:{os.environ['PATH']}"}


@pytest.fixture
def run(root: Path, tmp_path: Path) -> Iterator[Run]:
    """The step; in place of systemd, which is not this machine's first process, one that does what it does with the unit."""
    file, tools = root / "kube_provision_swap", tmp_path / "tools"
    tools.mkdir()
    started = (
        "#!/bin/sh -e\n[ \"$*\" != '--quiet unmask swap.target' ] || exit 0\n"
        f"[ \"$*\" = '--quiet enable --now x.swap' ]\ngrep -q {file} /proc/swaps || swapon {file}\n"
    )
    (tools / "systemctl").write_text(started)
    (tools / "systemctl").chmod(0o755)

    def run(size_gib: int = 1, without: str = "") -> subprocess.CompletedProcess[str]:
        """`without`: a program that ends before it has done anything, as where the power is cut."""
        script = render("steps/swap.sh", file=str(file), size_gib=size_gib, room_gib=4, unit="x.swap")
        cut = f"{without}() {{ exit 9; }}\n" if without else ""
        path = {"PATH": f"{tools}:{ENVIRONMENT['PATH']}"}
        command = ["bash", "-euo", "pipefail", "-c", cut + script]
        return subprocess.run(command, env=path, capture_output=True, text=True, timeout=120, check=False)

    yield run
    subprocess.run(["swapoff", file], check=False, timeout=60, capture_output=True, env=ENVIRONMENT)


def swapped_to(root: Path) -> list[str]:
    lines = Path("/proc/swaps").read_text().splitlines()[1:]
    return [line.split()[0] for line in lines if line.startswith(str(root))]


@pytest.mark.parametrize("without", ["", "fallocate", "mkswap", "mv", "systemctl"])
def test_a_kernel_swaps_to_the_file_wherever_its_making_was_cut_off(root: Path, run: Run, without: str) -> None:
    file = root / "kube_provision_swap"
    if without:
        assert run(without=without).returncode == 9
        assert not swapped_to(root)
    for _ in range(2):
        ran = run()
        assert (ran.returncode, ran.stderr) == (0, "")
        assert swapped_to(root) == [str(file)]
    assert (file.stat().st_size, oct(file.stat().st_mode)) == (GIB, "0o100600")
    assert sorted(root.glob("kube*")) == [file]


def test_a_file_that_a_template_has_is_made_anew_where_it_is_of_another_size(root: Path, run: Run) -> None:
    file = root / "kube_provision_swap"
    file.write_bytes(b"\0" * 4096)
    file.chmod(0o644)
    ran = run()
    assert (ran.returncode, ran.stderr, swapped_to(root)) == (0, "", [str(file)])
    assert (file.stat().st_size, oct(file.stat().st_mode)) == (GIB, "0o100600")


def test_the_system_keeps_room_on_its_disk(root: Path, run: Run) -> None:
    ran = run(size_gib=3)
    assert ran.returncode == 1
    assert ran.stderr.startswith("swap: 3 GiB are wanted of 5 GiB that are free on the boot disk, and the system needs 4")
    assert not list(root.glob("kube*"))


def test_no_file_is_made_where_no_kernel_could_swap_to_it() -> None:
    script = render("steps/swap.sh", file="/proc/kube_provision_swap", size_gib=1, room_gib=0, unit="x.swap")
    ran = subprocess.run(["bash", "-euo", "pipefail", "-c", script], capture_output=True, text=True, timeout=60, check=False)
    line = "swap: no file is made on proc, only on ext4 and xfs: have the template bring swap, and say swap: true\n"
    assert (ran.returncode, ran.stderr) == (1, line)
