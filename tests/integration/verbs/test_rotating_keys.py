"""`encryption rotate` in a cluster that lives: masters really get the keys, and Secrets are written anew over its API."""

from __future__ import annotations

import shutil
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from doubles.member import Member, at_work
from doubles.site import Operator, Site
from servers.cluster_objects import SECRETS, ClusterObjects
from servers.living_masters import LivingMasters

from kube_provision_core.boot.api_server import KEYS, encryption_configuration
from kube_provision_core.boot.tasks import Task
from kube_provision_core.contract.machines import Discovery, Node
from kube_provision_core.engine.executor import Event, Interrupt, State
from kube_provision_core.engine.report import Report
from kube_provision_core.engine.verb import Options
from kube_provision_core.folder.encryption import Encryption, Stage
from kube_provision_core.verbs import rotate, run
from kube_provision_core.verbs.rotate import ROTATE

pytestmark = pytest.mark.usefixtures("look_often")

MASTERS = {"m-prod-1": "127.64.33.1", "m-prod-2": "127.64.33.2"}
SIZE: dict[str, Any] = {"masters": 2, "workers": 0, "encryption_at_rest": True}
PASSWORDS = 120
"""More than one page of them."""


class Cluster:
    """Its API servers begin, in name only, with the file that they find when a task has them do it."""

    def __init__(self, folder: Path, objects: ClusterObjects) -> None:
        self.folder, self.objects = folder, objects
        self.written_with: dict[str, str] = {}
        store = objects._store

        def encrypted(collection: str, document: dict[str, Any], uid: str) -> dict[str, Any]:
            if collection == SECRETS:
                self.written_with[document["metadata"]["name"]] = self.keys("m-prod-1")[0]
                assert {self.keys(name)[0] for name in MASTERS} == {self.keys("m-prod-1")[0]}
            return store(collection, document, uid)

        objects._store = encrypted  # type: ignore[method-assign]

    def started(self, name: str) -> Path:
        return self.folder / name / "started.yaml"

    def keys(self, name: str) -> list[str]:
        document = yaml.safe_load(self.started(name).read_text())
        return [key["name"] for key in document["resources"][0]["providers"][0]["secretbox"]["keys"]]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    site = Site(tmp_path / "state")
    site.world.addresses = {**MASTERS, "consul-prod": "127.64.33.9"}
    site.provision(**SIZE)
    site.registry.record = Discovery(initialised=True)
    honest = rotate.give_keys

    def in_name(node: Node, encryption: Encryption) -> Task:
        task, root = honest(node, encryption), tmp_path / node.name
        (owned,) = task.steps
        step = replace(owned.step, script=f"cp {root}{KEYS} {root}/started.yaml\n")
        return replace(task, steps=(replace(owned, step=step),))

    monkeypatch.setattr(rotate, "give_keys", in_name)
    return site


@pytest.fixture
def cluster(site: Site, tmp_path: Path) -> Iterator[Cluster]:
    assert site.folder
    assert site.folder.encryption
    pki, stamps = site.folder.pki, {name: site.world.vms[name].stamp for name in MASTERS}
    members = {name: Member(tmp_path / name, pki, name=name, stamp=stamp) for name, stamp in stamps.items() if stamp}
    for name in MASTERS:
        text = encryption_configuration(site.folder.encryption)
        shutil.copy(members[name].write(KEYS.lstrip("/"), text), tmp_path / name / "started.yaml")
    with LivingMasters(pki, MASTERS) as masters:
        cluster = Cluster(tmp_path, masters.objects)
        for number in range(PASSWORDS):
            data = {"password": b64encode(b"hunter2").decode()}
            secret = {"metadata": {"name": f"password-{number}"}, "type": "Opaque", "data": data}
            masters.objects.create(SECRETS, secret)
        with at_work(site.world, members):
            yield cluster


def rotated(site: Site) -> Report:
    with site.session(**SIZE) as session:
        return run.run(ROTATE, session, Options(finish_timeout=60), Operator(site))


def held(site: Site) -> Encryption:
    assert site.folder
    assert site.folder.encryption
    return site.folder.encryption


def check(site: Site, cluster: Cluster, report: Report, before: Encryption) -> None:
    assert {outcome.state for outcome in report.outcomes} == {State.DONE}, report.outcomes
    now = held(site)
    assert (now.stage, now.key) == (Stage.SETTLED, before.next)
    assert [cluster.keys(name) for name in MASTERS] == [[now.key.name]] * 2
    assert len(cluster.written_with) == PASSWORDS
    assert set(cluster.written_with.values()) == {now.key.name}
    assert site.world.tasks == {}


def test_all_secrets_are_written_with_the_new_key_and_the_old_one_is_nowhere_any_more(site: Site, cluster: Cluster) -> None:
    before = held(site)
    check(site, cluster, rotated(site), before)


@pytest.mark.parametrize(
    ("key", "stage"),
    [
        ("keys-reading m-prod-1", Stage.READING),
        ("rewrite-secrets prod", Stage.WRITING),
        ("keys-leaving m-prod-2", Stage.LEAVING),
    ],
)
def test_what_is_broken_off_goes_on(site: Site, cluster: Cluster, key: str, stage: Stage) -> None:
    before = held(site)

    def break_off(event: Event) -> None:
        if event.action.key == key:
            site.interrupt.request()
            site.interrupt.request()

    site.listen = break_off
    assert rotated(site).interrupted
    assert held(site) == before.at(stage)
    site.listen, site.interrupt = lambda event: None, Interrupt()
    check(site, cluster, rotated(site), before)


def test_a_secret_that_cannot_be_written_keeps_the_old_key_where_it_is(site: Site, cluster: Cluster) -> None:
    before = held(site)
    cluster.objects._objects[SECRETS]["broken"] = {"metadata": {"name": "broken"}, "data": {"a": "no base64"}}
    report = rotated(site)
    states = {outcome.action.key: outcome for outcome in report.outcomes}
    assert states["rewrite-secrets prod"].state is State.FAILED
    assert "does not write Secret kube-system/broken anew" in states["rewrite-secrets prod"].text
    assert states["keys-leaving m-prod-1"].state is State.SKIPPED
    assert held(site) == before.at(Stage.WRITING)
    assert {len(cluster.keys(name)) for name in MASTERS} == {2}
