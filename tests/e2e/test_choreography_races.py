"""Three hosts that were all given the authorities and may all initialise: whoever is first does, and the others join it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from machines.lab import Lab, until

from kube_provision_core import Boot, Cluster, Node
from kube_provision_core import config as configuration
from kube_provision_core.engine.session import Session, open_session

SITE = Path(__file__).parents[1] / "machines/site"
LIMIT = 300.0


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with pytest.MonkeyPatch.context() as patch, Lab(tmp_path_factory.mktemp("lab")) as lab:
        patch.syspath_prepend(str(SITE))
        yield lab


@pytest.mark.parametrize("round_", [1, *(pytest.param(it, marks=pytest.mark.night) for it in (2, 3))])
def test_one_of_three_initialises(lab: Lab, round_: int) -> None:
    """All rounds meet on the Consul of the first one."""
    lab.name = f"race{round_}"
    config = configuration.load([lab.config], flags={"name": lab.name, "masters": 3, "workers": 0}, environ={})
    with open_session(config, lab.state) as session:
        session.folder.save()
        race(lab, session)
    until(lambda: set(lab.stages().values()) == {"finish done"}, LIMIT, "all have finished")
    assert len(lab.calls("init", failed=True)) == 1
    assert len(lab.calls("join")) == 2
    with lab.control_plane() as api:
        assert sorted((member.name, member.learner) for member in api.etcd.members()) == [
            (name, False) for name in sorted(lab.masters)
        ]
    for name in list(lab.masters):
        lab.hypervisor.remove(name)


def race(lab: Lab, session: Session) -> None:
    """Start the discovery machine if no round has yet, then all masters at the same time."""
    cluster = session.desired.cluster
    (server,) = session.desired.discovery
    if not lab.hosts:
        create(lab, session, server, cluster)
        lab.hypervisor.start(server.name)
        until(lambda: lab.stages()[server.name] == "finish done", LIMIT, "Consul is there")
        lab.settings |= {key: session.folder.generated[key] for key in ("consul_seed", "consul_encrypt")}
    cluster = replace(cluster, discovery_address=lab.discovery.address)
    session.hook.admit_nodes(cluster=cluster)
    for node in session.desired.masters:
        create(lab, session, replace(node, stamp=replace(node.stamp, carries_ca=True)), cluster)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lab.hypervisor.start, sorted(lab.masters)))


def create(lab: Lab, session: Session, node: Node, cluster: Cluster) -> None:
    boot: Boot = session.render(node, cluster, session.folder.join_secrets())
    lab.hypervisor.create(node.name, node.stamp, boot)
