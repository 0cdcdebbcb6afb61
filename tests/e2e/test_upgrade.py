"""A cluster of whole hosts goes from one version of Kubernetes to the next, whoever is killed meanwhile, and serves."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from typing import Any

import pyrage
import pytest
import yaml
from machines.killing import kill_when
from machines.kubernetes import Kubernetes
from machines.lab import Lab, Measured, Run, until
from machines.nspawn import Host
from machines.probe import NAME, Probe, now
from machines.standins.api import CONFIG_MAPS, NODES, Api
from machines.standins.apiserver import DEPRECATED
from machines.standins.manifests import REPOSITORY
from servers import programs

from kube_provision_core import REBOOT_REQUIRED, ControlPlaneError
from kube_provision_core.folder.x509 import KeyPair

REAL = bool(os.environ.get("KUBERNETES"))
LIMIT = 420.0
"""Seconds for one node, on a machine that is shared with others."""
SERVED = 60.0
"""Seconds within which a worker must be served again. The aim is 5; what was measured is told, not asserted."""
QUIET = 5.0
LAST_BACKUP = "kube-provision-backup"
"""Where the cluster says of it."""
CORDONED = "w-prod-1"
"""By its user, for reasons of its own."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("lab"), bookworm={"w-prod-2"}, upgrades=True) as lab:
        if not REAL:  # stand-ins run no images, and this one's program is asked what it takes
            programs.image(lab.mirror.folder / "images.tar", f"{REPOSITORY}/kube-scheduler:v{lab.successors[-1].version}")
            lab.settings["image_archives"] = lab.mirror.url("images.tar")
        run = lab.provision("--wait")
        assert run.code == 0, run.errors
        cordon(lab, CORDONED)
        back_up(lab)
        yield lab


def test_a_version_that_no_package_has_is_refused_and_nothing_is_changed(lab: Lab) -> None:
    before = versions(lab)
    run = lab.run("upgrade", "--k8s-version", f"{lab.kubernetes.minor}.99", "--no-backup", limit=LIMIT)
    assert run.code != 0
    assert f"{lab.kubernetes.minor}.99" in run.errors
    assert versions(lab) == before
    assert cordoned(lab) == {CORDONED}
    assert lab.calls("upgrade", failed=True) == []


def test_without_a_backup_none_begins_and_nothing_is_changed(lab: Lab) -> None:
    before, versions_before = lab.kubernetes, versions(lab)
    lab.want(lab.successors[-1])
    api(lab).expect("DELETE", f"{CONFIG_MAPS}/{LAST_BACKUP}")
    run = upgrade(lab)
    assert run.code == 2, run.errors
    assert "no backup was made of the cluster: make one (kube-provision backup " in run.errors
    assert versions(lab) == versions_before
    assert lab.calls("upgrade") == []
    lab.want(before)
    back_up(lab)
    assert len(list((lab.folder / "backups").iterdir())) == 1


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ({"featureGates": {"LongGone": True}}, "LongGone is not a valid feature name"),
        (
            {"scheduler": {"extraArgs": [{"name": "long-gone", "value": "1"}]}},
            "does not take kube-scheduler --long-gone (Error: unknown flag: --long-gone): take it out of",
        ),
    ],
    ids=["kubeadm", "scheduler"],
)
def test_what_the_next_version_does_not_know_is_named_and_nothing_is_changed(
    lab: Lab, setting: dict[str, Any], named: str
) -> None:
    before, versions_before = lab.kubernetes, versions(lab)
    lab.want(lab.successors[-1])
    with configured(lab, setting):
        run = upgrade(lab)
    assert run.code != 0
    assert named in run.output + run.errors
    assert versions(lab) == versions_before
    assert cordoned(lab) == {CORDONED}
    assert lab.calls("upgrade", failed=True) == []
    lab.want(before)


if not REAL:  # whose second folder is a minor, and whose API server no longer serves what the next one lacks

    def test_what_clients_ask_for_and_the_next_minor_lacks_is_named_and_nothing_is_changed(lab: Lab) -> None:
        before = lab.kubernetes
        api(lab).expect("GET", next(iter(DEPRECATED)))
        lab.want(lab.successors[-1])
        run = upgrade(lab)
        assert run.code == 2, run.errors
        assert "v1beta1 poddisruptionbudgets.policy (removed in 1.37)" in run.errors
        assert set(versions(lab).values()) == {before.version}
        lab.want(before)

    def test_a_patch_and_a_machine_that_is_added_meanwhile_gets_it(lab: Lab, measured: Measured) -> None:
        """Whatever the file says, the cluster's is what its further machines get."""
        before, patch = lab.kubernetes, lab.successors[0]
        lab.want(patch)
        kill_when(lab, lambda: kubeadm_version(lab) == patch.version, "upgrade", "--no-backup")
        lab.want(before)
        run = lab.provision("--wait", workers=3)
        assert run.code == 0, run.errors
        assert versions(lab)["w-prod-3"] == patch.version
        lab.want(patch)
        begin = time.monotonic()
        run = upgrade(lab)
        measured("seconds for what was left", round(time.monotonic() - begin, 1))
        assert run.code == 0, run.errors
        assert_all_at(lab, patch)


