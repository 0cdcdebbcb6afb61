"""How each action is done, and how awaited machines are looked at."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import singledispatchmethod

from .apply import Sight, State
from .control_plane import ControlPlane
from .errors import KubeProvisionError
from .model import Node, Role, Vm
from .observe import Observation, locate
from .pki import JoinSecrets
from .plan import (
    Action,
    ArchiveFolder,
    ArrangeVms,
    AwaitNode,
    CreateVm,
    DestroyVm,
    ForgetCluster,
    ForgetInitialising,
    MintSecrets,
    RemoveMember,
    ScrubNode,
    StartVm,
)
from .session import Session
from .sight import Awaited, judge

TOKEN_SECONDS = 45 * 60
"""A minted token's life: 30 minutes past the quarter of an hour that a machine may take to boot."""

PATIENCE = 3
"""Looks in a row that may fail before what is awaited is given up."""


class Performer:
    """Performs the actions of one run. Thread-safe: actions run side by side."""

    def __init__(self, session: Session, seen: Observation, *, address_timeout: float, finish_timeout: float) -> None:
        """Timeouts in seconds, per machine, from the moment it is awaited."""
        self._session, self._hook = session, session.hook
        self._seen, self._cluster = seen, seen.cluster
        self._vms = dict(seen.ours)
        self._address_timeout, self._finish_timeout = address_timeout, finish_timeout
        self._since: dict[str, float] = {}
        self._failed_looks = 0
        self._lock = threading.Lock()

    @property
    def observation(self) -> Observation:
        """What is known now, with what the run has done and seen since."""
        with self._lock:
            return replace(self._seen, cluster=self._cluster, vms=tuple(self._vms.values()))

    # --- performing ------------------------------------------------------------------------------------------------

    def __call__(self, action: Action) -> str:
        return self._perform(action)

    @singledispatchmethod
    def _perform(self, action: Action) -> str:
        raise TypeError(f"nobody performs {action.key}")

    @_perform.register
    def _(self, action: CreateVm) -> str:
        return self._provision(action.node)

    @_perform.register
    def _(self, action: StartVm) -> str:
        return self._provision(action.node)

    def _provision(self, node: Node) -> str:
        with self._lock:
            cluster = self._cluster
        node = replace(node, stamp=replace(node.stamp, cluster_id=self._session.folder.cluster_id))
        vm: Vm = self._hook.provision_vm(node=node, boot=self._session.render(node, cluster))
        with self._lock:
            self._vms[vm.name] = vm
        return vm.where or vm.id

    @_perform.register
    def _(self, action: ScrubNode) -> str:
        with self._lock:
            vm = self._vms[action.node.name]
        self._hook.scrub_boot(vm=vm)
        with self._lock:
            self._vms[vm.name] = replace(self._vms[vm.name], scrubbed=True)
        return "secrets are gone from its boot data"

    @_perform.register
    def _(self, action: DestroyVm) -> str:
        self._hook.destroy_vm(vm=action.vm)
        with self._lock:
            self._vms.pop(action.vm.name, None)
        return "gone"

    @_perform.register
    def _(self, action: ArrangeVms) -> str:
        with self._lock:
            vms = tuple(self._vms.values())
        self._hook.arrange_vms(cluster=self._cluster, vms=vms)
        return ""

    @_perform.register
    def _(self, action: RemoveMember) -> str:
        with self._control_plane() as api:
            member_ids = [action.member] if action.member else [m.id for m in api.etcd_members() if m.name == action.name]
            for member_id in member_ids:
                api.remove_etcd_member(member_id)
            api.delete_node(action.name)
        return "no longer in etcd, nor in the cluster" if member_ids else "no longer in the cluster"

    @_perform.register
    def _(self, action: MintSecrets) -> str:
        folder = self._session.folder
        certificate_key = self._certificate_key() if action.masters else folder.certificate_key
        with self._control_plane() as api:
            if action.masters:
                api.upload_certificates(certificate_key)
            token = api.mint_token(TOKEN_SECONDS)
        self._session.use(JoinSecrets(folder.pki, token, certificate_key))
        return f"valid for {TOKEN_SECONDS // 60} minutes"

    def _certificate_key(self) -> str:
        """A new one, unless a master of an earlier run may still be about to join with the one it was given."""
        joining = any(not (vm.status and vm.status.finished) for vm in self._seen.of(Role.MASTER))
        folder = self._session.folder
        return folder.certificate_key if joining else folder.renew_certificate_key()

    def _control_plane(self) -> ControlPlane:
        return ControlPlane(self._seen.master_addresses, self._session.folder.pki, endpoint=self._seen.cluster.endpoint)

    @_perform.register
    def _(self, action: ForgetInitialising) -> str:
        self._hook.forget_initialising(cluster=self._cluster, node_name=action.name)
        return f"{action.name} is gone"

    @_perform.register
    def _(self, action: ForgetCluster) -> str:
        self._hook.forget_cluster(cluster=self._cluster)
        return ""

    @_perform.register
    def _(self, action: ArchiveFolder) -> str:
        return f"moved to {self._session.folder.archive()}"

    # --- watching --------------------------------------------------------------------------------------------------

    def watch(self, awaited: Collection[Action]) -> Mapping[str, Sight]:
        """One look at the target for all awaited machines. A target that fails again and again fails what is awaited."""
        try:
            vms = tuple(self._hook.list_vms(cluster=self._cluster))
        except KubeProvisionError as error:
            self._failed_looks += 1
            if self._failed_looks < PATIENCE:
                return {}
            return {action.key: Sight(State.FAILED, str(error)) for action in awaited}
        self._failed_looks = 0
        seen = {vm.name: vm for vm in vms if vm.stamp and vm.stamp.cluster_id == self._session.folder.cluster_id}
        with self._lock:
            self._vms.update(seen)
            self._cluster = locate(self._cluster, vms)
        return {
            action.key: self._sight(action, seen.get(action.subject)) for action in awaited if isinstance(action, AwaitNode)
        }

    def _sight(self, action: AwaitNode, vm: Vm | None) -> Sight:
        waited = time.monotonic() - self._since.setdefault(action.key, time.monotonic())
        before = self._seen.ours.get(action.subject)
        awaited = Awaited(
            self._session.remedies,
            action.subject,
            until_finished=action.until_finished,
            before=before.status if before else None,
            address_timeout=self._address_timeout,
            finish_timeout=self._finish_timeout,
        )
        return judge(awaited, vm, waited)
