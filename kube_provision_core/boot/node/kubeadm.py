"""kubeadm, as the choreography calls it."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import process
from settings import Places

_LIMIT = 900.0
"""Seconds for init or join: both pull images and wait for the API server."""
_RESET_LIMIT = 180.0
_VERSION_LIMIT = 30.0


class KubeadmError(Exception):
    """kubeadm or kubectl did not do what it was asked to; says which and why."""


@dataclass(frozen=True)
class Kubeadm:
    places: Places

    def init(self, node_ip: str) -> None:
        """Initialise the cluster. Its farewell is silenced where it would put secrets into the journal."""
        quiet = ["--skip-token-print", "--skip-certificate-key-print"]
        self._with_configuration("init", node_ip, ["--upload-certs", *quiet])

    def join(self, node_ip: str) -> None:
        self._with_configuration("join", node_ip, [])

    def reset(self) -> None:
        """Undo what an attempt left, the local etcd member included."""
        self._run(["kubeadm", "reset", "--force"], _RESET_LIMIT)

    def left_something(self) -> bool:
        """Whether an earlier attempt got far enough to be in the way of the next one."""
        folder = self.places.kubernetes
        traces = [folder / "admin.conf", folder / "kubelet.conf", folder / "bootstrap-kubelet.conf", folder / "pki/ca.crt"]
        return any(path.exists() for path in traces) or any((folder / "manifests").glob("*.yaml"))

    def runs_api_server(self) -> bool:
        """Whether this node is a whole member of a control plane, as far as its own disk tells."""
        folder = self.places.kubernetes
        return (folder / "admin.conf").exists() and (folder / "manifests/kube-apiserver.yaml").exists()

    def apply(self, manifest: str) -> None:
        """Apply a manifest as the cluster's administrator; server-side, so that a large one fits and twice is no harm."""
        administrator = str(self.places.kubernetes / "admin.conf")
        command = ["kubectl", "--kubeconfig", administrator, "apply", "--server-side", "--force-conflicts", "-f", manifest]
        self._run(command, _RESET_LIMIT)

    def _with_configuration(self, verb: str, node_ip: str, options: list[str]) -> None:
        source = self.places.config / f"kubeadm-{verb}.yaml"
        text = source.read_text().replace("@NODE_IP@", node_ip).replace("@KUBERNETES_VERSION@", self._version())
        target = self.places.volatile / source.name
        _write_private(target, text)
        try:
            self._run(["kubeadm", verb, "--config", str(target), *options], _LIMIT)
        finally:
            target.unlink()

    def _version(self) -> str:
        """The installed kubeadm's own version: any other one would make it ask the internet, or refuse."""
        command = ["kubeadm", "version", "-o", "short"]
        try:
            answer = subprocess.run(command, capture_output=True, text=True, timeout=_VERSION_LIMIT, check=False)
        except subprocess.TimeoutExpired as problem:
            raise KubeadmError(str(problem)) from problem
        version = answer.stdout.strip()
        if not re.fullmatch(r"v\d+\.\d+\.\d+\S*", version):
            raise KubeadmError(f"kubeadm does not tell its version: {answer.stderr.strip() or version}")
        return version

    def _run(self, command: list[str], limit: float) -> None:
        """In the caller's process group: when the runner gives a step up, kubeadm ends with it."""
        outcome = process.run(command, timeout=limit, own_group=False)
        if not outcome.ok:
            how = f"not done after {limit:.0f} s" if outcome.timed_out else f"exit code {outcome.code}"
            raise KubeadmError(f"{' '.join(command[:2])}: {how}{_reason(outcome.tail)}")


def _reason(tail: tuple[str, ...]) -> str:
    """kubeadm's last lines are advice; what went wrong stands in those before that say so."""
    errors = [line.strip() for line in tail if re.search(r"\[ERROR|\berror\b", line, re.IGNORECASE)]
    chosen = errors[-3:] or [line.strip() for line in tail[-1:]]
    return ": " + "; ".join(chosen) if chosen else ""


def _write_private(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
