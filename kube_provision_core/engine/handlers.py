"""How each action is done."""

from __future__ import annotations

import secrets
from dataclasses import replace
from functools import singledispatchmethod
from typing import TYPE_CHECKING

from ..boot.tasks import seal
from ..cluster import Roll, control_plane
from ..contract.errors import DiscoveryError
from ..contract.machines import Cluster, Node, Power, Role, Vm
from ..folder.encryption import Stage
from .bringing import Bringing
from .encryption import RewriteSecrets, TurnKeys
from .latest import Latest
from .nodes import CordonNode, DeleteNode, ForgetNodes, LabelNode, RemoveMember, UncordonNode
from .plan import (
    AbandonCluster,
    Action,
    ArchiveFolder,
    ArrangeVms,
    BakeImage,
    BeginRestore,
    BringSnapshot,
    ClearTask,
    CreateVm,
    DestroyVm,
    FinishImage,
    ForgetCluster,
    ForgetInitialising,
    GiveTask,
    MintSecrets,
    RestampVm,
    ScrubNode,
    StartVm,
)
from .session import Session

if TYPE_CHECKING:
    from ..cluster.api import ControlPlane

TOKEN_SECONDS = 45 * 60
"""A minted token's life: 30 minutes past the quarter of an hour that a machine may take to boot."""


