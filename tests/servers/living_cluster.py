"""A cluster that comes to life inside of a simulated vCenter's machines, and dies with them.

    with LivingCluster(vcenter, state, "prod", "127.77.1") as cluster:
        ...  # the program runs

Machines boot by themselves. The discovery machine is a real Consul. The first master initialises the cluster; one that has
to begin with a snapshot does once that was brought, and counts the nodes that the cluster before has lost, and those that
have outlived its masters. Every other machine joins it by the token in its boot data, if the cluster knows that token, and
not while a node of its name is there. Masters are members of a real etcd and answer as stand-ins of API servers. Who has
joined tells that it has finished, and takes what it is given to do, in name: what it comes to is seen at the API, and an
upgrade starts a master's servers anew.
"""

from __future__ import annotations

import json
import re
import threading
from base64 import b64encode
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from machines.leaks import unpacked
from servers.cluster_objects import NODES, SECRETS, ClusterObjects
from servers.consul import ConsulServer
from servers.control_plane import ControlPlaneServer
from servers.etcd import EtcdServers
from servers.living_members import LivingMember
from servers.living_restoration import LivingRestoration, announced
from servers.living_versions import BEGINNING, Versions
from servers.simulator import FINISHED, STATUS_KEY, Simulator

from kube_provision_core.folder.store import Folder
from kube_provision_node.tasks import Task

LOOK = 0.1
AWAY = 0.3
"""Seconds that an API server which is started anew serves nobody."""
TOKEN = re.compile(r"\b([a-z0-9]{6})\.([a-z0-9]{16})\b")


