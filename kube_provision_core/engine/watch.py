"""Looks at everything that a run awaits: at all machines or templates together, and at the cluster's API."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ..boot.tasks import read_answer
from ..cluster import Readiness, Roll, control_plane, hint
from ..cluster.drain import Drain
from ..cluster.known import Known, Unknown
from ..contract.errors import ControlPlaneError, FolderError, KubeProvisionError
from ..contract.machines import Role, Vm
from ..folder.kubeconfig import API_PORT
from .executor import Sight, State
from .latest import Latest
from .nodes import AwaitAddons, AwaitReady, DrainNode, Pause
from .plan import Action, AwaitImage, AwaitMasters, AwaitNode, AwaitTask
from .session import Session
from .sight import Awaited, History, judge, judge_baking, judge_task

if TYPE_CHECKING:
    from ..cluster.api import ControlPlane
    from ..contract.status import NodeStatus

PATIENCE = 3
"""Looks in a row that may fail before what is awaited is given up."""

READY_SECONDS = 600.0
"""From the end of the masters' boots until they are ready, at least: pulling a network plugin's images takes most of it."""


def ready_timeout(finish_timeout: float) -> float:
    """Machines that are given longer for their boots start a network plugin later too."""
    return max(READY_SECONDS, finish_timeout / 3)


def silence_timeout(finish_timeout: float) -> float:
    """Seconds for which no master may answer at the end of their boots: an API server restarts when another master has
    joined, and one that is emulated leaves others waiting."""
    return finish_timeout / 60


class Watcher:
    """One run's. Called by one thread at a time."""

    def __init__(
        self, session: Session, latest: Latest, roll: Roll, *, address_timeout: float, finish_timeout: float
    ) -> None:
        """Timeouts in seconds, per machine; `sight` says from when they count."""
        self._session, self._latest, self._roll = session, latest, roll
        self._address_timeout, self._finish_timeout = address_timeout, finish_timeout
        self._remedies = session.remedies_for(latest.before)
        self._histories: dict[str, History] = {}
        self._since: dict[str, float] = {}
        """When what is given a time began, by a key of its own: of any steady clock."""
        self._answers: dict[str, NodeStatus] = {}
        """To what was given, by the action that awaits it: a machine that reboots says nothing for a while."""
        self._failed_looks = 0
        self._kubeconfig = ""

    def __call__(self, awaited: Collection[Action]) -> Mapping[str, Sight]:
        """One look at the target for all awaited actions. A target that fails again and again fails what is awaited."""
        try:
            sights = self._look(awaited)
        except KubeProvisionError as error:
            self._failed_looks += 1
            if self._failed_looks < PATIENCE:
                return {}
            return {action.key: Sight(State.FAILED, str(error), retryable=error.retryable) for action in awaited}
        self._failed_looks = 0
        return sights

    def _look(self, awaited: Collection[Action]) -> dict[str, Sight]:
        images = [action for action in awaited if isinstance(action, AwaitImage)]
        return self._look_at_templates(images) if images else self._look_at_machines(awaited)

    def _look_at_machines(self, awaited: Collection[Action]) -> dict[str, Sight]:
        vms = tuple(self._session.hook.list_vms(cluster=self._latest.cluster))
        ours = {vm.name: vm for vm in vms if vm.stamp and vm.stamp.cluster_id == self._session.folder.cluster_id}
        self._latest.note(ours.values())
        self._remedies = self._session.remedies_for(self._latest.observation)
        nodes = [action for action in awaited if isinstance(action, AwaitNode)]
        sights = {action.key: self._node(action, ours.get(action.subject)) for action in nodes}
        booting = any(action.node.role is Role.MASTER and sights[action.key].state is State.RUNNING for action in nodes)
        return sights | {action.key: self._judge(action, booting) for action in awaited if not isinstance(action, AwaitNode)}

    def _judge(self, action: Action, booting: bool) -> Sight:
        """`booting`: a master is. For what is awaited of the cluster, and not of a machine."""
        match action:
            case DrainNode():
                return self._drain(action)
            case Pause():
                return self._pause(action)
            case AwaitReady():
                return self._settle(action)
            case AwaitAddons():
                return self._addons(action)
            case AwaitMasters():
                return self._masters(booting)
            case AwaitTask():
                return self._task(action)
        raise TypeError(f"nobody awaits {action.key}")

    def _look_at_templates(self, awaited: Collection[AwaitImage]) -> dict[str, Sight]:
        roles = frozenset().union(*(action.template.roles for action in awaited))
        self._latest.note_templates(self._session.hook.list_templates(roles=roles))
        return {action.key: self._image(action) for action in awaited}

    def _image(self, action: AwaitImage) -> Sight:
        waited = self._waited(action.key)
        baking = self._latest.template(action.template).baking
        return judge_baking(baking, action.spec, waited=waited, limit=self._finish_timeout)

    def _node(self, action: AwaitNode, vm: Vm | None) -> Sight:
        now = time.monotonic()
        history = self._histories.setdefault(action.key, History(now))
        history.note(vm, now)
        before = self._latest.before.ours.get(action.subject)
        awaited = Awaited(
            self._remedies,
            action.subject,
            until_finished=action.until_finished,
            before=before.status if before else None,
            address_timeout=self._address_timeout,
            finish_timeout=self._finish_timeout,
        )
        return judge(awaited, vm, history, now)

    def _waited(self, key: str) -> float:
        """Seconds since this was asked first."""
        now = time.monotonic()
        return now - self._since.setdefault(key, now)

    def _task(self, action: AwaitTask) -> Sight:
        """What bears no code of the machine's, or answers to something else, is nothing heard."""
        vm, given = self._latest.vm(action.subject), self._latest.given(action.subject)
        answer = read_answer(vm.status, given.key)
        if answer and answer.id == given.id:
            self._answers[action.key] = answer.status
            self._latest.note_answer(action.subject, answer)
        status = self._answers.get(action.key)
        waited, limit = self._waited(action.key), action.task.seconds
        return judge_task(self._remedies, vm, status, waited=waited, limit=limit, patience=action.patience)

    # --- single nodes of the cluster ---------------------------------------------------------------------------------

    def _drain(self, action: DrainNode) -> Sight:
        """One step of it. Masters that do not answer are asked again for as long as it may take."""
        left = action.draining.seconds - self._waited(action.key)
        wait = self._ask(lambda api: Drain(api.workloads, action.name, force=action.draining.force).step())
        if not wait:
            return Sight(State.DONE, "its pods have gone")
        if left > 0:
            return Sight(State.RUNNING, f"waits for {wait} (until {datetime.now() + timedelta(seconds=left):%H:%M:%S})")
        how = f"{action.name} stays cordoned: run again to go on, or with --no-drain to end its pods all the same"
        return Sight(State.FAILED, f"not drained in {action.draining.seconds:.0f} s: {wait}. {how}")

    def _pause(self, action: Pause) -> Sight:
        if action.until and time.time() >= action.until:
            return Sight(State.SKIPPED, f"left to another run: {datetime.fromtimestamp(action.until):%H:%M} is over")
        left = action.seconds - self._waited(action.key)
        return Sight(State.RUNNING, f"{left:.0f} s more") if left > 0 else Sight(State.DONE)

    def _settle(self, action: AwaitReady) -> Sight:
        waited, steady = self._waited(action.key), f"{action.key} steadily"
        why = self._unsettled(action)
        if why:
            self._since.pop(steady, None)
            return self._late(waited - action.seconds, why)
        stayed = self._waited(steady)
        if stayed < action.seconds:
            return Sight(State.RUNNING, f"Ready for {stayed:.0f} of {action.seconds:.0f} s")
        return Sight(State.DONE, "Ready")

    def _unsettled(self, action: AwaitReady) -> str:
        """Why the node is not as it should be; empty where it is."""
        told = self._roll.ask()
        if isinstance(told, Unknown):
            return f"not Ready: {told.reason}"
        node = told.value.node(action.subject)
        if node is None or not node.ready:
            return f"not Ready: {(node and node.message) or 'the cluster does not call it Ready'}"
        if not action.version:
            return ""
        if node.kubelet != action.version:
            return f"its kubelet is at {node.kubelet} still"
        if action.node.role is not Role.MASTER:
            return ""
        return self._ask(lambda api: api.versions.behind(action.subject, action.version))

    def _addons(self, action: AwaitAddons) -> Sight:
        waited = self._waited(action.key)
        why = self._ask(lambda api: api.versions.addons_behind(action.version))
        return self._late(waited, why) if why else Sight(State.DONE, f"as {action.version} brings them")

    def _late(self, waited: float, why: str) -> Sight:
        """For what a cluster becomes by itself."""
        return Sight(State.FAILED if waited > ready_timeout(self._finish_timeout) else State.RUNNING, why)

    def _ask(self, ask: Callable[[ControlPlane], str]) -> str:
        """What a living master says to it. One that does not answer is what is waited for: it may be busy for a while."""
        try:
            with control_plane(self._latest.observation, self._session.folder.pki) as api:
                return ask(api)
        except ControlPlaneError as error:
            return str(error)

    # --- the masters together --------------------------------------------------------------------------------------

    def _masters(self, booting: bool) -> Sight:
        """While masters boot their API is asked aside, since one that does not answer must hold up no look at the others."""
        told = self._roll.ask_aside() if booting else self._roll.ask()
        if isinstance(told, Known) and not self._kubeconfig:
            self._write_kubeconfig(told.value.address)
        if booting:
            return Sight(State.RUNNING, self._kubeconfig or "no master serves yet")
        return self._after_their_boots(told)

    def _after_their_boots(self, told: Known[Readiness] | Unknown) -> Sight:
        finished = self._waited("masters that have booted")
        if isinstance(told, Unknown):
            text = f"whether the masters are Ready is not known: {told.reason}"
            return Sight(State.RUNNING, told.reason) if self._may_answer_yet() else Sight(State.DONE, text)
        self._since.pop("masters that are silent", None)
        unready = self._unready(told.value)
        if not unready:
            return Sight(State.DONE, self._kubeconfig)
        plugin = bool(self._session.config.by_role[Role.MASTER].seed_manifests)
        kubeconfig = self._session.folder.kubeconfig
        why = hint(told.value, unready, network_plugin=plugin, kubeconfig=kubeconfig) or f"{', '.join(unready)}: not Ready"
        if not plugin:
            return Sight(State.DONE, why)
        late = finished > ready_timeout(self._finish_timeout)
        return Sight(State.FAILED if late else State.RUNNING, why)

    def _may_answer_yet(self) -> bool:
        """Masters that have booted are silent for a while. Where none has, nobody will answer."""
        return bool(self._booted()) and self._waited("masters that are silent") <= silence_timeout(self._finish_timeout)

    def _unready(self, readiness: Readiness) -> list[str]:
        """Masters which Kubernetes does not call ready; of those that have not booted their own rows tell."""
        ready = {node.name for node in readiness.nodes if node.ready}
        return [name for name in self._booted() if name not in ready]

    def _booted(self) -> list[str]:
        return [vm.name for vm in self._latest.observation.of(Role.MASTER) if vm.status and vm.status.finished]

    def _write_kubeconfig(self, address: str) -> None:
        """As soon as a master serves, so that a run which is killed later leaves it. Another attempt ends the run."""
        seen = self._latest.observation
        with suppress(FolderError):
            path = self._session.folder.write_kubeconfig(address, seen.cluster.endpoint(address, API_PORT))
            name = next((vm.name for vm in seen.of(Role.MASTER) if address in vm.addresses), address)
            self._kubeconfig = f"{name} serves; kubeconfig: {path}" if path else f"{name} serves"
