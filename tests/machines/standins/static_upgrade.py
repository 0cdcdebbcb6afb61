"""A master's static pods, one after another, in another version: each one's manifest is moved away and the new one into its
place, and the kubelet starts it anew. What fails is taken back as far as it has come."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any

import yaml
from machines.standins import certificates, manifests
from machines.standins.api import PODS, Api
from machines.standins.configuration import Document, seconds
from machines.standins.etcd import Etcd, EtcdError
from machines.standins.faults import StandInError, carry_out, wish
from machines.standins.manifests import Pod
from machines.standins.mirror import HASH
from machines.standins.places import ETCD_DATA, KUBERNETES, MANIFESTS, SCRATCH
from machines.standins.scratch import stamped

PAUSE = 0.5
ETCD_LIMIT = 150.0
USES = {
    "etcd": ("etcd-server", "etcd-peer", "etcd-healthcheck-client"),
    "kube-apiserver": ("apiserver", "apiserver-kubelet-client", "front-proxy-client", "apiserver-etcd-client"),
    "kube-controller-manager": ("controller-manager.conf",),
    "kube-scheduler": ("scheduler.conf",),
}
"""Certificates by the component that they are renewed with."""
RECOVERED = "couldn't upgrade control plane. kubeadm has tried to recover everything into the earlier state. Errors faced"
FATAL = "fatal error when trying to upgrade the etcd cluster, rolled the state back to pre-upgrade state"
FAILED = "error execution phase control-plane: couldn't complete the static pod upgrade"


class StaticUpgrade:
    """One run's. `renewal`: the ClusterConfiguration by which certificates are renewed; None leaves them."""

    def __init__(self, api: Api, node: str, limit: str, renewal: Document | None) -> None:
        self._api = api
        self._node = node
        self._limit = limit
        self._renewal = renewal
        self._moved: dict[str, Path] = {}
        """Where the old manifest is, by component."""

    def run(self, pods: Sequence[Pod]) -> None:
        """etcd is the first of them, if it is among them. Raises `StandInError`."""
        try:
            self._run(pods)
        except (StandInError, OSError) as problem:
            raise StandInError(f"{FAILED}: {problem}") from problem

    def _run(self, pods: Sequence[Pod]) -> None:
        new = SCRATCH / f"kubeadm-upgraded-manifests{time.time_ns() % 10**10}"
        backup, data = (stamped(f"kubeadm-backup-{what}") for what in ("manifests", "etcd"))
        before = {name: self._hash_in_time(name) for name in manifests.COMPONENTS}
        print(f'[upgrade/staticpods] Writing new Static Pod manifests to "{new}"', flush=True)
        for pod in pods:
            name = pod["metadata"]["name"]
            if name == "etcd":
                Etcd().check()
                shutil.copytree(ETCD_DATA, data / "etcd", dirs_exist_ok=True)
                before[name] = self._hash_in_time(name)
            manifests.write(pod, new)
        restarts_etcd = _differ("kube-apiserver", new)
        for pod in pods:
            name = pod["metadata"]["name"]
            self._replace(name, new, backup, before[name], even_if_equal=name == "etcd" and restarts_etcd)
            if name == "etcd":
                self._await_etcd()
        self._renew("admin.conf", "super-admin.conf")
        shutil.rmtree(new)  # the backups are kept

    def _replace(self, name: str, new: Path, backup: Path, before: str, *, even_if_equal: bool) -> None:
        print(f'[upgrade/staticpods] Preparing for "{name}" upgrade', flush=True)
        differs = _differ(name, new)
        if not differs and not even_if_equal:
            print(f"[upgrade/staticpods] Current and new manifests of {name} are equal, skipping upgrade", flush=True)
            return
        self._moved[name] = backup / f"{name}.yaml"
        try:
            self._renew(*USES[name])
            self._move(name, new)
            if differs:
                self._await_change(name, before)
            self._await_running(name)
        except StandInError as problem:
            self._take_back(name)
            text = f"{RECOVERED}: {problem}"
            raise StandInError(f"{FATAL}: {text}" if name == "etcd" else text) from problem
        print(f'[upgrade/staticpods] Component "{name}" upgraded successfully!', flush=True)

    def _move(self, name: str, new: Path) -> None:
        """Two moves: whoever is killed in between leaves none."""
        path, kept = MANIFESTS / f"{name}.yaml", self._moved[name]
        print(f'[upgrade/staticpods] Moving new manifest to "{path}" and backing up old manifest to "{kept}"', flush=True)
        path.rename(kept)
        carry_out(wish("upgrade", name), name)
        (new / path.name).rename(path)
        print("[upgrade/staticpods] Waiting for the kubelet to restart the component", flush=True)
        print(f"[upgrade/staticpods] This can take up to {self._limit}", flush=True)

    def _take_back(self, failed: str) -> None:
        for name, kept in self._moved.items():
            if kept.exists() and (name != "etcd" or failed == "etcd"):
                kept.rename(MANIFESTS / f"{name}.yaml")

    def _renew(self, *names: str) -> None:
        if self._renewal is None:
            return
        life = certificates.lifetime(self._renewal)
        for leaf in certificates.LEAVES:
            if leaf.name not in names or (leaf.name == "super-admin.conf" and not (KUBERNETES / leaf.name).exists()):
                continue
            if not leaf.name.endswith("admin.conf"):
                print(f"[upgrade/staticpods] Renewing {leaf.name} certificate", flush=True)
            certificates.renew_leaf(leaf, life)

    # --- waits: by way of the endpoint, whoever answers there ------------------------------------------------------------

    def _hash_in_time(self, name: str) -> str:
        deadline = time.monotonic() + seconds(self._limit)
        while not (found := self._hash(name)):
            if time.monotonic() > deadline:
                pod = f"{name}-{self._node}"
                problem = f"failed to obtain static Pod hash for component {name} on Node {self._node}"
                raise StandInError(f'{problem}: pods "{pod}" not found')
            time.sleep(PAUSE)
        return found

    def _await_change(self, name: str, before: str) -> None:
        deadline = time.monotonic() + seconds(self._limit)
        while self._hash(name) in ("", before):
            if time.monotonic() > deadline:
                changed = f"did not change after {self._limit}: context deadline exceeded"
                raise StandInError(f"static Pod hash for component {name} on Node {self._node} {changed}")
            time.sleep(PAUSE)

    def _hash(self, name: str) -> str:
        """Empty where nobody answers."""
        answer = self._ask(f"{PODS}/{name}-{self._node}")
        return str(answer["metadata"]["annotations"].get(HASH, "")) if answer else ""

    def _await_running(self, name: str) -> None:
        """All of the cluster, ready or not."""
        deadline, told = time.monotonic() + seconds(self._limit), -1
        while True:
            answer = self._ask(f"{PODS}?labelSelector=component%3D{name}")
            found = answer["items"] if answer else []
            if len(found) != told:
                print(f"[apiclient] Found {len(found)} Pods for label selector component={name}", flush=True)
                told = len(found)
            if found and all(pod["status"]["phase"] == "Running" for pod in found):
                return
            if time.monotonic() > deadline:
                raise StandInError("context deadline exceeded")
            time.sleep(PAUSE)

    def _ask(self, path: str) -> Any:
        try:
            status, answer = self._api.call("GET", path)
        except (OSError, HTTPException):
            return None
        return answer if status == 200 else None

    def _await_etcd(self) -> None:
        print("[upgrade/etcd] Waiting for etcd to become available", flush=True)
        deadline = time.monotonic() + ETCD_LIMIT
        while True:
            try:
                Etcd().check()
            except (EtcdError, OSError) as problem:
                if time.monotonic() > deadline:
                    self._take_back("etcd")
                    raise StandInError(f"{FATAL}: {problem}") from problem
                time.sleep(PAUSE)
            else:
                return


def _differ(name: str, new: Path) -> bool:
    """Raises `StandInError` where there is none now."""
    path = MANIFESTS / f"{name}.yaml"
    try:
        now = manifests.read(path)
    except FileNotFoundError as problem:
        raise StandInError(f'failed to read manifest for "{path}": open {path}: no such file or directory') from problem
    return bool(now != yaml.safe_load((new / path.name).read_text()))