class LivingCluster:
    """Alive while the context is open. `network`: the first three bytes of its machines' addresses."""

    def __init__(self, vcenter: Simulator, state: Path, name: str, network: str) -> None:
        self.objects = ClusterObjects()
        self.versions = Versions(self.objects)
        self.problem: BaseException | None = None
        """What ended the life before its time."""
        self._vcenter, self._state, self._name, self._network = vcenter, state, name, network
        self._alive: dict[str, str] = {}
        """Ids of the machines whose boot has come to its end, by name."""
        self._members: dict[str, LivingMember] = {}
        """Those of them that are nodes."""
        self._apis: dict[str, ControlPlaneServer] = {}
        self._restorations: dict[str, LivingRestoration] = {}
        """Machines that wait for a snapshot, by name."""
        self._lost: dict[str, Any] = {}
        """Nodes of the cluster that was there before."""
        self.etcd: EtcdServers | None = None
        self.consul: ConsulServer | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._live, name="living-cluster")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()

    def _live(self) -> None:
        with ExitStack() as ends:
            ends.callback(self._end)
            try:
                while not self._over.wait(LOOK):
                    self._follow({vm["name"]: vm for vm in self._vcenter.vms().values() if self._runs(vm)})
                    self.objects.workloads.settle()
                    self.versions.settle()
            except BaseException as problem:
                self.problem = problem
                raise

    def _end(self) -> None:
        for name in list(self._alive):
            self._die(name)
        self._forget()
        self._end_restorations(())

    def _follow(self, vms: Mapping[str, Mapping[str, Any]]) -> None:
        for name, identity in list(self._alive.items()):
            if name not in vms or vms[name]["id"] != identity:
                self._die(name)
        if self.etcd and not self._apis:
            self._forget()
        self._end_restorations(vms)
        for name, vm in vms.items():
            if name not in self._alive and self._boots(name, address_of(vm, self._network), vm):
                self._alive[name] = vm["id"]
                self._vcenter.publish(name, {STATUS_KEY: FINISHED})
            elif name in self._members:
                self._members[name].look(vm)

    def _runs(self, vm: Mapping[str, Any]) -> bool:
        """Whether it is the cluster's, on, and has an address."""
        named = f"-{self._name}" in vm["name"]
        return named and vm["power"] == "poweredOn" and bool(address_of(vm, self._network))

    def _boots(self, name: str, address: str, vm: Mapping[str, Any]) -> bool:
        """Whether it has come to the end of its boot."""
        folder = Folder.open(self._state, self._name)
        if name.startswith("consul-") and folder:
            consul = ConsulServer(address, seed=folder.generated["consul_seed"])
            consul.start()
            self.consul = consul  # nobody asks it before
            return True
        if self.consul is None or folder is None:
            return False
        user_data = unpacked(vm["extra_config"], "guestinfo.userdata")
        if self.etcd is None:
            boots = "PRIVATE KEY" in user_data and self._begins(name, address, folder, user_data)
        else:
            boots = self._is_known(user_data) and self._joins(name, address, folder)
        if boots:
            self.versions.join(name, master=name in self._apis)
            self._members[name] = LivingMember(self._vcenter, vm, folder.pki, self._carry_out)
        return boots

    def _begins(self, name: str, address: str, folder: Folder, user_data: str) -> bool:
        """With nothing, or with the snapshot, once it was brought."""
        snapshot = announced(user_data)
        if snapshot is None:
            return self._initialise(name, address, folder)
        if name not in self._restorations:
            self._restorations[name] = LivingRestoration(name, address, folder.pki, **snapshot)
        if not self._restorations[name].is_over:
            return False
        self._restorations.pop(name).end()
        for lost, node in self._lost.items():
            if lost != name:  # its own it takes over
                self.objects.create(NODES, node)
        self._initialise(name, address, folder)
        for worker in self._members:
            self.versions.join(worker, master=False)
        return True

    def _end_restorations(self, going_on: Collection[str]) -> None:
        for name in self._restorations.keys() - set(going_on):
            self._restorations.pop(name).end()

    def _initialise(self, name: str, address: str, folder: Folder) -> bool:
        self._add_token(folder.token)
        self.etcd = EtcdServers(folder.pki, {name: address})
        self.etcd.__enter__()
        self.versions.begin(BEGINNING)
        self._serve(name, address, folder)
        record = {"state": "initialised", "node": name, "cluster_id": folder.cluster_id}
        assert self.consul
        self.consul.request("PUT", f"/v1/kv/kube-provision/{self._name}/record", json.dumps(record).encode())
        return True

    def _joins(self, name: str, address: str, folder: Folder) -> bool:
        if name in self.objects.all(NODES):
            return False
        if name.startswith("m-"):
            assert self.etcd
            self.etcd.join(name, address)
            self._serve(name, address, folder)
        else:
            self.objects.add_node(name, address)
        return True

    def _serve(self, name: str, address: str, folder: Folder) -> None:
        self._apis[name] = ControlPlaneServer(folder.pki, address, objects=self.objects)
        self._apis[name].__enter__()
        self.objects.add_node(name, address, master=True)

    def _carry_out(self, name: str, task: Task) -> None:
        self.versions.carry_out(name, task, self._restart)

    def _restart(self, name: str) -> None:
        """A master's etcd and API server end, and begin anew on what there was."""
        assert self.etcd
        self._apis[name].stop()
        self.etcd.kill(name)
        self._over.wait(AWAY)
        self.etcd.start(name)
        self.etcd.wait_until_healthy(name)
        self._apis[name].start()

    def _is_known(self, user_data: str) -> bool:
        """Whether the cluster takes the token of that boot data."""
        known = {name.removeprefix("bootstrap-token-"): self.objects.secret(name) for name in self.objects.all(SECRETS)}
        tokens = TOKEN.findall(user_data)
        return any(known.get(token, {}).get("token-secret") == secret.encode() for token, secret in tokens)

    def _add_token(self, token: str) -> None:
        """As kubeadm's init does."""
        identity, _, secret = token.partition(".")
        data = {
            key: b64encode(text.encode()).decode() for key, text in {"token-id": identity, "token-secret": secret}.items()
        }
        metadata = {"name": f"bootstrap-token-{identity}", "namespace": "kube-system"}
        self.objects.create(SECRETS, {"metadata": metadata, "type": "bootstrap.kubernetes.io/token", "data": data})

    def _die(self, name: str) -> None:
        """Its machine is off or gone; the cluster hears no more of its node, and counts it."""
        del self._alive[name]
        if name in self._members:
            self._members.pop(name).end()
        if name.startswith("consul-") and self.consul:
            self.consul.close()
            self.consul = None
        if name in self._apis:
            self._apis.pop(name).stop()
            assert self.etcd
            self.etcd.kill(name)
        if name in self.objects.all(NODES):
            self.objects.all(NODES)[name]["status"]["conditions"][0]["status"] = "Unknown"

    def _forget(self) -> None:
        """With its last master a cluster is gone."""
        if self.etcd:
            self.etcd.__exit__(None, None, None)
            self._lost = dict(self.objects.all(NODES))
        self.etcd, self.objects = None, ClusterObjects()
        self.versions = Versions(self.objects)


def address_of(vm: Mapping[str, Any], network: str) -> str:
    return next((address for address in vm["addresses"] if address.startswith(f"{network}.")), "")
