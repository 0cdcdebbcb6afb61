"""Machines and clusters as the program and its plugins speak of them: frozen, and without secrets."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Self

from .errors import ConfigError
from .rules import TaskDigest
from .status import NodeStatus

_POOL = re.compile(r"worker-(?P<pool>[a-z0-9]([a-z0-9-]*[a-z0-9])?)")


class Role(StrEnum):
    """What a machine is for. Discovery machines exist only where no existing service was named.

    These are three kinds. Each pool beside the plain workers is a role of its own, `Role.of_pool(name)`, whose value is
    `worker-<name>`: its machines have per-role keys of their own, and are workers by `kind`. A pool's role is one object, as
    a kind is, and is not among those that `for role in Role` goes through.
    """

    MASTER = "master"
    """Runs the control plane, and etcd beside it."""
    WORKER = "worker"
    """Runs workloads: a machine of the pool `workers`."""
    DISCOVERY = "discovery"
    """Runs the discovery service, and nothing of Kubernetes'."""

    @classmethod
    def of_pool(cls, name: str) -> Self:
        """The role of a pool's workers. Raises `ValueError` for a name that is no DNS label."""
        return cls(cls.WORKER if name == POOL_OF_WORKERS else f"{cls.WORKER}-{name}")

    @property
    def kind(self) -> Role:
        """`MASTER`, `WORKER` or `DISCOVERY`: what is the same for workers of all pools."""
        return Role.WORKER if self.pool else self

    @property
    def is_pool(self) -> bool:
        """Of a pool beside the plain workers, and no kind itself."""
        return self.kind is not self

    @property
    def pool(self) -> str:
        """The name of the workers' pool; empty for masters, and for the discovery machine."""
        if self is Role.WORKER:
            return POOL_OF_WORKERS
        named = _POOL.fullmatch(self.value)
        return named["pool"] if named else ""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        """Of a pool that is asked for the first time. Made as the standard library makes combinations of `Flag`."""
        if not isinstance(value, str) or not _POOL.fullmatch(value):
            return None
        role = str.__new__(cls, value)
        role._name_, role._value_ = value, str(value)
        return cls._value2member_map_.setdefault(value, role)  # type: ignore[return-value]  # one object, whoever is first


POOL_OF_WORKERS = "workers"
"""The pool that a configuration has without naming any."""


class Power(StrEnum):
    """Whether a machine runs, as its target says."""

    ON = "on"
    OFF = "off"
    SUSPENDED = "suspended"


@dataclass(frozen=True, slots=True)
class Machine:
    """The size of one virtual machine."""

    cpu: int
    memory_gib: int
    boot_disk_gib: int | None = None
    """None keeps the template's size. A disk only ever grows."""
    data_volumes_gib: tuple[int, ...] = ()
    """Sizes of its further disks, in the order in which they are plugged in. A machine finds them by their sizes, so these
    are exact, and they are blank."""

    @property
    def data_volume_gib(self) -> int | None:
        """Of a machine with one further disk its size; None: it has none. For targets that make no more than one: raises
        `ConfigError` where there are several, so that no machine is made with too few."""
        if len(self.data_volumes_gib) > 1:
            raise ConfigError(
                f"data_volumes: machines of this target have one further disk at most, and {len(self.data_volumes_gib)} are "
                "asked for: give one"
            )
        return next(iter(self.data_volumes_gib), None)


