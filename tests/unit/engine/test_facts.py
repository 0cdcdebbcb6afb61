"""What is known before anything is changed: each fact asked for when it is first wanted, and once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from doubles.site import Site

from kube_provision_core import cluster
from kube_provision_core.cluster.observe import Observation
from kube_provision_core.contract.boot import Stage
from kube_provision_core.contract.errors import ControlPlaneError, PluginError, TargetError
from kube_provision_core.contract.machines import Discovery
from kube_provision_core.contract.status import NodeStatus
from kube_provision_core.engine.facts import Facts, Known, Unknown, learn
from kube_provision_core.engine.session import Session

pytestmark = pytest.mark.usefixtures("look_often")

ONE = {"masters": 1, "workers": 0}
FINISHED = NodeStatus(Stage.FINISH, "done")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Observation]:
    """What the cluster's API was asked about; no master answers."""
    asked: list[Observation] = []
    answer = Unknown(ControlPlaneError("no master answers"))
    monkeypatch.setattr(cluster, "ask_readiness", lambda seen, _, **__: asked.append(seen) or answer)
    return asked


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path / "state")
    site.provision(**ONE)
    return site


@pytest.fixture
def facts(site: Site, asked: list[Observation]) -> Iterator[Facts]:
    with site.session(**ONE) as session:
        yield Facts(session)


def test_nobody_is_asked_before_something_is_wanted(site: Site, facts: Facts, asked: list[Observation]) -> None:
    looks = site.world.looks
    assert facts.seen is facts.seen
    assert (site.world.looks, asked) == (looks + 1, [])


def test_a_recorded_cluster_is_initialised_and_its_api_not_asked(site: Site, facts: Facts, asked: list[Observation]) -> None:
    site.registry.record = Discovery(initialised=True)
    assert (facts.initialised, facts.lives, asked) == (Known(True), True, [])


def test_a_cluster_whose_masters_say_nothing_is_not(facts: Facts, asked: list[Observation]) -> None:
    assert (facts.initialised, facts.lives, asked) == (Known(False), False, [])


def test_a_masters_word_that_nobody_confirms_leaves_it_unknown(site: Site, facts: Facts, asked: list[Observation]) -> None:
    site.world.statuses["m-prod-1"] = FINISHED
    assert isinstance(facts.initialised, Unknown)
    assert facts.initialised.reason == "m-prod-1 told that the boot has finished, and no master answers"
    assert facts.kubernetes_error == facts.initialised.reason
    assert (facts.lives, facts.readiness, len(asked)) == (False, cluster.NOBODY_ASKED, 1)


def test_of_a_cluster_that_does_not_live_no_master_is_asked_for_its_nodes(facts: Facts) -> None:
    assert facts.nodes == facts.members == Known(cluster.Living())


def test_what_is_unknown_raises_why_where_it_is_needed(site: Site, facts: Facts) -> None:
    site.registry.record = Discovery(initialised=True)
    del site.world.vms["m-prod-1"]
    with pytest.raises(ControlPlaneError, match="has no master any more"):
        _ = facts.nodes.value


def test_a_target_without_templates_leaves_them_unknown(facts: Facts) -> None:
    with pytest.raises(PluginError):
        _ = facts.templates.value


def test_an_expected_failure_is_learnt_and_a_bug_goes_on() -> None:
    def fail(error: Exception) -> None:
        raise error

    trouble = TargetError("no route")
    assert learn(lambda: 1) == Known(1)
    assert learn(lambda: fail(trouble)) == Unknown(trouble)
    with pytest.raises(ZeroDivisionError):
        learn(lambda: fail(ZeroDivisionError()))


def test_it_is_known_whether_the_target_brings_machines_tasks(facts: Facts, monkeypatch: pytest.MonkeyPatch) -> None:
    assert facts.delivers
    with Site(facts.folder.path.parent / "other").session(**ONE) as session:
        monkeypatch.setattr(Session, "answers", lambda _, hook: hook != "deliver_task")
        assert not Facts(session).delivers


def test_advice_names_no_document_that_nobody_has_written(site: Site, tmp_path: Path) -> None:
    document = tmp_path / "config.yml"
    options = ("--config", str(document), "--state", str(site.state))
    with site.session(**ONE) as opened:
        config = replace(opened.config, options=options, unwritten={document: b""})
        session = replace(opened, config=config)
        assert str(document) not in session.remedies.provision()
        document.touch()
        assert str(document) in session.remedies.provision()
