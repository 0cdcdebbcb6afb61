"""What is known of a cluster and of templates: each fact is asked for when it is first wanted, and once.

A machine's own word is a reason to ask, never an answer: on some targets every process of a guest can write what the machine
publishes. What decides anything comes from discovery's record, from the folder, or from the cluster's API.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from .. import cluster as alive
from ..boot.tasks import Answer, read_answer, room_in
from ..cluster import skew
from ..cluster.known import Known, Unknown, learn
from ..cluster.observe import Observation, observe
from ..contract.errors import ControlPlaneError, PluginError
from ..contract.kinds import ANSWER_LIMIT
from ..contract.machines import FailureDomain, Role
from ..registry import declared

if TYPE_CHECKING:
    from ..backup import Archive
    from ..cluster.advice import Remedies
    from ..cluster.backups import LastBackup
    from ..cluster.cluster_node import ClusterNode
    from ..cluster.kubeadm_configuration import KubeadmConfiguration
    from ..cluster.settings import Setting
    from ..cluster.versions import StaticPod
    from ..config.core import CoreConfig
    from ..config.specification import Change
    from ..contract.boot import Step
    from ..contract.components import Component
    from ..contract.machines import Node
    from ..contract.packages import Packages
    from ..contract.templates import Image, Template
    from ..folder.store import Folder
    from .nodes import DrainNode
    from .session import Session

__all__ = ["Facts", "Known", "Unknown", "learn"]

_BY_HAND = "https://kubernetes.io/docs/tasks/administer-cluster/kubeadm/kubeadm-reconfigure/"


class Facts:
    """What a run, or who only looks, knows before anything is changed."""

    def __init__(self, session: Session, seen: Observation | None = None) -> None:
        """`seen`: what was observed already; else target and discovery are asked when that is first wanted."""
        self._session = session
        if seen is not None:
            self.seen = seen

    @cached_property
    def seen(self) -> Observation:
        """The machines, and discovery's record. Raises `TargetError`."""
        return observe(self._session.hook, self._session.desired.cluster)

    @property
    def folder(self) -> Folder:
        return self._session.folder

    @property
    def remedies(self) -> Remedies:
        """Advice about the cluster as it was observed."""
        return self._session.remedies_for(self.seen)

    @cached_property
    def arranges(self) -> bool:
        """The target arranges its machines among themselves."""
        return self._session.answers("arrange_vms")

    # --- the living cluster ----------------------------------------------------------------------------------------

    @cached_property
    def initialised(self) -> Known[bool] | Unknown:
        """Whether the cluster lives: by the record, by the mark in its folder, or because its API answers.

        Its API is asked only where a master says that it has finished. "No master answers right now" is never taken for "no
        cluster".
        """
        if self._session.remembers(self.seen):
            return Known(True)
        claims = [vm.name for vm in self.seen.of(Role.MASTER) if vm.status and vm.status.finished]
        if not claims or isinstance(self._asked, Known):
            return Known(bool(claims))
        return Unknown(ControlPlaneError(f"{', '.join(claims)} told that the boot has finished, and {self._asked.reason}"))

    @property
    def lives(self) -> bool:
        """The cluster is known to be initialised."""
        return self.initialised == Known(True)

    @property
    def answers(self) -> bool:
        """Whether a master that was observed tells of its nodes, whatever is known of the cluster besides."""
        return isinstance(self._asked, Known)

    @property
    def answering(self) -> str:
        """Who of the cluster's masters answers, by discovery's sight or the run's own; empty where nobody does."""
        healthy = [master.name for master in self.seen.discovery.masters] if self.seen.discovery else []
        return ", ".join(healthy) or ("a master of it" if self.answers else "")

    @cached_property
    def leaders(self) -> Mapping[str, str | ControlPlaneError]:
        """Of each master that is not off, by name: whom its etcd follows, empty where nobody, or why it cannot say."""
        return alive.leaders(self.seen, self.folder.pki)

    @cached_property
    def delivers(self) -> bool:
        """The target brings machines what they are to do."""
        return self._session.answers("deliver_task")

    @cached_property
    def restamps(self) -> bool:
        """The target writes on a machine what was applied to it since it was made."""
        return self._session.answers("restamp_vm")

    def who_answers(self, addresses: Collection[str]) -> str:
        """One of these addresses where a master of the cluster listens, known there or not; empty where none does."""
        if not addresses:
            return ""
        from ..cluster.elsewhere import who_answers

        return who_answers(addresses, self.folder.pki.ca)

    @property
    def archive(self) -> Archive | None:
        """The backup that the cluster is restored from."""
        return self._session.archive

    @cached_property
    def readiness(self) -> Known[alive.Readiness] | Unknown:
        """Which nodes Kubernetes calls ready; nobody is asked where the cluster is not initialised."""
        return self._asked if self.lives else alive.NOBODY_ASKED

    def node(self, name: str) -> ClusterNode | None:
        """The machine as the cluster counts it; None where nobody could tell, and for one that is no node."""
        return alive.node_of(self.readiness, name)

    @property
    def kubernetes_error(self) -> str:
        """Why nobody could tell which nodes are ready; empty where a master told, and where there is surely no cluster."""
        for fact in (self.initialised, self.readiness):
            if isinstance(fact, Unknown) and fact is not alive.NOBODY_ASKED:
                return fact.reason
        return ""

    @cached_property
    def hints(self) -> tuple[str, ...]:
        """Why nodes whose boot has finished are not ready."""
        if isinstance(self.readiness, Unknown):
            return ()
        finished = [vm.name for vm in self.seen.ours.values() if vm.status and vm.status.finished]
        manifests = self._session.config.by_role[Role.MASTER].seed_manifests
        found = alive.hint(self.readiness.value, finished, network_plugin=bool(manifests), kubeconfig=self.folder.kubeconfig)
        return (found,) if found else ()

    @property
    def drift(self) -> tuple[str, ...]:
        """That the configuration names another Kubernetes than the cluster's, and how that ends."""
        if isinstance(self.readiness, Unknown):
            return ()
        return skew.drift(self.seen.cluster, self.readiness.value.version, self.remedies)

    def unapplied(self, kept: KubeadmConfiguration) -> tuple[str, ...]:
        """Arguments of its programs that the configuration says otherwise than kubeadm keeps them, and what brings them."""
        wanted = self._session.config.by_role[Role.MASTER].kubeadm.cluster
        return tuple(
            f"{key} is another one in the cluster, which kubeadm reads once: to change it there, see {_BY_HAND}"
            for key in kept.other_arguments(wanted)
        )

    @cached_property
    def nodes(self) -> Known[alive.Living] | Unknown:
        """What a living master knows of its nodes; nothing where the cluster is not known to live."""
        return self._living(etcd=False)

    @cached_property
    def members(self) -> Known[alive.Living] | Unknown:
        """The same with etcd's members, for whom masters come or go."""
        return self._living(etcd=True)

    @cached_property
    def backup(self) -> Known[LastBackup | None] | Unknown:
        """The last one that was made of a cluster that lives, as it says itself."""
        return learn(self._last_backup)

    def control_planes(self) -> Mapping[str, Sequence[StaticPod]]:
        """What masters run that bears the version of Kubernetes, by their names. Raises `ControlPlaneError`."""
        with alive.control_plane(self.seen, self.folder.pki) as api:
            return api.versions.control_planes()

    def removed_apis(self, version: str) -> tuple[str, ...]:
        """What clients use that the version does not serve. Raises `ControlPlaneError`."""
        with alive.control_plane(self.seen, self.folder.pki) as api:
            return api.versions.removed_apis(version)

    def unread_settings(self) -> tuple[Setting, ...]:
        """What its programs are told that nobody but themselves can read. Raises `ControlPlaneError`."""
        with alive.control_plane(self.seen, self.folder.pki) as api:
            return api.versions.unread_settings()

    def core(self, role: Role) -> CoreConfig:
        """The configuration's keys of our own, as they are for a role."""
        return self._session.config.by_role[role]

    @property
    def encrypts(self) -> bool:
        """Whether Secrets are to be encrypted at rest, as the configuration says."""
        return self.core(Role.MASTER).encryption_at_rest

    def changes(self, node: Node) -> tuple[Change, ...]:
        """What its machine was made of otherwise than the configuration says now; none of a machine that does not exist."""
        vm = self.seen.ours.get(node.name)
        if vm is None or vm.stamp is None or vm.stamp.spec == node.stamp.spec:
            return ()
        return self._session.config.changes(node.role, vm.stamp)

    def failure_domains(self, role: Role) -> Sequence[FailureDomain]:
        """Those of the target's that machines of a role spread over."""
        return self._session.failure_domains(role)

    def packages(self, component: Component, version: str) -> Packages:
        """How the nodes' system installs a version of a component of Kubernetes. Raises `BootError` where it cannot."""
        return self._session.packages(component, version)

    def upgrade_packages(self) -> tuple[Step, ...]:
        """How the nodes' system brings what is installed to its newest. Raises `PluginError` where its driver cannot."""
        return self._session.upgrade_packages()

    def objections_to(
        self, drains: Collection[DrainNode], *, going: Collection[str] = (), coming: Collection[str] = ()
    ) -> tuple[str, ...]:
        """What can never leave these nodes, or would be lost with them. Raises `ControlPlaneError`.

        `going`, `coming`: names of nodes that go with them for good, and of those that are made meanwhile.
        """
        if not drains:
            return ()
        from ..cluster.drain import Drain
        from ..cluster.places import Place

        with alive.control_plane(self.seen, self.folder.pki) as api:
            staying = [place for place in api.workloads.places() if place.name not in going]
            places = [*staying, *map(Place, coming)]
            each = [Drain(api.workloads, drain.name, drain.draining.force).objections(places) for drain in drains]
            return tuple(line for lines in each for line in lines)

    def emptied(self, name: str) -> str:
        """How far a node is emptied that takes no new pods, and what is still waited for; empty of one that takes them."""
        node = self.node(name)
        if node is None or node.schedulable:
            return ""
        from ..cluster.drain import Drain

        try:
            with alive.control_plane(self.seen, self.folder.pki) as api:
                left = Drain(api.workloads, name, looks_only=True).step()
        except ControlPlaneError as error:
            left = str(error)
        cordoned = f"cordoned to be {node.purpose}" if node.purpose else "cordoned"
        return f"{cordoned}, no new pods begin there; {f'still there: {left}' if left else 'none is left that would move'}"

    def outlived(self, name: str) -> str:
        """That the cluster still counts a node whose machine is not there, and what was to become of it; empty else."""
        node = self.node(name)
        if node is None or name in self.seen.ours:
            return ""
        return f"its machine is gone{f', to be {node.purpose}' if node.purpose else ''}; the cluster counts its node still"

    def task(self, name: str) -> Answer | None:
        """What a machine answers of what it was given last, where its own code proves that it does."""
        vm = self.seen.ours.get(name)
        if vm is None or vm.stamp is None or not vm.stamp.instance:
            return None
        return read_answer(vm.status, self.folder.pki.machine_key(vm.stamp.cluster_id, name, vm.stamp.instance))

    @property
    def answer_room(self) -> int:
        """Bytes that a machine's answer has for what it is asked to tell; see `boot.tasks.asking`."""
        return room_in(declared(self._session.target, "answer_limit", ANSWER_LIMIT))

    def given(self, name: str) -> str:
        """How it goes with that, in a line; empty where all is done."""
        answer, waits = self.task(name), bool(self.seen.ours[name].task)
        if answer is None or answer.status.finished:
            return "something that it is to do waits for it still" if waits and answer is None else ""
        how = f"has failed: {answer.status.reason}" if answer.status.state == "failed" else answer.status.progress
        return f"{answer.verb} {how}"

    def _last_backup(self) -> LastBackup | None:
        with alive.control_plane(self.seen, self.folder.pki) as api:
            return api.backups.last()

    def _living(self, *, etcd: bool) -> Known[alive.Living] | Unknown:
        if not self.lives:
            return Known(alive.Living())
        if not self.seen.master_addresses and not self.seen.of(Role.MASTER):
            return Unknown(
                ControlPlaneError(
                    f"cluster {self.seen.cluster.name} has no master any more, and with the last one it was lost: restore "
                    f"one on the target, or remove what is left and begin anew: {self._session.remedies.destroy()}"
                )
            )
        return learn(lambda: alive.look(self.seen, self.folder.pki, etcd=etcd))

    @cached_property
    def _asked(self) -> Known[alive.Readiness] | Unknown:
        return alive.ask_readiness(self.seen, self.folder.pki, version=True)

    # --- templates -------------------------------------------------------------------------------------------------

    @cached_property
    def templates(self) -> Known[tuple[Template, ...]] | Unknown:
        """Those that the configuration names for roles that have machines."""
        if not self._session.answers("list_templates"):
            return Unknown(PluginError("the target knows no templates"))
        roles = frozenset(node.role for node in self._session.desired.all)
        return learn(lambda: tuple(self._session.hook.list_templates(roles=roles)))

    def image(self, template: Template) -> Image:
        """What the configuration wants a template to hold. Raises `BootError`."""
        return self._session.image(template.roles, template.source)