@dataclass(frozen=True, slots=True)
class Stamp:
    """What marks a virtual machine as ours, written by the target driver at creation and read back by `list_vms`.

    A driver keeps `text`, or `document` among its own notes, and reads it with `parse` or `of`. Those ignore keys that this
    version does not know, which a later one may have written, and take nothing else for a stamp.
    """

    cluster: str
    cluster_id: str
    role: Role
    spec: str
    """Hash of the machine's specification; another hash means that the configuration has changed. It covers `cpu`, `mem`,
    `boot_disk_size`, `data_volume`, `data_volume_mount`; `data_volumes`, where given; of a master or a worker `kubelet`,
    `taints`, `cloud_provider`, `swap`, `kubeadm.join` and `kubeadm_patches`, where given; and of the target's and the
    operating system's keys those that may differ per role, where they are not their defaults. It covers no secret, no key
    that says only how to reach the target, none of the cluster as a whole, and nothing else of what it boots with."""
    carries_ca: bool = False
    """This machine was given the certificate authorities and may initialise the cluster."""
    instance: str = ""
    """Another one on each machine, whatever its name, chosen when it is made. What only this machine may read rests on it,
    so that nothing which was meant for an earlier machine of its name is of use. Empty: made before there was any."""
    made_of: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Plain data: of what `spec` covers the part that anybody may read, so that a change can be named by its key. It is all
    but `kubeadm.join`, `kubeadm_patches` and a kubelet's `staticPodURLHeader`. Empty: made before there was any."""

    @property
    def document(self) -> dict[str, Any]:
        """Plain values, for a driver that has notes of its own beside."""
        known = asdict(self) | {"role": self.role.value}
        return known if self.made_of else {key: value for key, value in known.items() if key != "made_of"}

    @property
    def text(self) -> str:
        """One line of JSON, the same every time."""
        return json.dumps(self.document, sort_keys=True)

    @classmethod
    def of(cls, document: object) -> Stamp | None:
        """From a `document`; None for anything else: such a machine is foreign."""
        if not isinstance(document, dict):
            return None
        words = [document.get(name) for name in ("cluster", "cluster_id", "spec")]
        words.append(document.get("instance", ""))
        carries_ca, made_of = document.get("carries_ca", False), document.get("made_of", {})
        if not all(isinstance(word, str) for word in words) or not isinstance(carries_ca, bool):
            return None
        try:
            role = Role(str(document.get("role")))
        except ValueError:
            return None
        cluster, cluster_id, spec, instance = map(str, words)
        return cls(cluster, cluster_id, role, spec, carries_ca, instance, made_of if isinstance(made_of, dict) else {})

    @classmethod
    def parse(cls, text: str | bytes | None) -> Stamp | None:
        """From a `text`; None for anything else."""
        try:
            return cls.of(json.loads(text or ""))
        except (ValueError, RecursionError):
            return None


@dataclass(frozen=True, slots=True)
class FailureDomain:
    """A part of the target that fails by itself, such as a zone of a site. Machines of a role spread over several."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Of the Kubernetes nodes whose machines stand there, such as `topology.kubernetes.io/zone`. `labels` of the
    configuration take precedence."""


@dataclass(frozen=True, slots=True)
class Node:
    """One machine that should exist. Its name is deterministic, so that every run means the same machine."""

    name: str
    role: Role
    index: int
    """Counted from 1; 0 for the first discovery machine, whose name bears no number."""
    machine: Machine
    stamp: Stamp
    failure_domain: FailureDomain | None = None
    """Where it is to be made, of those that the target names for its role; None: it names none."""
    interface: str = ""
    """Name, inside the machine, of the network interface that has the node's address; empty: any may have it."""
    swaps: bool = False
    """Of a master or a worker: the swap that its template brings is kept. Else nothing may bring any."""

    def labels(self, configured: Mapping[str, str]) -> Mapping[str, str]:
        """Those of its Kubernetes node: what is configured for its role, and what its failure domain adds."""
        return {**(self.failure_domain.labels if self.failure_domain else {}), **configured}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where this host reaches a TCP port of a machine."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Cluster:
    """What every plugin may know about the cluster. No secrets."""

    name: str
    id: str
    kubernetes_version: str
    """`1.37` or `1.37.1`."""
    names: frozenset[str]
    """Every machine name that this run may need; a machine that bears one without our stamp is foreign."""
    pod_subnet: str = "10.244.0.0/16"
    """In a dual-stack cluster with an IPv6 network after a comma, as kubeadm writes it: `10.244.0.0/16,fd00:10:244::/56`."""
    service_subnet: str = "10.96.0.0/12"
    """The same for services; both have an IPv6 network, or none has."""
    domain: str = "cluster.local"
    proxy_port: int = 8443
    """Where every node's own proxy listens on localhost: the way to the API servers."""
    discovery_address: str | None = None
    """Address of the discovery service; None until its machine has one."""
    discovery_others: tuple[str, ...] = ()
    """Addresses of its other machines, where it is provisioned on several: who does not reach one of all asks the next.

    The property `discovery_addresses` has all of them, as far as they are known."""
    peers: tuple[str, ...] = ()
    """Addresses of the cluster's machines as observed: a re-created discovery server joins them."""
    reach: Mapping[str, Mapping[int, Endpoint]] = field(default_factory=dict, hash=False)
    """Machines' ports that this host reaches elsewhere than at their address, by address and port; see `Vm.reach`.

    The method `endpoint(address, port)` looks there, and is an `Endpoint` also where there is nothing special."""
    shares_kernel: bool = False
    """Its target says that machines run on the kernel of their host. What belongs to that is the host's to set, and no
    machine's: modules, swap, the clock, all parameters but those of the machine's own network."""
    nodes: Mapping[str, Role] = field(default_factory=dict, hash=False)
    """The masters and workers that are to be, and those that there are, by name; each pool's workers with its own role."""
    discovery_on_masters: bool = False
    """The masters are the discovery service: no machine is made for it, and its addresses are theirs, as observed."""
    discovery_by_majority: bool = False
    """The masters are the discovery service, and decide by majority: more than half of them must be at work."""
    fixed_addresses: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Addresses that the configuration gives masters and workers, by name, where the target knows them before machines are
    made. Of a machine that exists see `peers`: its own may be one of before."""
    ca: str = field(default="", repr=False)
    """PEM of the authority whose certificates API servers show and whom whoever asks them trusts; everybody may see it."""

    @property
    def is_dual_stack(self) -> bool:
        """Whether pods, services and nodes have IPv6 addresses beside their IPv4 ones."""
        return "," in self.pod_subnet

    @property
    def discovery_addresses(self) -> tuple[str, ...]:
        return (self.discovery_address, *self.discovery_others) if self.discovery_address else ()

    def endpoint(self, address: str, port: int) -> Endpoint:
        """Where this host, as opposed to the cluster's machines, reaches a port of the machine at `address`."""
        return self.reach.get(address, {}).get(port) or Endpoint(address, port)


