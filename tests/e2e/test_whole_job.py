"""The main job whole: from one command line through the vSphere API to five ready nodes, grown, and gone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from machines.vcenter import VCenterLab

pytestmark = pytest.mark.e2e

NODES = {"m-prod-1", "m-prod-2", "m-prod-3", "w-prod-1", "w-prod-2"}


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[VCenterLab]:
    with VCenterLab(tmp_path) as lab:
        yield lab


def test_one_command_makes_a_cluster_that_works_grows_and_goes(lab: VCenterLab) -> None:
    made = lab.provision("--wait")
    assert made.code == 0, made.errors
    assert lab.ready() == NODES
    assert all(vm["power"] == "poweredOn" for vm in lab.vcenter.vms().values() if not vm["template"])

    before = lab.vcenter.machine_names()
    again = lab.provision("--wait")
    assert again.code == 0, again.errors
    assert lab.vcenter.machine_names() == before
    assert [node["name"] for node in again.data["nodes"] if node["actions"]] == []

    grown = lab.provision("--wait", workers=3)
    assert grown.code == 0, grown.errors
    assert lab.ready() == NODES | {"w-prod-3"}

    gone = lab.run("destroy", "--yes")
    assert gone.code == 0, gone.errors
    assert lab.vcenter.machine_names() == []
