"""Further disks from the configuration to the target, and what is said once another list stands there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from doubles.memory import MemoryTarget, World

from kube_provision_core import Boot, Machine, Node, NodeStatus, Stage, Vm, hookimpl

KEYS = """
masters: 1
workers:
  count: 1
  data_volumes:
  - {size: 20, mount: /var/lib/containerd}
  - {size: 50, mount: /srv, format: xfs}
seed_manifests: []
"""


@pytest.fixture
def disks(world: World) -> World:
    path = Path("config.yml")
    path.write_text(path.read_text() + KEYS)
    return world


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> dict[str, Machine]:
    """Of what the target has made, by name."""
    found: dict[str, Machine] = {}
    create = MemoryTarget._create

    def noting(self: MemoryTarget, node: Node, boot: Boot) -> Vm:
        found[node.name] = node.machine
        return create(self, node, boot)

    monkeypatch.setattr(MemoryTarget, "_create", noting)
    return found


def test_a_target_is_told_the_sizes_in_their_order(run, disks: World, sizes: dict[str, Machine]) -> None:
    assert run("provision", "-c", "config.yml", "--no-wait").code == 0
    assert {name: it.data_volumes_gib for name, it in sizes.items()} == {
        "table-prod": (),
        "m-prod-1": (),
        "w-prod-1": (20, 50),
    }
    assert "kube-data-2" in disks.boot_data["w-prod-1"]
    assert "kube-data" not in disks.boot_data["m-prod-1"]


def test_a_machine_with_another_list_has_drifted_and_what_was_said_before_is_told(run, disks: World) -> None:
    run("provision", "-c", "config.yml", "--no-wait")
    disks.statuses |= dict.fromkeys(disks.vms, NodeStatus(Stage.FINISH, "done"))
    path = Path("config.yml")
    path.write_text(path.read_text().replace("size: 50", "size: 60"))
    first = '{"size": 20, "mount": "/var/lib/containerd"}'
    change = f'[{first}, {{"size": 50, "mount": "/srv", "format": "xfs"}}] → [{first}, {{"size": 60, "mount": "/srv"'
    shown = run("status", "-c", "config.yml").out
    assert f"w-prod-1: drifted: data_volumes: {change}" in shown


def test_a_target_that_makes_one_at_most_is_asked_for_no_more(run, disks: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one of before does, which knows of one."""

    def preflight(self: MemoryTarget, machines: Sequence[tuple[Node, Boot]]) -> Sequence[str]:
        return [f"{node.name}: too large" for node, _ in machines if (node.machine.data_volume_gib or 0) > 1000]

    monkeypatch.setattr(MemoryTarget, "preflight", hookimpl(preflight))
    ran = run("provision", "-c", "config.yml", "--no-wait")
    assert (ran.code, disks.vms) == (2, {})
    assert "data_volumes: machines of this target have one further disk at most, and 2 are asked for: give one" in ran.err
