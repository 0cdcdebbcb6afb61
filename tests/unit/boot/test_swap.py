"""Swap is off unless a role wants it: then what its template brings stays, and a number is a file besides."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from kube_provision_core import Boot, Node
from kube_provision_core.boot.templating import render as render_template

ZRAM = "/etc/systemd/zram-generator.conf"
UNIT = "kube_provision_swap.swap"


def about_swap(boot: Boot) -> set[str]:
    """Steps, units and settings."""
    paths = (file.path for file in boot.files if "swap" in file.path or file.path == ZRAM)
    return {path.rpartition("/")[2] for path in paths}


@pytest.mark.parametrize(
    ("swap", "expected"),
    [(False, {"kubeadm-no-swap.sh"}), (True, set()), (4, {"kubeadm-swap.sh", UNIT})],
)
@pytest.mark.parametrize(
    ("os", "compressed"),
    [("debian", set()), ("ubuntu", set()), ("centos", {"zram-generator.conf"}), ("rocky", {"zram-generator.conf"})],
)
def test_it_is_turned_off_or_left_or_added(
    render: Callable[..., Boot],
    make_node: Callable[..., Node],
    os: str,
    compressed: set[str],
    swap: bool | int,
    expected: set[str],
) -> None:
    """Where it is not wanted, releases of RHEL's family make none in compressed memory either."""
    node = replace(make_node(), swaps=bool(swap))
    assert about_swap(render(node, os=os, swap=swap)) == expected | (set() if swap else compressed)


def test_the_unit_swaps_to_the_file_once_the_step_has_made_it(
    render: Callable[..., Boot], content: Callable[[Boot, str], str]
) -> None:
    boot = render(swap=4)
    assert "What=/kube_provision_swap\n" in content(boot, UNIT)
    assert "WantedBy=swap.target\n" in content(boot, UNIT)
    assert content(boot, "kubeadm-swap.sh").endswith(f"systemctl --quiet enable --now {UNIT}\n")
    assert f"enable {UNIT}" not in boot.user_data


def test_it_is_swapped_to_at_later_boots_too_where_a_template_has_masked_that(
    render: Callable[..., Boot], content: Callable[[Boot, str], str], tmp_path: Path
) -> None:
    root, real = tmp_path / "root", shutil.which("systemctl") or pytest.fail("systemctl is missing: apt-get install systemd")
    boot, units = render(swap=4), root / "etc/systemd/system"
    units.mkdir(parents=True)
    (units / "swap.target").symlink_to("/dev/null")
    (units / UNIT).write_text(content(boot, UNIT))
    script = content(boot, "kubeadm-swap.sh")
    for line in script[script.index("systemctl --quiet unmask") :].splitlines():
        command = line.partition(" #")[0].replace("systemctl", f"{real} --root={root}").replace(" --now", "")
        subprocess.run(["bash", "-c", command], check=True, timeout=60)
    assert not (units / "swap.target").exists()
    assert (units / "swap.target.wants" / UNIT).is_symlink()


ZRAM_TOOLS = "[Service]\nType=oneshot\nExecStart=/usr/sbin/zramswap start\n[Install]\nWantedBy=multi-user.target\n"
"""The part of Debian's unit that says when it is started."""


@pytest.mark.parametrize("folder", ["", "usr/lib/systemd/system", "etc/systemd/system"])
def test_no_later_boot_brings_any_that_is_not_wanted(tmp_path: Path, folder: str) -> None:
    root, tools = tmp_path / "root", tmp_path / "tools"
    units = root / "etc/systemd/system"
    for path in (tools, units, root / "usr/lib/systemd/system"):
        path.mkdir(parents=True)
    real = shutil.which("systemctl") or pytest.fail("systemctl is missing: apt-get install systemd")
    for name, script in {"swapoff": "true", "systemctl": f'exec {real} --root={root} "$@"'}.items():
        (tools / name).write_text(f"#!/bin/sh\n{script}\n")
        (tools / name).chmod(0o755)
    if folder:
        (root / folder / "zramswap.service").write_text(ZRAM_TOOLS)
        subprocess.run([real, f"--root={root}", "--quiet", "enable", "zramswap.service"], check=True, timeout=60)
        assert list(units.glob("multi-user.target.wants/*"))
    command = ["bash", "-euo", "pipefail", "-c", render_template("steps/no-swap.sh")]
    for _ in range(2):
        env = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"}
        ran = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
        assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    assert (units / "swap.target").readlink() == Path("/dev/null")
    assert not list(units.glob("multi-user.target.wants/*"))
