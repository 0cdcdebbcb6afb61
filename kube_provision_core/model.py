"""The values that travel through the program: frozen, typed, free of secrets unless their repr hides them.

This module imports nothing of ours; every other one may import it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

NODE_DIR = "/usr/local/lib/kube-provision"
"""Where programs of ours live on a node: the runner, its steps, the discovery client, the publisher."""

NODE_CONFIG_DIR = "/etc/kube-provision"
"""Where a node's own data lives: `node.json`, the kubeadm configuration, the proxy's configuration."""

PUBLISHER = f"{NODE_DIR}/publish"
"""An executable that the *target* puts on the node. It reads one JSON document (a `NodeStatus`) on stdin and
publishes it where `list_vms` can read it without entering the machine: at most 4 KiB, often."""

DISCOVERY_CLIENT = f"{NODE_DIR}/discovery.py"
"""A stdlib-only Python module that the *discovery* driver puts on the node; the page "Discovery on the node" says what it
must define."""


class Role(StrEnum):
    """What a machine is for. The discovery machine exists only where no existing service was named."""

    MASTER = "master"
    WORKER = "worker"
    DISCOVERY = "discovery"


class Stage(StrEnum):
    """The stages of a boot, in order. Steps of one stage run in the order of their plugins' names.

    The core's clock is set before all others in `PREPARE`, so that every step may check certificates.
    """

    PREPARE = "prepare"
    INSTALL = "install"
    DISCOVER = "discover"
    JOIN = "join"
    FINISH = "finish"


class Power(StrEnum):
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
    data_volume_gib: int | None = None
    """None: no second disk."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What marks a virtual machine as ours, written by the target driver at creation and read back by `list_vms`."""

    cluster: str
    cluster_id: str
    role: Role
    spec: str
    """Hash of the machine's specification without secrets; another hash means that the configuration has changed."""
    carries_ca: bool = False
    """This machine was given the certificate authorities and may initialise the cluster."""


@dataclass(frozen=True, slots=True)
class Node:
    """One machine that should exist. Its name is deterministic, so that every run means the same machine."""

    name: str
    role: Role
    index: int
    """Counted from 1; 0 for the discovery machine."""
    machine: Machine
    stamp: Stamp


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
    """`1.36` or `1.36.4`."""
    names: frozenset[str]
    """Every machine name that this run may need; a machine that bears one without our stamp is foreign."""
    pod_subnet: str = "10.244.0.0/16"
    service_subnet: str = "10.96.0.0/12"
    domain: str = "cluster.local"
    discovery_address: str | None = None
    """Address of the discovery service; None until its machine has one."""
    peers: tuple[str, ...] = ()
    """Addresses of the cluster's machines as observed: a re-created discovery server joins them."""
    reach: Mapping[str, Mapping[int, Endpoint]] = field(default_factory=dict, hash=False)
    """Machines' ports that this host reaches elsewhere than at their address, by address and port; see `Vm.reach`.

    The method `endpoint(address, port)` looks there, and is an `Endpoint` also where there is nothing special."""

    def endpoint(self, address: str, port: int) -> Endpoint:
        """Where this host, as opposed to the cluster's machines, reaches a port of the machine at `address`."""
        return self.reach.get(address, {}).get(port) or Endpoint(address, port)


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """What a node's runner last published about itself. A target reads it with `NodeStatus.parse`."""

    stage: Stage
    state: str
    """`running`, `done` or `failed`. A node that has failed tries again by itself after a minute."""
    error: str = ""
    """The last thing that went wrong, in the step's own words; also while it is tried again."""
    step: str = ""
    """`plugin/name` of the step that runs or has failed."""
    attempt: int = 0
    """Which attempt at the step this is; 0 where there is no step."""
    attempts: int = 0
    diagnosis: str = ""
    """A word for programs: `repository-unreachable`, `wrong-clock`, … Empty where the cause was not recognised."""
    cause: str = ""
    """What a person understands by it."""
    advice: str = ""
    replace: bool = False
    """No further attempt helps: only a new machine in its place does."""
    log: tuple[str, ...] = ()
    """The last lines that the step has said; no secrets."""

    @classmethod
    def parse(cls, text: str | None) -> NodeStatus | None:
        """The status that a node has published; None for anything else. A machine may write anything there.

        Keys that this version does not know are ignored; what is longer than a node makes it is cut.
        """
        try:
            said = json.loads(text or "")
            stage, state = Stage(said["stage"]), said["state"]
        except (ValueError, TypeError, KeyError, RecursionError):
            return None
        if state not in ("running", "done", "failed") or not isinstance(said.get("error", ""), str):
            return None
        words = {name: _text(said.get(name)) for name in ("error", "step", "diagnosis", "cause", "advice")}
        lines = said.get("log")
        return cls(
            stage,
            state,
            **words,
            attempt=_count(said.get("attempt")),
            attempts=_count(said.get("attempts")),
            replace=said.get("replace") is True,
            log=tuple(map(_text, lines[-_MOST_LINES:])) if isinstance(lines, list) else (),
        )

    @property
    def finished(self) -> bool:
        return self.stage is Stage.FINISH and self.state == "done"

    @property
    def reason(self) -> str:
        """Why it is not further: the cause where it was recognised, else the error."""
        return self.cause or self.error

    @property
    def progress(self) -> str:
        """Where it stands, in a line: `install debian/packages, attempt 2 of 5: the package repository …`."""
        place = " ".join(filter(None, [self.stage.value, self.step]))
        again = f", attempt {self.attempt} of {self.attempts}" if self.attempt > 1 else ""
        return f"{place}{again}{f': {self.reason}' if self.reason else ''}"