@pytest.mark.night
def test_every_node_starts_anew_with_its_system_one_after_another_and_no_client_notices(
    lab: Lab, measured: Measured
) -> None:
    hosts = {name: host for name, host in lab.hosts.items() if name in lab.masters or name in lab.workers}
    before = {name: boot_of(host) for name, host in hosts.items()}
    for host in hosts.values():
        host.run("touch", REBOOT_REQUIRED)
    since = now()
    with Probe(lab.hosts["w-prod-2"], lab.administrator) as client:
        until(lambda: client.is_served(QUIET), SERVED, "w-prod-2 writes")
        run = lab.run("upgrade", "--os", "--masters-only", limit=len(lab.masters) * LIMIT)
        measured("seconds for the masters", round(now() - since, 1))
        assert run.code == 0, run.errors
        measured("longest time in which nothing was written", round(client.longest_outage(since), 2))
        measured("requests that failed", f"{client.failures(since, now())} of {len(client.attempts)}")
        assert client.longest_outage(since) <= SERVED
    run = lab.run("upgrade", "--os", "--workers-only", limit=len(lab.workers) * LIMIT)
    assert run.code == 0, run.errors
    assert all(boot_of(host) != before[name] for name, host in hosts.items())
    assert lab.ready() == set(hosts)
    assert cordoned(lab) == {CORDONED}


def test_a_minor_is_noticed_by_no_client_that_reads_and_writes(lab: Lab, measured: Measured) -> None:
    release, since = lab.successors[-1], now()
    lab.want(release)
    with Probe(lab.hosts["w-prod-2"], lab.administrator) as client:
        until(lambda: client.is_served(QUIET), SERVED, "w-prod-2 writes")
        for turn in range(2):
            kill_when(lab, lambda turn=turn: begun(lab, since) > turn, "upgrade", "--no-backup")
        begin = time.monotonic()
        run = upgrade(lab)
        measured("seconds of the run that was not killed", round(time.monotonic() - begin, 1))
        assert run.code == 0, run.errors
        until(lambda: client.is_served(QUIET), SERVED, "w-prod-2 writes in the end")
        last = max(number for number, it in enumerate(client.attempts, 1) if it.served)
        measured("seconds for all of it", round(now() - since, 1))
        measured("longest time in which nothing was written", round(client.longest_outage(since), 2))
        measured("requests that failed", f"{client.failures(since, now())} of {len(client.attempts)}")
        assert client.longest_outage(since) <= SERVED
        assert written(lab) >= last
    turns = [turn for turn in lab.calls("upgrade") if turn[1] > since]
    measured("seconds of kubeadm on each master", {name: round(end - start, 1) for name, start, end in turns})
    masters = [turn for turn in turns if turn[0] in lab.masters]
    assert {name for name, *_ in masters} == set(lab.masters)
    assert all(earlier[2] <= later[1] for earlier, later in pairwise(masters)), masters
    assert min(start for name, start, _ in turns if name in lab.workers) >= masters[-1][2]
    assert_all_at(lab, release)


def test_once_more_there_is_nothing_to_do(lab: Lab) -> None:
    run = upgrade(lab)
    assert run.code == 0, run.errors
    assert f"every node that was asked for is at {lab.kubernetes.version}" in run.output + run.errors


def test_a_changed_setting_is_named_applied_to_the_nodes_as_they_run_and_is_no_drift_any_more(lab: Lab) -> None:
    """Of workers alone: masters take it in the same way, and each turn takes its time."""
    before = {name: boot_of(host) for name, host in lab.workers.items()}
    assert drifted(lab) == {}
    lab.settings["kubelet"] = {"maxPods": 200}
    assert drifted(lab) == dict.fromkeys([*lab.masters, *lab.workers], "kubelet.maxPods")
    plan = lab.run("plan", "upgrade", "--workers-only")
    names = ", ".join(sorted(lab.workers))
    assert f"kubelet.maxPods: unset → 200: a task applies it, node by node: {names}" in plan.output + plan.errors
    run = lab.run("upgrade", "--workers-only", limit=len(lab.workers) * LIMIT)
    assert run.code == 0, run.errors
    until(lambda: pods(lab, lab.workers) == {"200"}, LIMIT, "workers take more pods")
    assert pods(lab, lab.masters) == {"110"}
    assert drifted(lab) == dict.fromkeys(lab.masters, "kubelet.maxPods")
    assert {name: boot_of(host) for name, host in lab.workers.items()} == before
    assert lab.ready() == {*lab.masters, *lab.workers}
    assert cordoned(lab) == {CORDONED}
    del lab.settings["kubelet"]


