"""A backup beside etcd's own: `etcdctl snapshot save` of the same data, which encrypts nothing and reads nothing back."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import pyrage
from servers.etcd import EtcdServers
from servers.living_masters import LivingMasters

from bench.measure import Cost, run, table
from bench.site import Site
from kube_provision_core.folder.store import Folder

MEGABYTE = 1_000_000
"""Bytes of one value; etcd takes a request of one and a half million."""
ALONE = {"masters": 1, "workers": 0}
MASTER = "m-c1-1"


@dataclass
class Round:
    ours: Cost
    etcd: Cost
    size: int
    """Bytes of the backup's file."""


def measure(site: Site, megabytes: Sequence[int], rounds: int) -> str:
    """The same etcd, which grows to so many megabytes of what cannot be compressed."""
    run([*site.command(**ALONE), "--no-wait"], site.environment)
    folder = Folder.open(site.folder / "state", "c1")
    assert folder
    folder.mark_initialised()
    address = next(it for it in site.vcenter.vm(MASTER)["addresses"] if it.startswith("127."))  # and link-local ones
    head = ("MB in etcd", "MB of the file", "s", "etcdctl s", "vs etcdctl", "processor s", "peak MiB", "etcdctl peak MiB")
    with LivingMasters(folder.pki, {MASTER: address}) as masters:
        masters.objects.configure("kubernetesVersion", "v1.37.1")
        steps = itertools.pairwise((0, *sorted(megabytes)))
        return table(head, [_row(site, masters.etcd, range(*step), rounds) for step in steps])


def _row(site: Site, etcd: EtcdServers, more: range, rounds: int) -> tuple[str, ...]:
    _fill(etcd, more)
    done = [_back_up(site, etcd) for _ in range(rounds)]
    ours, theirs = (
        median(cost.seconds for cost in costs) for costs in zip(*((it.ours, it.etcd) for it in done), strict=True)
    )
    return (
        str(more.stop),
        f"{done[-1].size / 1e6:.0f}",
        f"{ours:.1f}",
        f"{theirs:.1f}",
        f"{ours / theirs:.2f}",
        f"{median(it.ours.processor_seconds for it in done):.1f}",
        f"{max(it.ours.peak_mib for it in done):.0f}",
        f"{max(it.etcd.peak_mib for it in done):.0f}",
    )


def _fill(etcd: EtcdServers, megabytes: range) -> None:
    for number in megabytes:
        command = etcd.etcdctl("put", f"/registry/bench/{number}")
        subprocess.run(command, input=os.urandom(MEGABYTE), stdout=subprocess.DEVNULL, check=True, timeout=120)


def _back_up(site: Site, etcd: EtcdServers) -> Round:
    """By both, one after the other."""
    file, snapshot = site.folder / "backup.age", site.folder / "snapshot.db"
    recipient = str(pyrage.x25519.Identity.generate().to_public())
    command = site.command("backup", str(file), "--recipient", recipient, **ALONE)
    done = Round(run(command, site.environment), run(etcd.etcdctl("snapshot", "save", str(snapshot))), _size(file))
    file.unlink()
    snapshot.unlink()
    return done


def _size(path: Path) -> int:
    return path.stat().st_size
