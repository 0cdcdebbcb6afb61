"""The main job whole: from one command line through the vSphere API to five ready nodes, grown, and gone."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from machines import leaks
from machines.lab import until
from machines.vcenter import VCenterLab

from kube_provision_core import GuestInfo

NODES = {"m-prod-1", "m-prod-2", "m-prod-3", "w-prod-1", "w-prod-2"}

READY_LIMIT = 120.0
"""Seconds that a network plugin may take once the run has ended."""


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[VCenterLab]:
    with VCenterLab(tmp_path) as lab:
        yield lab


def test_one_command_makes_a_cluster_that_works_grows_and_goes(lab: VCenterLab) -> None:
    made = lab.provision("--wait")
    assert made.code == 0, made.errors
    until(lambda: lab.ready() == NODES, READY_LIMIT, "all nodes are ready")
    assert all(vm["power"] == "poweredOn" for vm in machines(lab).values())

    emptied = [lab.set_by_guest(name, GuestInfo.USER_DATA) for name in lab.hosts]
    assert all(map(GuestInfo.is_scrubbed, emptied)), "a machine left its user-data for others to read"
    assert "has not emptied its user-data" not in made.errors

    lab.forget("w-prod-1", GuestInfo.USER_DATA)
    lab.hosts["w-prod-1"].reboot()
    until(lambda: GuestInfo.is_scrubbed(lab.set_by_guest("w-prod-1", GuestInfo.USER_DATA)), 120, "it is emptied again")
    until(lambda: lab.ready() == NODES, 120, "all nodes are ready")

    wanted = leaks.needles(lab.secrets)
    assert leaks.in_guestinfo(guestinfo(lab), wanted) == []
    assert leaks.in_consul(lab.secrets, lab.discovery.address, wanted) == []
    assert [leaks.on_host(host, wanted) for host in lab.hosts.values()] == [[]] * len(lab.hosts)
    lab.vcenter.publish("w-prod-1", packed("guestinfo.planted", f"token: {wanted['token']}"))
    assert leaks.in_guestinfo(guestinfo(lab), wanted) == ["token in guestinfo.planted of w-prod-1"]

    before = machines(lab)
    again = lab.provision("--wait")
    assert again.code == 0, again.errors
    assert machines(lab) == before
    assert [node["name"] for node in again.data["nodes"] if node["actions"]] == []

    grown = lab.provision("--wait", workers=3)
    assert grown.code == 0, grown.errors
    until(lambda: lab.ready() == NODES | {"w-prod-3"}, READY_LIMIT, "the new node is ready")

    gone = lab.run("destroy", "--yes")
    assert gone.code == 0, gone.errors
    assert lab.vcenter.machine_names() == []
    until(lambda: not lab.hosts, 60, "no host is left")
    assert lab.run("destroy", "--yes").code == 0


def machines(lab: VCenterLab) -> dict[str, Any]:
    """All that the vCenter knows of each, by name."""
    return {vm["name"]: vm for vm in lab.vcenter.vms().values() if not vm["template"]}


def guestinfo(lab: VCenterLab) -> dict[str, dict[str, str]]:
    return {name: vm["extra_config"] for name, vm in machines(lab).items()}


def packed(key: str, text: str) -> dict[str, str]:
    return {key: base64.b64encode(gzip.compress(text.encode())).decode(), f"{key}.encoding": "gzip+base64"}
