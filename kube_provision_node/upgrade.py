"""Brings this node to another version of Kubernetes, by the kubeadm that is installed already; or has a master be away.

    apply VERSION     on the first master: the cluster is upgraded, and the master itself
    node VERSION      on each other master
    worker VERSION    on a worker
    leave             on a master that is about to be started anew, with its system
    return            on one that was, and is back

On masters it happens under the cluster's lock. One that others could take the place of leaves the list of masters first, and
passes etcd's leadership on: nobody asks it while its API server is away. It comes back when it is healthy, and also where
kubeadm has failed, and put back what was. It may be broken off anywhere, and goes on where it was when it is run again.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from . import etcd, leadership, patience
from .client import Client, connect_client
from .journal import log_to_journal
from .kubeadm import KubeadmError
from .settings import Places, read_document
from .static_pods import PODS, StaticPod, StaticPods
from .upgrading import UpgradingKubeadm, image_version

log = logging.getLogger(__name__)

TURN_LIMIT = 3600.0
"""Seconds for discovery, for the lock, and for the other masters to be healthy."""
LOCK_LIMIT = 900.0
LIST_LIMIT = 60.0
"""Seconds until the list of masters says what this master has told."""
SETTLING = 5.0
"""Seconds from then until every node's proxy leads elsewhere: its follower is told at once, and nginx reads anew."""
HEALTH = "upgradeManifests"
"""Of kubeadm's waits the one that the whole control plane of a master is waited for, before and after."""
_PAUSE = 3.0


API_SERVER = next(pod for pod in PODS if pod.name == "kube-apiserver")


class UpgradeError(Exception):
    """This node cannot be upgraded; says why."""


