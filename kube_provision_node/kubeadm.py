"""kubeadm, as the choreography calls it."""

from __future__ import annotations

import contextlib
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from . import patience, process
from .kept_files import replace_file
from .settings import Places

RESET_LIMIT = 360.0
RENEW_LIMIT = 360.0
"""It first asks the cluster for its configuration, and goes on without it."""
_VERSION_LIMIT = 120.0
NODE_IPV6 = "@NODE_IPV6@"
"""Where a dual-stack cluster's configuration has it."""
APPLY_LIMIT = 600.0
"""For one manifest: it may hold many objects, and an API server that has only just begun answers late."""


class KubeadmError(Exception):
    """kubeadm or kubectl did not do what it was asked to; says which and why."""


class ManifestError(KubeadmError):
    """kubectl did not apply a manifest. Its words are recognised by `manifests.manifest_refused`."""


@dataclass(frozen=True)
class Kubeadm:
    places: Places

    def init(self, node_ip: str, ignored: tuple[str, ...] = ()) -> None:
        """Initialise the cluster, without the checks that are `ignored`. Its farewell is silenced where it would put secrets
        into the journal."""
        quiet = ["--skip-token-print", "--skip-certificate-key-print"]
        lenient = [f"--ignore-preflight-errors={check}" for check in ignored]
        self._with_configuration("init", node_ip, ["--upload-certs", *quiet, *lenient])

    def join(self, node_ip: str) -> None:
        self._with_configuration("join", node_ip, [])

    def lacks_address(self, node_ip: Callable[[], str]) -> str:
        """In a dual-stack cluster why this node has no IPv6 address beside that one yet; empty where nothing lacks."""
        told = self.places.config / "kubeadm-join.yaml"
        if not told.exists() or NODE_IPV6 not in told.read_text():  # it is forgotten once the node is a member
            return ""
        from .ipv6 import NoAddressError, address_beside  # other machines have no such module

        try:
            address_beside(node_ip())
        except NoAddressError as problem:
            return f"waits for an IPv6 address: {problem}"
        return ""

    def reset(self) -> None:
        """Undo what an attempt left, the local etcd member included.

        Until that is done whole, something is left: kubeadm only warns of a container runtime that answers too late, and
        then takes its own traces away from beside containers that still hold their ports.
        """
        self._half_reset.parent.mkdir(parents=True, exist_ok=True)
        self._half_reset.touch()
        if self._kept_by_reset():  # a runtime that has lost sight of its containers finds them again when it begins anew
            self._run(["systemctl", "restart", "containerd.service"], RESET_LIMIT)
            if kept := self._kept_by_reset():
                raise KubeadmError(f"kubeadm reset: {kept}")
        self._half_reset.unlink()

    def _kept_by_reset(self) -> str:
        """Why containers are left; empty if none are."""
        said = self._run(["kubeadm", "reset", "--force"], RESET_LIMIT)
        return next((line.partition("[reset] ")[2] for line in said if "[reset] Failed to remove containers" in line), "")

    @property
    def _half_reset(self) -> Path:
        return self.places.state / "half-reset"

    def renew_certificates(self) -> None:
        """In place. What kubeadm leaves out it calls a success, so whoever calls this looks at what came of it."""
        self._run(["kubeadm", "certs", "renew", "all"], RENEW_LIMIT)

    def left_something(self) -> bool:
        """Whether an earlier attempt got far enough to be in the way of the next one."""
        folder = self.places.kubernetes
        traces = [folder / "admin.conf", folder / "kubelet.conf", folder / "bootstrap-kubelet.conf", folder / "pki/ca.crt"]
        return any(path.exists() for path in (*traces, self._half_reset)) or any((folder / "manifests").glob("*.yaml"))

    def runs_api_server(self) -> bool:
        """Whether this node is a whole member of a control plane, as far as its own disk tells."""
        folder = self.places.kubernetes
        return (folder / "admin.conf").exists() and (folder / "manifests/kube-apiserver.yaml").exists()

    def apply(self, manifest: str) -> None:
        """Apply a manifest as the cluster's administrator; server-side, so that a large one fits and twice is no harm."""
        administrator = str(self.places.kubernetes / "admin.conf")
        command = ["kubectl", "apply", "--kubeconfig", administrator, "--server-side", "--force-conflicts", "-f", manifest]
        try:
            self._run(command, APPLY_LIMIT)
        except KubeadmError as problem:
            raise ManifestError(f"manifest {manifest} is not applied: {problem}") from problem

    def _with_configuration(self, verb: str, node_ip: str, options: list[str]) -> None:
        source = self.places.config / f"kubeadm-{verb}.yaml"
        target = self.places.volatile / source.name
        replace_file(target, self._filled_in(source.read_text(), node_ip))
        self._empty_etcd_folder()
        try:
            self._run(["kubeadm", verb, "--config", str(target), *options], patience.limit())
        finally:
            target.unlink()

    def _filled_in(self, text: str, node_ip: str) -> str:
        known = text.replace("@NODE_IP@", node_ip).replace("@KUBERNETES_VERSION@", self.version())
        if NODE_IPV6 in known:
            from .ipv6 import address_beside

            known = known.replace(NODE_IPV6, address_beside(node_ip))
        return patience.filled_in(known)

    def _empty_etcd_folder(self) -> None:
        """A disk of its own brings a folder, which kubeadm would take for another etcd's data.

        One that holds something stays, and kubeadm says so.
        """
        with contextlib.suppress(OSError):
            (self.places.root / "var/lib/etcd/lost+found").rmdir()

    def version(self) -> str:
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

    def _run(self, command: list[str], limit: float) -> tuple[str, ...]:
        """The last that it complained of. In the caller's process group: a runner that gives a step up ends kubeadm too."""
        outcome = process.run(command, timeout=limit, own_group=False)
        if not outcome.ok:
            raise KubeadmError(f"{' '.join(command[:2])}: {outcome.failure}")
        return outcome.tail
