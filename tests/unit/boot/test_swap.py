"""Swap is off unless a role wants it: then what its template brings stays, and a number is a file besides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from kube_provision_core import Boot, Node

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