@dataclass(frozen=True)
class Upgrade:
    places: Places
    client: Client
    unavailable: type[Exception]
    """The discovery module's `UnavailableError`."""
    kubeadm: UpgradingKubeadm
    pods: StaticPods
    sleep: Callable[[float], None] = time.sleep

    def run(self, verb: str, version: str) -> None:
        """Idempotent. Raises `UpgradeError`, `KubeadmError`, `EtcdError`, `OSError`, or what the client raises."""
        self.kubeadm.require(version)
        if verb == "worker":
            say("takes the settings of the new version")
            self.kubeadm.upgrade_node()
        else:
            self._prepare()
            self._take_turn(lambda others: self._upgrade(verb, version, others))
            self.kubeadm.tidy()

    def leave(self) -> None:
        """Until `come_back`, or until the timer of records finds its API server ready and registers it. Idempotent.

        The lock is free again afterwards: whoever takes it waits for all masters. Raises as `run` does.
        """
        self._until_healthy(self.pods.answer)
        self._take_turn(lambda others: self._leave() if others else None)

    def come_back(self) -> None:
        """Once the whole control plane is healthy. Idempotent. Raises as `run` does."""
        self._until_healthy(self.pods.answer)
        self._register()

    def _prepare(self) -> None:
        """What another one was broken off in is mended before anybody waits for it."""
        if (self.places.state / "certificates-before").exists():
            raise UpgradeError(
                "a renewal of certificates was broken off here; its timer goes on with it: try again after that"
            )
        self.kubeadm.put_back()
        self.kubeadm.require_room()
        self._until_healthy(self.pods.answer)

    def _take_turn(self, act: Callable[[set[str]], None]) -> None:
        """Under the cluster's lock, while all others are healthy. It is told the addresses of other masters."""
        self._until(lambda: self._turn(act), TURN_LIMIT)

    def _turn(self, act: Callable[[set[str]], None]) -> str:
        """What is waited for still; empty once it is done."""
        say("waits for its turn")
        with self.client.lock(LOCK_LIMIT):
            others = set(etcd.masters(self._pki)) - {self.client.address()}
            gone = sorted(others - set(self.client.masters("", 0.0)[1]))
            if gone:
                return f"waits until all masters are healthy: discovery does not see {', '.join(gone)}"
            act(others)
        return ""

    def _upgrade(self, verb: str, version: str, others: set[str]) -> None:
        with self._away() if others else nullcontext():  # to the only master everybody is led, whatever discovery says
            say(f"upgrades the control plane to {version}")
            self.kubeadm.upgrade_apply(version) if verb == "apply" else self.kubeadm.upgrade_node()
            self._until_healthy(lambda pod: self._trouble(pod, version))

    # --- leaving, and coming back ----------------------------------------------------------------------------------

    @contextmanager
    def _away(self) -> Iterator[None]:
        """Nobody is led here, and nobody follows, as long as it lasts."""
        try:
            self._leave()
            yield
        finally:
            self._try_to_come_back()

    def _leave(self) -> None:
        self._withdraw()
        leadership.move_away(self._pki, sleep=self.sleep)

    def _withdraw(self) -> None:
        withdraw = getattr(self.client, "withdraw", None)
        if withdraw is None:
            log.warning("discovery's client was made before it could withdraw: nodes are led here while this master is away")
            return
        say("leaves the list of masters")
        withdraw()
        self._until(lambda: "waits until discovery no longer names this master" if self._is_listed() else "", LIST_LIMIT)
        self.sleep(SETTLING)

    def _try_to_come_back(self) -> None:
        """Where its API server is ready."""
        trouble = self.pods.answer(API_SERVER)
        if trouble:
            log.warning("this master does not come back yet: %s", trouble)
            return
        self._register()

    def _register(self) -> None:
        """What discovery cannot be told now the timer of records tells it."""
        say("comes back to the list of masters")
        try:
            self.client.register()
            self._until(lambda: "" if self._is_listed() else "waits until discovery names this master again", LIST_LIMIT)
        except (self.unavailable, UpgradeError) as problem:
            log.warning("%s", problem)

    def _is_listed(self) -> bool:
        return self.client.address() in self.client.masters("", 0.0)[1]

    # --- health ----------------------------------------------------------------------------------------------------

    def _until_healthy(self, trouble: Callable[[StaticPod], str]) -> None:
        self._until(lambda: next(filter(None, (_waits_for(pod, trouble) for pod in PODS)), ""), patience.wait(HEALTH))

    def _trouble(self, pod: StaticPod, version: str) -> str:
        """Why it does not run at that version; of etcd, which has versions of its own, why it is not healthy."""
        if pod.name == "etcd":
            return self.pods.answer(pod)
        found = image_version(self.pods.manifest(pod).read_text())
        return self.pods.trouble(pod) if found == version else f"its manifest is of {found or 'no version'}, not {version}"

    # --- waiting ---------------------------------------------------------------------------------------------------

    def _until(self, attempt: Callable[[], str], limit: float) -> None:
        """Until it waits for nothing more. Raises `UpgradeError` with what it waited for, after `limit` seconds."""
        deadline, told = time.monotonic() + limit, ""
        while waits := self._attempted(attempt):
            if waits != told:
                say(waits)
                told = waits
            if time.monotonic() > deadline:
                raise UpgradeError(f"given up after {limit:.0f} s: {waits}")
            self.sleep(_PAUSE)

    def _attempted(self, attempt: Callable[[], str]) -> str:
        try:
            return attempt()
        except self.unavailable as problem:
            busy = getattr(problem, "busy", False)
            return f"waits for its turn: {problem}" if busy else f"discovery unreachable: {problem}"

    @property
    def _pki(self) -> Path:
        return self.places.kubernetes / "pki"


def _waits_for(pod: StaticPod, trouble: Callable[[StaticPod], str]) -> str:
    found = trouble(pod)
    return f"waits for {pod.name}: {found}" if found else ""


def say(doing: str) -> None:
    """What the runner publishes beside the step's name; see `process.Tail`."""
    log.info("now: %s", doing)


def connect(root: Path) -> Upgrade:
    """The upgrade of the node at `root`."""
    places = Places(root)
    client, unavailable = connect_client(read_document(places), places.config)
    return Upgrade(places, client, unavailable, UpgradingKubeadm(places), StaticPods(places))


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("verb", choices=("apply", "node", "worker", "leave", "return"))
    arguments.add_argument("version", nargs="?", default="", help="such as 1.37.2")
    arguments.add_argument("--root", type=Path, default=Path("/"))
    chosen = arguments.parse_args()
    log_to_journal()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that the lock is released
    upgrade = connect(chosen.root)
    try:
        others = {"leave": upgrade.leave, "return": upgrade.come_back}
        others.get(chosen.verb, lambda: upgrade.run(chosen.verb, chosen.version))()
    except (UpgradeError, KubeadmError, etcd.EtcdError, upgrade.unavailable, OSError) as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
