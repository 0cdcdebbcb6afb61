"""The whole contract between the core and its plugins, in the order in which a run calls it.

A plugin implements the hooks of its kind with `@hookimpl`. Implementations may take fewer arguments than the spec names;
that is how a hook grows. "First result" hooks stop at the first answer that is not None. Only chosen drivers are loaded,
so no implementation ever asks whether it is meant. All hooks may be called from several threads at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager

import pluggy

from .boot import Boot, BootFragment, Step
from .components import Component
from .machines import Cluster, Discovery, Node, Role, Stamp, Vm
from .packages import Packages, Repository
from .templates import Image, Template

PROJECT = "kube_provision"
API_VERSION = 1
"""Version of this contract. A driver class may say `api_version = 1`; another number is refused with a sentence."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks the method that answers the hook of its name. `@hookimpl(wrapper=True)`: a method that wraps what others answer."""


# --- the headline: four hooks make a cluster -----------------------------------------------------------------------


@hookspec(firstresult=True)
def provision_vm(node: Node, boot: Boot) -> Vm | None:
    """Create the machine, deliver its boot data, stamp it, power it on. Asked of the target; first result.

    Returns at power-on and does not wait for an address. Idempotent by `node.name`: a second call finds the same machine
    and returns it, powered on; it never replaces the machine or its boot data. A machine of that name without our stamp
    raises `TargetError` and stays as it is. What was begun and failed is removed again, or is found by the next `list_vms`.
    """


@hookspec
def render_boot(node: Node, cluster: Cluster) -> BootFragment | None:
    """This plugin's part of the node's boot. Asked of every plugin; all results are merged.

    A function of its arguments and of the plugin's configuration: no I/O on the target, the same answer every time. None:
    nothing to add. A wrapper of this hook sees everything, secrets included, and is trusted code.
    """


@hookspec(firstresult=True)
def os_packages(
    components: frozenset[Component],
    versions: Mapping[str, str],
    repositories: Mapping[str, Repository],
    extra: frozenset[str],
) -> Packages | None:
    """How this operating system installs `components`. Asked of the OS driver once per node, for the union; first result.

    `versions` pins components (`{"kubeadm": "1.37.1"}`; a minor alone means its newest patch). `repositories` are mirrors
    by component (`kubernetes`, `container-runtime`, `consul`, `os`). `extra` are package names in the system's own words.
    Raises `BootError` for a component that it has no packages for.
    """


@hookspec(firstresult=True)
def trust_authorities(folder: str) -> Step | None:
    """How this operating system comes to trust the certificates in `folder`. Asked of the OS driver; first result.

    Asked only where `trusted_ca` is configured. A step of the stage `prepare`: it runs on every machine and in every bake
    before anything is fetched, so it needs no package that not every image has. The folder has `kube-provision-*.crt`, with
    one PEM certificate each; what an earlier step put into the system's store and the folder lacks goes.
    """


@hookspec(firstresult=True)
def upgrade_packages() -> Sequence[Step] | None:
    """How this operating system brings what is installed to its newest. Asked of the OS driver; first result.

    Steps of the stage `install`: every package, by the repositories that the machine has, but those that are held, which
    Kubernetes' own are, and never another release of the system. Nobody is asked anything; files that the boot has delivered
    stay as they are. Idempotent, also where they were killed half-way. They do not reboot: where the machine needs it
    they leave the file `REBOOT_REQUIRED`, and leave none where it does not. A driver may leave the hook out.
    """


@hookspec(firstresult=True)
def discover_masters(cluster: Cluster) -> Discovery | None:
    """Whether the cluster was initialised, and its healthy masters. Asked of discovery; first result.

    Reads consistently. Raises `DiscoveryError` when it cannot know: only "absent" means absent. Asked only where
    `cluster.discovery_address` is known. A driver that itself looks whether a master answers does so at
    `cluster.endpoint(address, 6443)`: this host may reach the machine elsewhere than its neighbours do.
    """


# --- what a target also answers ------------------------------------------------------------------------------------


@hookspec(firstresult=True)
def list_vms(cluster: Cluster) -> Sequence[Vm] | None:
    """Every machine whose stamp names the cluster, and any machine, stamped or not, that bears one of `cluster.names`.

    A machine that somebody has copied from one of the cluster's is none of them, where the target can tell: see `Vm.copy`.

    Asked again and again while a run waits: the core polls, no driver waits. The number of calls to the target does not
    depend on the number of machines.
    """