_LONGEST_TEXT = 2048
_MOST_LINES = 50


def _text(value: object) -> str:
    return value[:_LONGEST_TEXT] if isinstance(value, str) else ""


def _count(value: object) -> int:
    return value if type(value) is int and 0 <= value < 10**6 else 0


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
    """Identity in the record of initialisation; another one than ours means a dead cluster of the same name."""


@dataclass(frozen=True, slots=True)
class File:
    """A file on a node. Parent folders are made as needed (0755)."""

    path: str
    content: str | bytes = field(repr=False)
    mode: int = 0o644
    owner: str = "root:root"
    secret: bool = False
    """Never shown: neither by repr, nor in output, nor in an error."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A systemd unit on a node, written to /etc/systemd/system."""

    name: str
    content: str
    enable: bool = True
    """Enabled when the files are written. It is started by a step, or by the next boot."""


@dataclass(frozen=True, slots=True)
class Step:
    """A shell script that a node runs in a stage. It must be idempotent: it may be killed and run again."""

    name: str
    """Unique per plugin; lower case, digits and hyphens."""
    stage: Stage
    script: str
    """Run by `bash -euo pipefail`; no secrets in it."""
    timeout: int = 600
    """Seconds for one attempt."""
    attempts: int = 5
    """Attempts before the node says `failed`; the runner pauses between them."""


@dataclass(frozen=True, slots=True)
class BootFragment:
    """One plugin's part of a node's boot. Data only; fragments are merged in an order that does not matter."""

    components: frozenset[str] = frozenset()
    """Abstract names such as `kubeadm`, `container-runtime`, `tcp-proxy`, `consul`; the OS driver knows packages."""
    versions: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Pins of components (`{"kubeadm": "1.36.4"}`; a minor alone means its newest patch), passed on to `os_packages`."""
    packages: frozenset[str] = frozenset()
    """Extra packages in the operating system's own words."""
    files: tuple[File, ...] = ()
    units: tuple[Unit, ...] = ()
    steps: tuple[Step, ...] = ()
    cloud_config: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    """Plain cloud-config keys (users, ntp, timezone, mounts …) that no file or step can express."""


@dataclass(frozen=True, slots=True)
class Repository:
    """A mirror of a package repository."""

    url: str
    key: str = ""
    """The signing key: ASCII-armoured text or an https URL; empty means that the system's keys vouch for it."""


@dataclass(frozen=True, slots=True)
class Packages:
    """How one operating system installs what was asked for."""

    names: tuple[str, ...]
    """What is installed, with pins, in the operating system's own words: `kubeadm=1.36.4-*`."""
    files: tuple[File, ...] = ()
    """Repository definitions, keys, pins."""
    steps: tuple[Step, ...] = ()
    """Idempotent steps of the stage `install`; a baked template makes them cheap."""
    list_versions: str = ""
    """A shell command that prints name and version of what is installed of `names`, a line each; for a template's record."""


@dataclass(frozen=True, slots=True)
class Boot:
    """Everything one machine needs to boot into its role, ready for the target to deliver."""

    hostname: str
    instance_id: str
    """A new one makes cloud-init treat the boot as a first boot."""
    user_data: str = field(repr=False)
    """A `#cloud-config` document; holds secrets."""
    files: tuple[File, ...] = field(repr=False, default=())
    """The files that `user_data` delivers, for `render` and for checks."""
