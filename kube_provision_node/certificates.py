"""Renews the certificates of this master's control plane before they end. A timer starts it on every master.

When less than 90 days, or a third of its life, is left of any of them, this happens under the cluster's lock, on one master
at a time: kubeadm makes new ones, and what uses them is started anew, piece by piece, and is healthy before the lock is
given on. Should that not come to pass (discovery may be gone for good) it happens without the lock in the last 14 days, on
another day on each master. A life that is shorter than a year makes all of that shorter.

It may be broken off anywhere, and goes on where it was when it is run again.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from fcntl import LOCK_EX, LOCK_NB, flock
from os import sync
from pathlib import Path
from typing import Callable, NamedTuple

from . import etcd, patience
from .client import Client, connect_client
from .exclusion import alone
from .journal import log_to_journal
from .kept_files import replace_file
from .kubeadm import Kubeadm, KubeadmError
from .settings import Node, Places, read_document, read_node
from .static_pods import PODS, PodError, StaticPods
from .validity import KUBECONFIGS, KUBELET, LEAVES, Validity, read_certificate, read_validity

log = logging.getLogger(__name__)

DAY = 86400.0
EARLY = 90 * DAY
LATE = 14 * DAY
LATEST_DAYS = 14
"""Into so many parts the time after `LATE` is divided, days as a rule; each master has two of them for itself alone."""
MOST_MASTERS = 7
"""As etcd's makers advise."""
LOCK_LIMIT = 300.0
"""Seconds for the cluster's lock. The timer comes again, and nothing else that this machine is given is done meanwhile."""
ASKED_LOCK_LIMIT = 900.0
"""Where somebody has asked for it: several others may have their turns before, of a join or of a renewal."""
KUBELET_SHARE = 0.1
"""Of its life. A kubelet renews its certificate when between seven and nine tenths of it are over."""

AUTHORITIES = ("ca", "etcd/ca", "front-proxy-ca")


class RenewalError(Exception):
    """The certificates of this master cannot be renewed; says why."""


class Begun(NamedTuple):
    """A renewal whose certificates are there, and which are yet to be used."""

    mark: str
    """For the pods that have taken them."""
    first: Validity
    """Of what they came in place of, the one that ends first: what still runs uses it."""


