"""The world that the demo runs in: a simulated vCenter whose machines are addresses on loopback, with real servers behind.

On the discovery machine's address a real Consul listens. The masters' addresses come alive once the cluster's folder of
secrets exists: a stand-in for each API server, a real etcd behind them, and what nodes tell about their boot.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from servers.consul import ConsulServer
from servers.living_masters import LivingMasters
from servers.simulator import STATUS_KEY, Guest, Simulator

from kube_provision_consul import layout
from kube_provision_consul.seed import new_seed
from kube_provision_core import GuestInfo
from kube_provision_core.contract.boot import Stage
from kube_provision_core.folder.store import Folder

NAME = "demo"
NETWORK = "127.80.1"
CONSUL = f"{NETWORK}.200"
MASTERS = {f"m-{NAME}-{i}": f"{NETWORK}.{10 + i}" for i in (1, 2, 3)}
WORKERS = {f"w-{NAME}-{i}": f"{NETWORK}.{20 + i}" for i in (1, 2, 3)}
SEED = new_seed()
"""Of all that keeps Consul closed. The program would make one; this Consul is there before it begins, so that it is told."""
STAGE_TIME = 0.6
"""Seconds that a simulated node needs for one stage of its boot."""


@dataclass(frozen=True)
class World:
    vcenter: Simulator
    consul: ConsulServer


@contextmanager
def open_world(state: Path) -> Iterator[World]:
    """Everything runs while the context is open. `state` is where the program will keep the cluster's folder."""
    addresses = {f"consul-{NAME}": CONSUL, **MASTERS, **WORKERS}
    guests = [Guest(name, [address], address_delay=1.0) for name, address in addresses.items()]
    with Simulator(clone_time=1.5, guests=guests) as vcenter, ConsulServer(CONSUL, seed=SEED) as consul:
        world, over = World(vcenter, consul), threading.Event()
        nodes = threading.Thread(target=_live, args=(world, state, over))
        nodes.start()
        try:
            yield world
        finally:
            over.set()
            nodes.join()


def _live(world: World, state: Path, over: threading.Event) -> None:
    """Wait for the cluster's folder; from then on its masters answer, and every machine that runs walks through its boot."""
    while (folder := Folder.open(state, NAME)) is None:
        if over.wait(0.1):
            return
    progress: dict[str, int] = {}
    with LivingMasters(folder.pki, MASTERS, WORKERS):
        while not over.wait(STAGE_TIME):
            for name in _booted(world):
                progress[name] = progress.get(name, -1) + 1
                _tell(world, name, progress[name])
                if name in MASTERS and progress[name] == len(Stage):
                    _register(world, name, folder)


def _booted(world: World) -> list[str]:
    return [vm["name"] for vm in world.vcenter.vms().values() if vm["addresses"]]


def _tell(world: World, name: str, step: int) -> None:
    """What the program on a node publishes: its stage, and at the end that it is done; and that its user-data are empty."""
    stages = list(Stage)
    if step <= len(stages):
        stage, state = (stages[step], "running") if step < len(stages) else (Stage.FINISH, "done")
        told = json.dumps({"stage": stage, "state": state, "error": ""})
        world.vcenter.publish(name, {STATUS_KEY: told, **GuestInfo.scrubbed()})


def _register(world: World, name: str, folder: Folder) -> None:
    """What a master writes to Consul: that the cluster is initialised, and where its own healthy API server is."""
    record = {"state": "initialised", "node": f"m-{NAME}-1", "cluster_id": folder.cluster_id}
    world.consul.request("PUT", f"/v1/kv/{layout.record_key(NAME)}", json.dumps(record).encode())
    service = {"Service": layout.service_name(NAME), "Port": 6443}
    check = {"Name": "readyz", "Status": "passing", "ServiceID": service["Service"]}
    node = {"Node": name, "Address": MASTERS[name], "Service": service, "Check": check}
    world.consul.request("PUT", "/v1/catalog/register", json.dumps(node).encode())
