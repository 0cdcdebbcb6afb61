"""The masters of a cluster that lives: for each one the stand-in of its API server, and the real etcd of all of them.

    with LivingMasters(folder.pki, {"m-prod-1": "127.0.0.11"}) as masters:
        masters.kill("m-prod-1")

As a program it waits for the cluster's folder of secrets, comes alive, says `ready`, and lives until it is terminated:

    PYTHONPATH=tests python -m servers.living_masters STATE/prod m-prod-1=127.0.0.11 --worker w-prod-1=127.0.0.21
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from servers.cluster_objects import NODES, ClusterObjects
from servers.control_plane import ControlPlaneServer
from servers.etcd import EtcdServers

from kube_provision_core.folder.pki import Pki
from kube_provision_core.folder.store import Folder


class LivingMasters:
    """Masters and workers by name, with their addresses. Alive while the context is open."""

    def __init__(self, pki: Pki, masters: Mapping[str, str], workers: Mapping[str, str] | None = None) -> None:
        self.objects = ClusterObjects()
        for name, address in masters.items():
            self.objects.add_node(name, address, master=True)
        for name, address in (workers or {}).items():
            self.objects.add_node(name, address)
        self.apis = {name: ControlPlaneServer(pki, address, objects=self.objects) for name, address in masters.items()}
        self.etcd = EtcdServers(pki, masters)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as starting:
            for api in self.apis.values():
                starting.enter_context(api)
            starting.enter_context(self.etcd)
            self._stack = starting.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    def kill(self, name: str) -> None:
        """As if the machine were gone: neither its API server nor its etcd answers; the cluster still counts it."""
        self.apis[name].stop()
        self.etcd.kill(name)

    @property
    def nodes(self) -> set[str]:
        """Names of the nodes that the cluster counts."""
        return set(self.objects.all(NODES))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Bring a cluster's masters to life")
    parser.add_argument("folder", type=Path, help="the cluster's folder of secrets; it need not exist yet")
    parser.add_argument("masters", nargs="+", metavar="NAME=ADDRESS")
    parser.add_argument("--worker", action="append", default=[], metavar="NAME=ADDRESS")
    parser.add_argument("--patience", type=float, default=120.0, help="seconds to wait for the folder")
    options = parser.parse_args(arguments)
    # An ordinary exit, so that etcd is ended and its data are removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    pki = _wait_for(options.folder, options.patience).pki
    with LivingMasters(pki, _pairs(options.masters), _pairs(options.worker)):
        print("ready", flush=True)
        signal.pause()


def _wait_for(path: Path, patience: float) -> Folder:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        folder = Folder.open(path.parent, path.name)
        if folder is not None:
            return folder
        time.sleep(0.1)
    raise SystemExit(f"{path} did not appear in {patience:.0f} s")


def _pairs(texts: Sequence[str]) -> dict[str, str]:
    return dict(text.split("=", 1) for text in texts)


if __name__ == "__main__":
    main()