@dataclass(frozen=True)
class Renewal:
    places: Places
    node: Node
    client: Client
    unavailable: type[Exception]
    """The discovery module's `UnavailableError`."""
    kubeadm: Kubeadm
    pods: StaticPods
    now: Callable[[], float] = time.time

    def run(self, *, at_once: bool = False) -> str:
        """Renew what is due, or all of them `at_once`; what was done. Idempotent.

        Raises `RenewalError`, also where what is to be done at once is not; `KubeadmError`, `PodError`, `EtcdError`,
        `ValueError`, `OSError`, or what the client raises.
        """
        if not (self.places.state / "member").exists():
            return _not_done("nothing to renew: no member of the control plane yet", at_once)
        with self._alone() as alone:
            return self._renew_in_time(at_once) if alone else _not_done("another renewal runs on this master", at_once)

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        """Whether nobody else does this here: the kernel keeps the lock as long as the process lives."""
        self.places.volatile.mkdir(parents=True, exist_ok=True)
        with (self.places.volatile / "certificates.lock").open("w") as file:
            try:
                flock(file, LOCK_EX | LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True

    def _renew_in_time(self, at_once: bool) -> str:
        self._undo_half()
        begun = self._begun()
        first = begun.first if begun else min((read_validity(path) for path in self._files()), key=_slack)
        if not begun and not at_once and self.now() < first.end - early(first):
            return f"nothing to renew: the first certificate ends on {_day(first.end)}"
        if self.now() > first.end - late(first):
            if not at_once and not has_its_day(self.node.name, self.now(), first):
                return f"waits for this master's day: the first certificate ends on {_day(first.end)}"
            return f"{self._renew(first)} without the cluster's lock"
        with self.client.lock(ASKED_LOCK_LIMIT if at_once else LOCK_LIMIT):
            gone = "" if begun or at_once else self._gone()
            return gone or self._renew(first)

    def _gone(self) -> str:
        """Which masters others would miss: one that has not come back from its own renewal, for instance."""
        _, healthy = self.client.masters("", 0.0)
        gone = sorted(set(etcd.masters(self._pki)) - set(healthy))
        return f"waits until all masters are healthy: discovery does not see {', '.join(gone)}" if gone else ""

    def kubelet(self) -> str:
        """What is wrong with the kubelet's certificate, which it renews by itself; empty if nothing is."""
        path = self.places.root / KUBELET
        try:
            found = read_validity(path)
        except (OSError, ValueError) as problem:
            return f"the kubelet's certificate cannot be read: {problem}"
        if self.now() > found.end - found.life * KUBELET_SHARE:
            return f"the kubelet has not renewed its certificate, which ends on {_day(found.end)}: restart kubelet.service"
        return ""

    # --- the renewal -----------------------------------------------------------------------------------------------

    def _renew(self, first: Validity) -> str:
        begun = self._begun() or self._make_new(first)
        limit = patience.wait("upgradeManifests")
        for pod in PODS:
            log.info("now: starts %s anew", pod.name)
            self.pods.restart(pod, begun.mark, limit)
        self._marker.unlink()
        return "renewed"

    def _make_new(self, first: Validity) -> Begun:
        """New certificates in place of the old ones, of which a copy is kept until all of them are there."""
        missing = [name for name in AUTHORITIES if not (self._pki / f"{name}.key").exists()]
        if missing:  # kubeadm would leave out what they sign, and call that a success
            raise RenewalError(f"no certificate is renewed: {self._pki / missing[0]}.key is not on this master")
        before = {path: read_certificate(path) for path in self._files()}
        self._keep()
        self.kubeadm.renew_certificates()
        stale = [path.name for path, old in before.items() if read_certificate(path) == old]
        if stale:
            raise RenewalError(f"kubeadm has not renewed {', '.join(stale)}")
        begun = Begun(f"{self.now():.0f}", first)
        sync()
        replace_file(self._marker, json.dumps(begun))
        shutil.rmtree(self._kept)
        return begun

    def _keep(self) -> None:
        part = self._kept.with_name("certificates-part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(mode=0o700, parents=True)
        for path in self._with_keys():
            target = part / path.relative_to(self.places.kubernetes)
            target.parent.mkdir(exist_ok=True)
            shutil.copy2(path, target)
        sync()
        part.rename(self._kept)

    def _undo_half(self) -> None:
        """kubeadm writes in place. Half a certificate, left by one that was killed, is refused by the next."""
        if not self._kept.exists():
            return
        if not self._marker.exists():
            log.info("an earlier renewal was broken off: the certificates of before are put back")
            for path in self._kept.rglob("*"):
                if path.is_file():
                    self._put_back(path, self.places.kubernetes / path.relative_to(self._kept))
            sync()
        shutil.rmtree(self._kept)

    def _put_back(self, source: Path, target: Path) -> None:
        part = target.with_name(f".{target.name}")
        shutil.copy2(source, part)
        part.replace(target)

    # --- what is kept on the disk ----------------------------------------------------------------------------------

    def _files(self) -> list[Path]:
        """What holds a certificate."""
        found = [self._pki / f"{name}.crt" for name in LEAVES]
        return [*found, *(path for path in self._kubeconfigs() if path.name != "super-admin.conf" or path.exists())]

    def _kubeconfigs(self) -> list[Path]:
        return [self.places.kubernetes / f"{name}.conf" for name in KUBECONFIGS]

    def _with_keys(self) -> list[Path]:
        return [path for file in self._files() for path in _pair(file)]

    def _begun(self) -> Begun | None:
        try:
            mark, first = json.loads(self._marker.read_text())
        except FileNotFoundError:
            return None
        return Begun(mark, Validity(*first))

    @property
    def _pki(self) -> Path:
        return self.places.kubernetes / "pki"

    @property
    def _kept(self) -> Path:
        return self.places.state / "certificates-before"

    @property
    def _marker(self) -> Path:
        return self.places.state / "certificates-renewed.json"


def early(found: Validity) -> float:
    """Seconds before its end from which on it is to be renewed."""
    return min(EARLY, found.life / 3)


def late(found: Validity) -> float:
    """Seconds before its end from which on nobody waits for the lock any more."""
    return early(found) * LATE / EARLY


def has_its_day(name: str, now: float, first: Validity) -> bool:
    """Masters that cannot ask each other are kept apart by the calendar. What has ended serves nobody anyway."""
    day = int(now / (late(first) / LATEST_DAYS))
    return now > first.end or day % MOST_MASTERS == number(name) % MOST_MASTERS


def number(name: str) -> int:
    """By which masters are told apart: m-prod-3 is the third."""
    found = re.search(r"(\d+)$", name)
    return int(found[1]) if found else 0


def _slack(found: Validity) -> float:
    """From when on it is to be renewed."""
    return found.end - early(found)


def _pair(path: Path) -> tuple[Path, ...]:
    return (path, path.with_suffix(".key")) if path.suffix == ".crt" else (path,)


def _day(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))


def connect(root: Path) -> Renewal:
    """The renewal of the master at `root`."""
    places = Places(root)
    document = read_document(places)
    client, unavailable = connect_client(document, places.config)
    return Renewal(places, read_node(document), client, unavailable, Kubeadm(places), StaticPods(places))


def _not_done(why: str, at_once: bool) -> str:
    if at_once:
        raise RenewalError(why)
    return why


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--now", action="store_true", help="do not wait until it is time")
    arguments.add_argument("--root", type=Path, default=Path("/"))
    chosen = arguments.parse_args()
    log_to_journal()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that the lock is released
    renewal = connect(chosen.root)
    try:
        with nullcontext() if chosen.now else alone(renewal.places):  # who is told to do it now has a step's turn already
            log.info("%s", renewal.run(at_once=chosen.now))
            if trouble := renewal.kubelet():
                log.warning("%s", trouble)
    except renewal.unavailable as problem:
        if chosen.now:
            print(problem, file=sys.stderr)
            return 1
        log.info("waits for the cluster's lock: %s", problem)
    except (RenewalError, KubeadmError, PodError, etcd.EtcdError, OSError, ValueError) as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
