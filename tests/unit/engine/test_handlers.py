"""What becomes of single actions, whatever plan they stand in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from inspect import isabstract
from pathlib import Path

import pytest
from doubles.site import Site

from kube_provision_core.cluster import NOBODY_ASKED, Roll
from kube_provision_core.cluster.cordon import Purpose
from kube_provision_core.cluster.observe import Observation, observe
from kube_provision_core.contract.boot import Boot
from kube_provision_core.contract.machines import Cluster, Node
from kube_provision_core.engine.handlers import Performer
from kube_provision_core.engine.latest import Latest
from kube_provision_core.engine.nodes import CordonNode, Pause
from kube_provision_core.engine.plan import Action, CreateVm, ForgetInitialising, RestampVm, ScrubNode
from kube_provision_core.engine.session import Session
from kube_provision_core.engine.watch import Watcher
from kube_provision_core.folder.pki import JoinSecrets

pytestmark = pytest.mark.usefixtures("look_often")

ONE = {"masters": 1, "workers": 1}
NOBODY = Roll(lambda: NOBODY_ASKED)
"""Of a cluster that nobody has asked."""


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path / "state")
    site.provision(**ONE)
    return site


@pytest.fixture
def session(site: Site) -> Iterator[Session]:
    with site.session(**ONE) as session:
        yield session


@pytest.fixture
def latest(session: Session) -> Latest:
    return Latest(observe(session.hook, session.desired.cluster))


@pytest.fixture
def perform(session: Session, latest: Latest) -> Performer:
    return Performer(session, latest, NOBODY)


def test_what_the_cluster_has_forgotten_of_a_machine_that_is_gone_may_be_begun_anew(site: Site, perform: Performer) -> None:
    assert perform(ForgetInitialising(cluster="prod", name="m-prod-9")) == "m-prod-9 is gone"
    assert site.registry.forgotten == ["m-prod-9"]


@pytest.mark.parametrize(("version", "told"), [("", "1.37"), ("1.36.2", "1.36.2")])
def test_a_machine_is_told_of_the_kubernetes_that_it_is_to_get(
    session: Session, perform: Performer, monkeypatch: pytest.MonkeyPatch, version: str, told: str
) -> None:
    versions = []
    render = Session.render

    def rendering(session: Session, node: Node, cluster: Cluster, secrets: JoinSecrets) -> Boot:
        versions.append(cluster.kubernetes_version)
        return render(session, node, cluster, secrets)

    monkeypatch.setattr(Session, "render", rendering)
    perform(CreateVm(node=session.desired.workers[0], version=version))
    assert versions == [told]


def test_a_stamp_becomes_todays_and_stays_that_machines_own(
    site: Site, session: Session, latest: Latest, perform: Performer
) -> None:
    before, worker = site.world.vms["w-prod-1"].stamp, session.desired.workers[0]
    assert before
    today = replace(worker.stamp, cluster_id="another", spec="today", made_of={"core": {"cpu": 3}})
    perform(RestampVm(node=replace(worker, stamp=today)))
    after = replace(before, spec="today", made_of={"core": {"cpu": 3}})
    assert (site.world.vms["w-prod-1"].stamp, latest.vm("w-prod-1").stamp) == (after, after)


class TestScrubbing:
    @pytest.fixture
    def server(self, session: Session) -> ScrubNode:
        (server,) = session.desired.discovery
        return ScrubNode(node=server)

    def test_a_machine_that_is_scrubbed_already_is_left_alone(
        self, site: Site, server: ScrubNode, perform: Performer, latest: Latest
    ) -> None:
        latest.note([replace(latest.vm(server.subject), scrubbed=True)])
        before = dict(site.world.boot_data)
        assert perform(server) == "secrets are gone from its boot data"
        assert site.world.boot_data == before

    def test_a_discovery_machine_that_nobody_asks_keeps_its_boot_data(self, server: ScrubNode, session: Session) -> None:
        seen = observe(session.hook, replace(session.desired.cluster, discovery_address="10.200.200.1"))
        told = Performer(session, Latest(seen), NOBODY)(server)
        assert told.endswith("for the next run to take away: discovery is asked at 10.200.200.1")

    def test_a_discovery_machine_keeps_its_boot_data_until_it_answers(
        self, site: Site, server: ScrubNode, session: Session
    ) -> None:
        site.registry.silent = True
        perform = Performer(session, Latest(observe(session.hook, session.desired.cluster)), NOBODY)
        assert perform(server).endswith("does not answer")
        site.registry.silent = False
        assert perform(server) == "secrets are gone from its boot data"

    def test_of_several_discovery_machines_each_keeps_its_own_until_it_answers_itself(
        self, site: Site, server: ScrubNode, session: Session
    ) -> None:
        seen = observe(session.hook, session.desired.cluster)
        several = Observation(replace(seen.cluster, discovery_others=("192.0.2.9",)), seen.vms, seen.discovery)
        site.registry.silent = True
        perform = Performer(session, Latest(several), NOBODY)
        assert perform(server).endswith(f": {seen.cluster.discovery_address} does not answer")
        site.registry.silent = False
        assert perform(server) == "secrets are gone from its boot data"


# --- all kinds of actions -------------------------------------------------------------------------------------------


def kinds(of: type[Action] = Action) -> Iterator[type[Action]]:
    """Those that plans are made of."""
    for kind in of.__subclasses__():
        yield from ([] if isabstract(kind) else [kind])
        yield from kinds(kind)


def test_whatever_changes_something_has_somebody_who_does_it() -> None:
    handlers = vars(Performer)["_perform"].dispatcher
    unhandled = handlers.dispatch(object)
    assert {kind.__name__ for kind in kinds() if kind.mark != "." and handlers.dispatch(kind) is unhandled} == set()


def test_an_action_that_nobody_does_is_a_bug_that_names_it(perform: Performer) -> None:
    with pytest.raises(TypeError, match="nobody performs pause w-prod-1"):
        perform(Pause(name="w-prod-1", seconds=1.0))


def test_an_action_that_nobody_awaits_is_a_bug_that_names_it(session: Session, latest: Latest) -> None:
    watch = Watcher(session, latest, NOBODY, address_timeout=1.0, finish_timeout=1.0)
    with pytest.raises(TypeError, match="nobody awaits cordon w-prod-1"):
        watch([CordonNode(name="w-prod-1", purpose=Purpose.REMOVED)])