class Performer:
    """Performs the actions of one run. Thread-safe: actions run side by side."""

    def __init__(self, session: Session, latest: Latest, roll: Roll) -> None:
        self._session, self._hook, self._latest, self._roll = session, session.hook, latest, roll
        self._secrets = session.folder.join_secrets()
        """Replaced by those that a living cluster is told, before a machine is made that needs them."""

    def __call__(self, action: Action) -> str:
        return self._perform(action)

    @singledispatchmethod
    def _perform(self, action: Action) -> str:
        raise TypeError(f"nobody performs {action.key}")

    @_perform.register
    def _(self, action: CreateVm) -> str:
        return self._provision(action.node, action.joins(self._latest.cluster))

    @_perform.register
    def _(self, action: StartVm) -> str:
        """Renders nothing, unless the target was written before there was a hook for it."""
        if not self._session.answers("start_vm"):
            return self._provision(action.node, self._latest.cluster)
        vm = self._latest.vm(action.node.name)
        self._hook.start_vm(vm=vm)
        self._latest.note([replace(vm, power=Power.ON)])
        return vm.where or vm.id

    def _provision(self, node: Node, cluster: Cluster) -> str:
        cluster_id = self._session.folder.cluster_id
        node = replace(node, stamp=replace(node.stamp, cluster_id=cluster_id, instance=self._instance(node.name)))
        if node.stamp.carries_ca:
            self._session.folder.note_carrier(node.name if cluster.discovery_on_masters else "")
        vm: Vm = self._hook.provision_vm(node=node, boot=self._session.render(node, cluster, self._secrets))
        self._latest.note([vm])
        return vm.where or vm.id

    def _instance(self, name: str) -> str:
        """A machine that exists stays the one that it is."""
        vm = self._latest.observation.ours.get(name)
        return vm.stamp.instance if vm and vm.complete and vm.stamp else secrets.token_hex(8)

    @_perform.register
    def _(self, action: ScrubNode) -> str:
        vm = self._latest.vm(action.node.name)
        if not vm.scrubbed:
            if objection := self._objection(vm):
                return f"the secrets in its boot data are left for the next run to take away: {objection}"
            self._hook.scrub_boot(vm=vm)
            self._latest.note_scrubbed(vm.name)
        return "secrets are gone from its boot data"

    def _objection(self, vm: Vm) -> str:
        """Why it is not certain that the machine needs its boot data no more, whatever it says; empty where it is."""
        if vm.stamp and vm.stamp.role is Role.DISCOVERY:
            return self._objection_to_server(vm)
        before = self._latest.before
        same = vm.name in before.ours and before.ours[vm.name].id == vm.id
        return "" if same and before.healthy(vm.name) else self._roll.objection(vm.name)

    def _objection_to_server(self, vm: Vm) -> str:
        """Of several each is asked itself: that another one answers says nothing of it."""
        cluster = self._latest.cluster
        own = next((it for it in cluster.discovery_addresses if it in vm.addresses), None)
        if own is None:
            return f"discovery is asked at {cluster.discovery_address}"
        if self._latest.before.discovery is not None and not cluster.discovery_others:
            return ""
        try:
            self._hook.discover_masters(cluster=replace(cluster, discovery_address=own, discovery_others=()))
        except DiscoveryError as error:
            return str(error)
        return ""

    @_perform.register
    def _(self, action: GiveTask) -> str:
        vm = self._latest.vm(action.node.name)
        sealed = seal(action.task, vm.name, vm.stamp or action.node.stamp, self._session.folder.pki)
        self._latest.note_given(vm.name, sealed)
        self._hook.deliver_task(vm=vm, task=sealed.content)
        return "it waits for the machine"

    @_perform.register
    def _(self, action: ClearTask) -> str:
        self._hook.deliver_task(vm=self._latest.vm(action.node.name), task=None)
        return "nothing waits for the machine"

    @_perform.register
    def _(self, action: RestampVm) -> str:
        vm, wanted = self._latest.vm(action.node.name), action.node.stamp
        stamp = replace(vm.stamp or wanted, spec=wanted.spec, made_of=wanted.made_of)
        self._hook.restamp_vm(vm=vm, stamp=stamp)
        self._latest.note([replace(vm, stamp=stamp)])
        return f"made of {stamp.spec}"

    @_perform.register
    def _(self, action: DestroyVm) -> str:
        self._hook.destroy_vm(vm=action.vm)
        self._latest.forget(action.vm.name)
        self._roll.strike(action.vm.name)
        return "gone"

    @_perform.register
    def _(self, action: ArrangeVms) -> str:
        seen = self._latest.observation
        self._hook.arrange_vms(cluster=seen.cluster, vms=tuple(seen.ours.values()))
        return ""

    @_perform.register
    def _(self, action: RemoveMember) -> str:
        with self._control_plane() as api:
            for member_id in _members(api, action):
                api.etcd.remove(member_id)
        return "no longer in etcd"

    @_perform.register
    def _(self, action: DeleteNode) -> str:
        with self._control_plane() as api:
            api.delete_node(action.name)
        self._roll.strike(action.name)
        return "no longer in the cluster"

    @_perform.register
    def _(self, action: CordonNode) -> str:
        with self._control_plane() as api:
            api.workloads.cordon(action.name, action.purpose)
        return "no more pods begin there"

    @_perform.register
    def _(self, action: UncordonNode) -> str:
        with self._control_plane() as api:
            freed = api.workloads.uncordon(action.name)
        return "pods begin there again" if freed else "stays cordoned, as somebody else has it"

    @_perform.register
    def _(self, action: LabelNode) -> str:
        with self._control_plane() as api:
            api.labels.give(action.node.name, dict(action.labels))
        return ", ".join(f"{key}={value}" for key, value in action.labels)

    @_perform.register
    def _(self, action: MintSecrets) -> str:
        folder = self._session.folder
        certificate_key = folder.renew_certificate_key() if action.renew else folder.certificate_key
        with self._control_plane() as api:
            if action.masters:
                api.upload_certificates(certificate_key)
            token = api.mint_token(TOKEN_SECONDS)
        self._secrets = replace(folder.join_secrets(), token=token, certificate_key=certificate_key)
        return f"valid for {TOKEN_SECONDS // 60} minutes"

    def _control_plane(self) -> ControlPlane:
        return control_plane(self._latest.observation, self._session.folder.pki)

    @_perform.register
    def _(self, action: ForgetInitialising) -> str:
        self._hook.forget_initialising(cluster=self._latest.cluster, node_name=action.name)
        return f"{action.name} is gone"

    @_perform.register
    def _(self, action: ForgetCluster) -> str:
        self._hook.forget_cluster(cluster=self._latest.cluster)
        self._latest.note_forgotten()
        return ""

    @_perform.register
    def _(self, action: AbandonCluster) -> str:
        self._session.folder.begin_abandoning(action.sha256, masters_only=action.masters_only)
        return "run again with --abandon-old to go on with it"

    @_perform.register
    def _(self, action: BeginRestore) -> str:
        self._session.folder.begin_restore(action.sha256, masters_only=action.masters_only)
        return "run again to go on with it"

    @_perform.register
    def _(self, action: TurnKeys) -> str:
        self._session.folder.turn_keys(action.stage)
        return "run again to go on with it" if action.stage is not Stage.SETTLED else "the old one is forgotten"

    @_perform.register
    def _(self, action: RewriteSecrets) -> str:
        with self._control_plane() as api:
            return f"{api.secrets_at_rest.rewrite()} written anew"

    @_perform.register
    def _(self, action: BringSnapshot) -> str:
        archive = self._session.archive
        if archive is None:
            raise TypeError("a snapshot of no backup")
        return Bringing(self._session.folder.pki, archive, self._latest).to(action.node)

    @_perform.register
    def _(self, action: ForgetNodes) -> str:
        kept = self._latest.observation.ours
        with self._control_plane() as api:
            gone = [node.name for node in api.nodes() if node.name not in kept]
            for name in gone:
                api.delete_node(name)
        return f"no longer in the cluster: {', '.join(gone) or 'nobody more'}"

    @_perform.register
    def _(self, action: ArchiveFolder) -> str:
        return f"moved to {self._session.folder.archive()}"

    @_perform.register
    def _(self, action: BakeImage) -> str:
        self._hook.bake_image(template=action.template, image=action.image)
        return f"from {action.template.source}"

    @_perform.register
    def _(self, action: FinishImage) -> str:
        template = self._latest.template(action.template)
        self._hook.finish_image(template=template)
        return template.baking.baked.summary if template.baking and template.baking.baked else ""


def _members(api: ControlPlane, action: RemoveMember) -> list[str]:
    """Ids of what etcd counts of that machine."""
    if action.member:
        return [action.member]
    return [member.id for member in api.etcd.members() if member.name == action.name]
