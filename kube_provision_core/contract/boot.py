"""What a machine boots with: fragments in, one `Boot` out. Frozen; what is secret hides in its repr."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from .components import Component
from .rules import Count, Mode, Owner, StepName, StepPlace, UnitName

NODE_DIR = "/usr/local/lib/kube-provision"
"""Where programs of ours live on a node: the runner, its steps, the discovery client, publisher and receiver."""


NODE_CONFIG_DIR = "/etc/kube-provision"
"""Where a node's own data lives: `node.json`, the kubeadm configuration, the proxy's configuration."""


PUBLISHER = f"{NODE_DIR}/publish"
"""An executable that the *target* puts on the node. It reads one JSON document (a `NodeStatus`) on stdin and
publishes it where `list_vms` can read it without entering the machine: at most 4 KiB, often; more, now and then, where
the target declares another `answer_limit`."""


RECEIVER = f"{NODE_DIR}/receive"
"""An executable that a *target* which answers `deliver_task` puts on the node. It writes the task that waits to stdout,
byte for byte, and nothing where none waits; another exit status than 0 is trouble. It is asked again and again."""


REBOOT_REQUIRED = "/run/reboot-required"
"""A file that is there while a machine has to be rebooted for what was installed, as Debian's packages have it. No boot
leaves it there. The steps of `upgrade_packages` make it, and the core reboots."""


DISCOVERY_CLIENT = f"{NODE_DIR}/discovery.py"
"""A stdlib-only Python module that the *discovery* driver puts on the node; the page "Discovery on the node" says what it
must define."""


DISCOVERY_PACKAGE = f"{NODE_DIR}/discovery"
"""A folder in place of `DISCOVERY_CLIENT`, for a driver whose node's side is more than one module: a package, whose
`__init__.py` defines the same."""


class Stage(StrEnum):
    """The stages of a boot, in order.

    In each the operating system's steps come first, then others' by their plugins' names, unless one says `after`.

    The core's clock is set before all others in `PREPARE`, so that every step may check certificates.
    """

    PREPARE = "prepare"
    """The clock, whom the machine trusts, kernel and disks. Nothing is installed yet."""
    INSTALL = "install"
    """Packages."""
    DISCOVER = "discover"
    """Services that a member needs: discovery's agent, the container runtime, the way to the masters."""
    JOIN = "join"
    """`kubeadm init` or `kubeadm join`."""
    FINISH = "finish"
    """What needs a member of the cluster, and whatever a user wishes for."""


@dataclass(frozen=True, slots=True)
class File:
    """A file on a node. Parent folders are made as needed (0755)."""

    path: str
    content: str | bytes = field(repr=False)
    mode: Mode = 0o644
    owner: Owner = "root:root"
    secret: bool = False
    """Never shown: neither by repr, nor in output, nor in an error."""
    own_key: bool = False
    """It holds a private key that lets in this machine alone, to a service that its user named. Any other private key in the
    boot data of a worker or of the discovery machine is refused."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A systemd unit on a node, written to /etc/systemd/system."""

    name: UnitName
    content: str
    enable: bool = True
    """Enabled when the files are written. It is started by a step, or by the next boot."""


@dataclass(frozen=True, slots=True)
class Step:
    """A shell script that a node runs in a stage. It must be idempotent: it may be killed and run again."""

    name: StepName
    """Unique per plugin."""
    stage: Stage
    script: str
    """Run by `bash -euo pipefail`; no secrets in it."""
    timeout: Count = 600
    """Seconds for one attempt."""
    attempts: Count = 5
    """Attempts before the node says `failed`; the runner pauses between them."""
    after: StepPlace = ""
    """A step of the same stage that comes before this one, as `plugin/step`, or `*/step` of whichever plugin; empty: none.
    The plugin's own steps that follow wait, too. A step that a machine does not have, or has in an earlier stage, keeps
    nobody waiting."""


@dataclass(frozen=True, slots=True)
class BootFragment:
    """One plugin's part of a node's boot. Data only; fragments are merged in an order that does not matter."""

    components: frozenset[Component] = frozenset()
    """What must be installed, whatever it is called there; the OS driver knows packages."""
    versions: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Pins of components (`{"kubeadm": "1.37.1"}`; a minor alone means its newest patch), passed on to `os_packages`."""
    packages: frozenset[str] = frozenset()
    """Extra packages in the operating system's own words."""
    files: tuple[File, ...] = ()
    units: tuple[Unit, ...] = ()
    steps: tuple[Step, ...] = ()
    cloud_config: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    """Plain cloud-config keys (users, ntp, timezone, mounts …) that no file or step can express."""


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
