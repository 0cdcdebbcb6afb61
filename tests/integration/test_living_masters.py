"""The stand-ins for a whole living cluster, as the demonstration and the end-to-end tests use them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from servers.living_masters import LivingMasters

from kube_provision_core import Power, Role, Stamp, Vm
from kube_provision_core.cluster.api import ControlPlane
from kube_provision_core.cluster.living import look
from kube_provision_core.cluster.observe import Observation
from kube_provision_core.contract.errors import ControlPlaneError
from kube_provision_core.folder.pki import create_pki
from kube_provision_core.folder.store import Folder
from kube_provision_core.testing import cluster_of

TESTS = Path(__file__).parents[1]
MASTERS = {f"m-prod-{index}": f"127.64.0.{index}" for index in (1, 2, 3)}


def test_a_killed_master_is_replaced_through_the_others() -> None:
    pki = create_pki("prod")
    with LivingMasters(pki, MASTERS, {"w-prod-1": "127.64.0.9"}) as masters:
        masters.kill("m-prod-1")
        with ControlPlane(list(MASTERS.values()), pki) as api:
            (gone,) = (member.id for member in api.etcd.members() if member.name == "m-prod-1")
            api.etcd.remove(gone)
            api.delete_node("m-prod-1")
            assert {member.name for member in api.etcd.members()} == {"m-prod-2", "m-prod-3"}
        assert masters.nodes == {"m-prod-2", "m-prod-3", "w-prod-1"}


def seen(masters: Mapping[str, str]) -> Observation:
    stamp = Stamp("prod", "id", Role.MASTER, "0" * 12)
    vms = tuple(Vm(name, name, Power.ON, stamp, (address,)) for name, address in masters.items())
    return Observation(cluster_of(*masters, name="prod"), vms)


def test_a_lost_quorum_is_named_although_no_api_server_is_ready_without_it() -> None:
    pki, two = create_pki("prod"), {name: MASTERS[name] for name in ("m-prod-1", "m-prod-2")}
    with LivingMasters(pki, two) as masters:
        masters.kill("m-prod-1")
        masters.apis["m-prod-2"].ready = False
        with pytest.raises(ControlPlaneError, match=r"etcd has lost its quorum: .*m-prod-1"):
            look(seen(two), pki)


def test_masters_that_are_not_ready_with_a_quorum_behind_them_are_named() -> None:
    pki, two = create_pki("prod"), {name: MASTERS[name] for name in ("m-prod-1", "m-prod-2")}
    with LivingMasters(pki, two) as masters:
        for api in masters.apis.values():
            api.ready = False
        with pytest.raises(ControlPlaneError, match="no master can be asked"):
            look(seen(two), pki)


def test_the_program_waits_for_the_folder_lives_and_ends_without_a_trace(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "servers.living_masters", str(tmp_path / "prod"), "m-prod-1=127.64.0.1"]
    environment = {**os.environ, "PYTHONPATH": str(TESTS), "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as program:
        try:
            folder = Folder.create(tmp_path, "prod", {})
            assert program.stdout is not None
            assert program.stdout.readline() == b"ready\n"
            with ControlPlane(["127.64.0.1"], folder.pki) as api:
                api.check()
                api.etcd.check_quorum()
            program.send_signal(signal.SIGTERM)
            assert program.wait(60) == 0
        finally:
            program.kill()
    with ControlPlane(["127.64.0.1"], folder.pki) as api, pytest.raises(ControlPlaneError):
        api.etcd.members()
    assert [item.name for item in tmp_path.iterdir()] == ["prod"]