# --- what is done, and what is seen -----------------------------------------------------------------------------------


@contextmanager
def configured(lab: Lab, setting: dict[str, Any]) -> Iterator[None]:
    """As somebody has changed what kubeadm keeps in the cluster; put back in the end."""
    place = f"{CONFIG_MAPS}/kubeadm-config"
    kept = api(lab).expect("GET", place)
    text = yaml.safe_dump(yaml.safe_load(kept["data"]["ClusterConfiguration"]) | setting)
    api(lab).expect("PUT", place, {**kept, "data": {**kept["data"], "ClusterConfiguration": text}})
    try:
        yield
    finally:
        now = api(lab).expect("GET", place)
        api(lab).expect("PUT", place, {**now, "data": kept["data"]})


def drifted(lab: Lab) -> dict[str, str]:
    """Keys that have changed since machines were made, by their names."""
    nodes = json.loads(lab.run("status", "--output", "json").output)["nodes"]
    return {node["name"]: " ".join(change["key"] for change in node["changes"]) for node in nodes if node["drifted"]}


def pods(lab: Lab, names: Iterable[str]) -> set[str]:
    """How many these nodes take, as the cluster has it."""
    return {api(lab).expect("GET", f"{NODES}/{name}")["status"]["capacity"]["pods"] for name in names}


def boot_of(host: Host) -> str:
    """Another one after each start of its system."""
    return host.run("cat", "/proc/sys/kernel/random/boot_id")


def upgrade(lab: Lab) -> Run:
    return lab.run("upgrade", limit=len(lab.hosts) * LIMIT)


def back_up(lab: Lab) -> None:
    """As every night."""
    folder = lab.folder / "backups"
    folder.mkdir(exist_ok=True)
    run = lab.run("backup", str(folder), "--keep", "1", "--recipient", str(pyrage.x25519.Identity.generate().to_public()))
    assert run.code == 0, run.errors


def begun(lab: Lab, since: float) -> int:
    """How many upgrades of nodes have begun, whole or not."""
    return sum(event.get("begin", 0) > since for _, event in lab.events("upgrade"))


def versions(lab: Lab) -> dict[str, str]:
    """Of kubelets, by node."""
    with lab.control_plane() as cluster:
        return {node.name: node.kubelet for node in cluster.nodes()}


def assert_all_at(lab: Lab, release: Kubernetes) -> None:
    """Kubelets, control planes, what kubeadm keeps of the cluster, CoreDNS and kube-proxy; ready, and cordoned as before."""
    names = {*lab.masters, *lab.workers}
    assert versions(lab) == dict.fromkeys(names, release.version)
    with lab.control_plane() as cluster:
        assert cluster.kubeadm_configuration().version == release.version
        assert [cluster.versions.behind(master, release.version) for master in lab.masters] == [""] * len(lab.masters)
        assert cluster.versions.addons_behind(release.version) == ""
    assert lab.ready() == names
    assert cordoned(lab) == {CORDONED}


def kubeadm_version(lab: Lab) -> str:
    with suppress(ControlPlaneError), lab.control_plane() as cluster:
        return cluster.kubeadm_configuration().version
    return ""


def cordoned(lab: Lab) -> set[str]:
    """By whomever."""
    nodes = api(lab).expect("GET", NODES)["items"]
    return {node["metadata"]["name"] for node in nodes if node.get("spec", {}).get("unschedulable")}


def cordon(lab: Lab, name: str) -> None:
    """As `kubectl cordon` does it."""

    def done() -> bool:
        """Unless its kubelet has changed it meanwhile."""
        node = api(lab).expect("GET", f"{NODES}/{name}")
        spec = {**node.get("spec", {}), "unschedulable": True}
        return api(lab).call("PUT", f"{NODES}/{name}", {**node, "spec": spec})[0] == 200

    until(done, LIMIT, f"{name} is cordoned")


def written(lab: Lab) -> int:
    """What the probe has written last, as the cluster has it."""
    return int(api(lab).expect("GET", f"{CONFIG_MAPS}/{NAME}")["data"]["number"])


def api(lab: Lab) -> Api:
    """Of the first master, as its administrator asks it."""
    return Api(f"https://{next(iter(lab.masters.values())).address}:6443", credential=KeyPair(lab.administrator, b""))