@hookspec
def preflight(machines: Sequence[tuple[Node, Boot]]) -> Sequence[str] | None:
    """Problems that would stop these machines from being created, one line each, before anything is created.

    Asked of every plugin; all lines are shown. A target checks whatever its configuration names and the size of the boot
    data (`boot` was rendered with a stand-in for addresses that are not known yet). Lines are bad input (exit code 2);
    trouble on the way to the target raises `TargetError`.
    """


@hookspec(firstresult=True)
def arrange_vms(cluster: Cluster, vms: Sequence[Vm]) -> bool | None:
    """After machines were created: whatever concerns them together, such as keeping masters on different hosts.

    `vms` are all machines of the cluster. Idempotent. True when done.
    """


@hookspec(firstresult=True)
def start_vm(vm: Vm) -> bool | None:
    """Power on a machine that exists, or wake it. True when it runs, also when it ran before.

    Returns at power-on. The boot data that the target holds for it stays as it is: a machine that was scrubbed is not given
    its secrets again. Reads the stamp again first: a machine whose stamp is not `vm.stamp` raises `TargetError` and stays as
    it is. Where nobody answers this, `provision_vm` is asked, with boot data that is rendered for nothing.
    """


@hookspec(firstresult=True)
def scrub_boot(vm: Vm) -> bool | None:
    """Replace the boot data that the target still holds by one without secrets, so that a reboot stays no first boot.

    Called for machines whose `scrubbed` is false, once the cluster or discovery has shown that they are up. Idempotent.
    True when done.
    """


@hookspec(firstresult=True)
def deliver_task(vm: Vm, task: bytes | None) -> bool | None:
    """Put a task where the machine finds it; None takes away what waits. Asked of the target; first result. True when done.

    A mailbox for one task: what is delivered while the machine is off or reboots is found afterwards, and waits, also when
    it was read, until another takes its place or it is taken away, and then the target holds nothing of it. `list_vms` says
    which one waits (`Vm.task`); the machine reads it by `RECEIVER`, which the target's `render_boot` brings. Idempotent.

    Reads the stamp again first: a machine whose stamp is not `vm.stamp` raises `TargetError` and stays as it is, as does one
    that was made without a place for tasks; a task of more than `task_limit` bytes raises it, too, and what waited waits on.
    Power, boot data and stamp never change. Tasks are never empty, and sealed: who sees one on its way learns nothing.
    """


@hookspec(firstresult=True)
def restamp_vm(vm: Vm, stamp: Stamp) -> bool | None:
    """Write this stamp in place of the machine's: what had changed since it was made was applied to it as it runs.

    Only `spec` and `made_of` are others than those of `vm.stamp`. In one step: whoever looks meanwhile sees the one or the
    other. Asked of the target; first result. Idempotent: a machine that has `stamp` already is fine. True when done.

    Reads the stamp again first: a machine whose stamp is neither raises `TargetError` and stays as it is. Power, boot data,
    and a task that waits, never change. Where nobody answers this, changes are applied by making machines anew.
    """


@hookspec(firstresult=True)
def task_limit() -> int | None:
    """How many bytes a task may have on this target. Asked of the target, which knows it without I/O; first result."""


@hookspec(firstresult=True)
def destroy_vm(vm: Vm) -> bool | None:
    """Power off and delete the machine with the disks that it was made with. True when it is gone, also when it was before.

    Reads the stamp again first: a machine whose stamp is not `vm.stamp` raises `TargetError` and stays as it is. A disk that
    was attached after creation (a volume of a storage driver), that is a template's or another machine's, or whose origin
    is unknown, survives: it is detached first, or `TargetError` says which one it is and nothing is deleted.
    """


# --- what is asked of others ---------------------------------------------------------------------------------------


@hookspec
def render_grants(nodes: Sequence[Node]) -> str | None:
    """What somebody else must grant to the accounts and tokens that the configuration names, ready to be applied.

    Asked of every plugin; `kube-provision plugins grants` prints all answers. A text in the words of the service that
    grants, such as a script of its own tool, with a comment of what each right is for: exactly what the plugin needs for
    these masters and workers. A function of its arguments and of the plugin's configuration: no I/O, no secrets. None:
    nothing is asked of anybody.
    """


# --- baking templates ----------------------------------------------------------------------------------------------