@dataclass(frozen=True, slots=True)
class Vm:
    """One virtual machine, as observed."""

    name: str
    id: str
    """The target's own identifier (a managed object id, a path, …); only its driver understands it."""
    power: Power
    stamp: Stamp | None
    """None: not ours, never changed and never deleted."""
    addresses: tuple[str, ...] = ()
    """Usable addresses, the preferred one first; never link-local or a container bridge's."""
    status: NodeStatus | None = None
    scrubbed: bool = False
    """The boot data that the target still holds is free of secrets."""
    where: str = ""
    """For people: the place on the target (an inventory path, a folder)."""
    complete: bool = True
    """False: all that a creation which was cut short has left. `provision_vm` makes the machine anew, `destroy_vm` removes
    what is there."""
    reach: Mapping[int, Endpoint] = field(default_factory=dict, hash=False)
    """TCP ports of the machine that this host, unlike its neighbours, reaches elsewhere than at its address."""
    notice: str = ""
    """For people who wait for an address: what was seen instead (`only IPv6 so far: 2001:db8::7`, `10.100.1.11 lies in
    service_subnet 10.96.0.0/12`, `network card 1 is not connected`). Empty where there is nothing to say."""

    copy: bool = False
    """It bears a stamp of the cluster's that was written for another machine, which it is a copy of; so `stamp` is None."""

    on_since: float | None = field(default=None, compare=False)
    """When it was powered on last, in seconds since the epoch; None where the target does not know. For people."""
    console: str = ""
    """For people who wait for its first word: where they read what it writes to its console, such as a file of this host."""
    task: TaskDigest = ""
    """`task_digest` of the task that waits for it; empty where none does."""
    failure_domain: str = ""
    """Name of the failure domain that it was made in; empty: in none."""

    @property
    def address(self) -> str | None:
        return self.addresses[0] if self.addresses else None


@dataclass(frozen=True, slots=True)
class MasterRecord:
    """A healthy master, as discovery sees it."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class Discovery:
    """What the discovery service knows about a cluster."""

    initialised: bool
    masters: tuple[MasterRecord, ...] = ()
    """Only masters whose API server answers its health check."""
    initialising: str | None = None
    """Name of the machine that has begun to initialise the cluster and has not finished."""
    cluster_id: str | None = None
    """Identity in the record of initialisation; another one than ours means another cluster of the same name."""
