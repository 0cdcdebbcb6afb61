"""kubeadm, as an upgrade calls it, and what it leaves on the disk: manifests on their way, and copies of etcd's data.

It moves a pod's old manifest away before it moves the new one in. Killed between, it takes a master for a worker, or refuses
to go on; so what is missing is put back first. What it copies it never deletes.
"""

from __future__ import annotations

import contextlib
import logging
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from . import patience
from .kept_files import replace_file
from .kubeadm import Kubeadm, KubeadmError
from .static_pods import PODS

log = logging.getLogger(__name__)

ONE_AFTER_ANOTHER = (
    *("kubernetesAPICall", "kubernetesAPICall", "etcdAPICall", "etcdAPICall"),
    *(["upgradeManifests"] * (len(PODS) + 1)),
)
"""Those of kubeadm's waits that follow one another in an upgrade of a master, and one for what comes before and after."""

_CONFIGURATION = """apiVersion: kubeadm.k8s.io/v1beta4
kind: UpgradeConfiguration
apply: {options}
node: {options}
timeouts:
"""
_OPTIONS = "{certificateRenewal: false, imagePullPolicy: IfNotPresent, ignorePreflightErrors: [%s]%s}"
"""kubeadm renews in place, and one that is killed leaves half a certificate: masters renew theirs by a timer, with care."""
_TOO_SHORT = "CreateJob"
"""A check that gives a pod one minute, whatever the timeouts. An emulated machine may need more: there it only warns."""

_COPIES = ("kubeadm-backup-etcd-*", "kubeadm-backup-manifests-*", "kubeadm-upgraded-manifests*")
_ROOM = 64 * 2**20
"""Bytes beside the copy of etcd's data."""
_ADVICE = {
    r"\[ERROR CreateJob\]": "kubeadm tries whether a pod runs, and it did not within a minute: see that nodes have "
    "room and the pause image, and that scheduler and controller manager work; kubectl --namespace kube-system get pods",
    r"\[ERROR CoreDNS": "kubeadm cannot carry CoreDNS's configuration over: correct the ConfigMap coredns in kube-system",
}


class UpgradingKubeadm(Kubeadm):
    def upgrade_apply(self, version: str) -> None:
        """Upgrade the cluster, and this master first of all. Raises `KubeadmError`."""
        self._upgrade(["apply", f"v{version}", "--yes"])

    def upgrade_node(self) -> None:
        """Bring this node to the version that the cluster was upgraded to. Raises `KubeadmError`."""
        self._upgrade(["node"])

    def require(self, version: str) -> None:
        """Raises `KubeadmError` where another kubeadm is installed: `node` would use it without a word."""
        found = self.version()
        if found != f"v{version}":
            raise KubeadmError(f"kubeadm here is {found}, and v{version} is needed: nothing was changed")

    def _upgrade(self, arguments: list[str]) -> None:
        target = self.places.volatile / "kubeadm-upgrade.yaml"
        replace_file(target, _configuration(self.places.kubernetes / "patches"))
        try:
            self._run(["kubeadm", "upgrade", *arguments, "--config", str(target)], _limit())
        except KubeadmError as problem:
            raise KubeadmError(_advised(str(problem))) from problem
        finally:
            target.unlink()

    # --- what it leaves --------------------------------------------------------------------------------------------

    def put_back(self) -> None:
        """Every manifest that a kubeadm which was killed has moved away. Raises `KubeadmError` where one is nowhere."""
        for pod in PODS:
            manifest = self.places.kubernetes / f"manifests/{pod.name}.yaml"
            if not manifest.exists():
                newest = max(self._tmp.glob(f"kubeadm-backup-manifests-*/{manifest.name}"), default=None)
                if newest is None:
                    raise KubeadmError(f"{manifest} is missing, and kubeadm has left no copy of it: this is no whole master")
                log.warning("an earlier upgrade was broken off: %s is put back", manifest)
                newest.rename(manifest)

    def require_room(self) -> None:
        """Raises `KubeadmError` where there is none for the copy that kubeadm makes of etcd's data."""
        data = self.places.root / "var/lib/etcd"
        needed = sum(_size(path) for path in data.rglob("*")) + _ROOM
        free = shutil.disk_usage(self.places.kubernetes).free
        if free < needed:
            raise KubeadmError(
                f"kubeadm copies etcd's data to {self._tmp}, and needs {needed >> 20} MiB there; {free >> 20} MiB are free"
            )

    def tidy(self) -> None:
        """Once all is well: copies of etcd's data hold every secret of the cluster, and as much room."""
        for pattern in _COPIES:
            for folder in self._tmp.glob(pattern):
                shutil.rmtree(folder, ignore_errors=True)

    @property
    def _tmp(self) -> Path:
        return self.places.kubernetes / "tmp"


def image_version(manifest: str) -> str:
    """The tag of the image that it runs, without its `v`; empty where it names none."""
    found = re.search(r"^[\s-]*image: *[\"']?\S+:v?([^\s\"'@]+)", manifest, re.MULTILINE)
    return found[1] if found else ""


def _configuration(patches: Path) -> str:
    """`patches`: the folder that this node was given, if any. kubeadm remembers none of an init or a join."""
    patched = f", patches: {{directory: {patches}}}" if patches.is_dir() else ""
    options = _OPTIONS % (_TOO_SHORT if patience.is_emulated() else "", patched)
    waits = "".join(f"  {name}: @{name}@\n" for name in patience.WAITS)
    return patience.filled_in(_CONFIGURATION.format(options=options) + waits)


def _limit() -> float:
    return 1.1 * sum(patience.wait(name) for name in ONE_AFTER_ANOTHER)


def _advised(problem: str) -> str:
    return "; ".join([problem, *_advice(problem)])


def _advice(problem: str) -> Iterator[str]:
    return (advice for pattern, advice in _ADVICE.items() if re.search(pattern, problem))


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):  # etcd drops files as it goes
        return path.stat().st_size
    return 0