@hookspec(firstresult=True)
def list_templates(roles: frozenset[Role]) -> Sequence[Template] | None:
    """The templates that the configuration names for these roles, each once, whether they exist or not. Asked of the target.

    With the machine that bakes each, if there is one. Asked again and again while a run waits: the core polls, no driver
    waits. Raises `ConfigError`, with all problems at once, for a template or a source that the configuration names badly.
    What else keeps a template from being baked stands in its `hindrances`: only the core knows whether it is to be.
    """


@hookspec(firstresult=True)
def bake_image(template: Template, image: Image) -> bool | None:
    """Make a machine from the template's source that boots `image.boot`, and power it on. True when it runs.

    It bears another name than the template, and is marked with `image.spec`: the next `list_templates` finds it. A machine
    that an earlier run has left there is replaced. The template itself, if there is one, stays as it is.
    """


@hookspec(firstresult=True)
def finish_image(template: Template) -> bool | None:
    """Shut down the machine that has baked itself and make it the template, in place of an earlier one. True when done.

    What it holds is kept beside it (`template.baking.baked`), for `list_templates` and for people; its boot data and status
    go. An earlier template goes last, or stays under another name where machines may build on it; one that was not baked
    raises `TargetError`. Idempotent: what a killed run began is brought to its end.
    """


@hookspec
def seal_image() -> Sequence[Step] | None:
    """Steps, of the stage `finish`, that take out of a template what its machines must not share. Asked of every plugin.

    Identities, data of services, caches of packages. They may find nothing to remove. The core's own run after all others.
    """


# --- what discovery may also answer --------------------------------------------------------------------------------


@hookspec(firstresult=True)
def lock_cluster(cluster: Cluster) -> AbstractContextManager[None] | None:
    """A lock that two runs for one cluster cannot hold at once. Entering raises `BusyError`, which is a
    `DiscoveryError`, naming the holder, soon.

    Another lock than the one that nodes take: a run holds it for as long as it lasts, and waits for nodes meanwhile. That of
    a run that was killed frees itself within a minute. Whatever is raised under it goes through as it is, and leaving it
    raises nothing. None: there is no service yet that could keep it.
    """


@hookspec(firstresult=True)
def admit_nodes(cluster: Cluster) -> bool | None:
    """Give each of `cluster.nodes` the rights that it needs in the service, and nobody that is not among them any.

    For a service that tells machines apart; None: this one does not. Called under its lock where it answers, before a run
    changes anything, and once more when it has destroyed machines. A run that makes the service's own machine calls it not
    even once: that machine's boot data has to bring the others' rights along. Idempotent. True when done; raises
    `DiscoveryError`.
    """


@hookspec(firstresult=True)
def keep_history_head(cluster: Cluster, head: str) -> bool | None:
    """Keep this beside the record of the cluster, in place of what was kept before.

    By it a history of the cluster that was cut, or changed, is noticed: a line of at most 200 printable characters that only
    the core understands, and no secret. `forget_cluster` deletes it. Called as a run begins to change something, and as it
    ends. None: this service keeps none, and the history goes without. True when done; raises `DiscoveryError`.
    """


@hookspec(firstresult=True)
def history_head(cluster: Cluster) -> str | None:
    """What `keep_history_head` was given last for this cluster's name; empty where nothing is kept. None: as there.

    Raises `DiscoveryError` when it cannot know: only "empty" means that nothing is kept.
    """


@hookspec(firstresult=True)
def forget_initialising(cluster: Cluster, node_name: str) -> bool | None:
    """Delete the record that `node_name` is initialising the cluster; called when that machine is observed gone.

    Checks and deletes in one step: a record that has changed meanwhile stays. True when no record says so any more; False
    when it has just changed.
    """


@hookspec(firstresult=True)
def forget_cluster(cluster: Cluster) -> bool | None:
    """Delete everything the service knows about the cluster, so that the next one of its name starts afresh.

    By its name: the core has seen to it that it is this one. Other clusters stay, also `prod-2` where `prod` is forgotten.
    True when done, also when nothing was known; None where there is no service to ask.
    """


@hookspec(firstresult=True)
def discovery_notice(cluster: Cluster) -> str | None:
    """A line for `status`: what its user should know of the service, such as who may write there.

    Called once the service was asked; it may ask it, too, and raises nothing. Empty, or None, where there is nothing to say.
    """


# --- the end -------------------------------------------------------------------------------------------------------


@hookspec
def close() -> None:
    """The run is over, well or badly: log out, close connections. Never raises. Called once, on every plugin."""
