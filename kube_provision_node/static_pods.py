"""Starts the pods of this master's control plane anew, one by one, so that they read their certificates again.

The kubelet ends a pod whose manifest has changed and starts it as the manifest says: an annotation is enough. Nothing is
lost wherever that is broken off, and nothing happens to a pod whose manifest bears the mark already.
"""

from __future__ import annotations

import logging
import os
import re
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from typing import Callable

from .kept_files import replace_file
from .settings import Places
from .validity import read_certificate

log = logging.getLogger(__name__)

ANNOTATION = "kube-provision/certificates"
_PAUSE = 1.0
_TIMEOUT = 5.0
_TOLERANCE = 1.0
"""Seconds by which two clocks of one machine may differ."""


class PodError(Exception):
    """A pod of the control plane does not come back; says which and why."""


@dataclass(frozen=True)
class StaticPod:
    name: str
    """Of its manifest, and of the program that it runs."""
    port: int
    page: str = "/healthz"
    serves: str = ""
    """The certificate that it shows, below kubeadm's folder; empty where it makes one for itself."""
    wants: str = ""
    """The one that it is shown, which others would refuse."""


PODS = (
    StaticPod("etcd", 2379, "/health", "etcd/server.crt", "apiserver-etcd-client.crt"),  # not healthy without a quorum
    StaticPod("kube-apiserver", 6443, "/readyz", "apiserver.crt"),
    StaticPod("kube-controller-manager", 10257),
    StaticPod("kube-scheduler", 10259),
)
"""What others need comes before them."""


@dataclass(frozen=True)
class StaticPods:
    places: Places
    sleep: Callable[[float], None] = time.sleep
    processes: Path = Path("/proc")

    def restart(self, pod: StaticPod, mark: str, limit: float) -> None:
        """Start a pod anew, if that was not done for this `mark` before, and wait until it is healthy. Idempotent.

        Raises `PodError` after `limit` seconds, and `OSError` for a manifest that is not there.
        """
        self._annotate(self.manifest(pod), mark)
        deadline, told = time.monotonic() + limit, ""
        while True:
            trouble = self.trouble(pod)
            if not trouble:
                return
            if trouble != told:
                log.info("now: waits for %s: %s", pod.name, trouble)
                told = trouble
            if time.monotonic() > deadline:
                raise PodError(f"{pod.name} is not healthy {limit:.0f} s after it was to start anew: {trouble}")
            self.sleep(_PAUSE)

    def trouble(self, pod: StaticPod) -> str:
        """Why it cannot be said to have begun anew since its manifest was written, and to be healthy; empty if it can."""
        since = self.manifest(pod).stat().st_mtime - _TOLERANCE
        began = list(self._began(pod.name))
        if not began or min(began) < since:
            return "it has not been started again yet" if began else "it does not run"
        return self.answer(pod)

    def manifest(self, pod: StaticPod) -> Path:
        return self.places.kubernetes / "manifests" / f"{pod.name}.yaml"

    def _annotate(self, manifest: Path, mark: str) -> None:
        """Whole or not at all, and never by a second file beside it, which the kubelet would take for one more pod."""
        text = manifest.read_text()
        wanted = annotated(text, mark)
        if wanted != text:
            replace_file(manifest, wanted, beside=self.places.kubernetes / f"{manifest.name}.part")

    def _began(self, program: str) -> Iterator[float]:
        """When each process of that program began, in seconds since the epoch."""
        booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
        for folder in self.processes.glob("[0-9]*"):
            try:
                name = (folder / "cmdline").read_bytes().split(b"\0")[0].decode(errors="replace")
                ticks = (folder / "stat").read_text().rpartition(")")[2].split()[19]
            except OSError:  # it has ended
                continue
            if name.rpartition("/")[2] == program:
                yield booted + int(ticks) / os.sysconf("SC_CLK_TCK")

    def answer(self, pod: StaticPod) -> str:
        """Why its page does not say that it is healthy, or comes with another certificate than the one on the disk."""
        connection = HTTPSConnection("127.0.0.1", pod.port, timeout=_TIMEOUT, context=self._context(pod.wants))
        try:
            connection.request("GET", pod.page)
            shown = connection.sock.getpeercert(binary_form=True)
            status = connection.getresponse().status
        except (OSError, HTTPException) as problem:
            return f"port {pod.port}: {str(problem) or type(problem).__name__}"
        finally:
            connection.close()
        if pod.serves and shown != read_certificate(self.places.kubernetes / "pki" / pod.serves):
            return f"port {pod.port} shows another certificate than {pod.serves}"
        return "" if status == 200 else f"https://127.0.0.1:{pod.port}{pod.page} answers {status}"

    def _context(self, credential: str) -> ssl.SSLContext:
        """No authority is asked: of who shows a certificate from the disk it is known exactly. The others make their own
        at every start; nothing secret is sent to this machine's own address, and that they run is seen elsewhere."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if credential:
            path = self.places.kubernetes / "pki" / credential
            context.load_cert_chain(path, path.with_suffix(".key"))
        return context


def annotated(manifest: str, mark: str) -> str:
    """A manifest as kubeadm writes it, with the mark. Raises `PodError` for any other."""
    line = f'    {ANNOTATION}: "{mark}"\n'
    for pattern, replacement in (
        (rf"^    {ANNOTATION}: .*\n", line),
        (r"^  annotations:\n", f"  annotations:\n{line}"),
        (r"^metadata:\n", f"metadata:\n  annotations:\n{line}"),
    ):
        found, times = re.subn(pattern, replacement, manifest, count=1, flags=re.MULTILINE)
        if times:
            return found
    raise PodError("a manifest of the control plane has no metadata as kubeadm writes them")
