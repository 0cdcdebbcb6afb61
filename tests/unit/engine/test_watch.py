"""How long masters that have booted may take until they are ready."""

from __future__ import annotations

from pathlib import Path

import pytest
from doubles.site import Site

from kube_provision_core.cluster.known import Unknown
from kube_provision_core.cluster.observe import Observation
from kube_provision_core.cluster.roll import Roll
from kube_provision_core.contract.errors import ControlPlaneError
from kube_provision_core.engine.executor import State
from kube_provision_core.engine.latest import Latest
from kube_provision_core.engine.nodes import AwaitReady
from kube_provision_core.engine.watch import Watcher, ready_timeout


@pytest.mark.parametrize(("boot", "ready"), [(1.0, 600.0), (1800.0, 600.0), (5400.0, 1800.0)])
def test_masters_that_boot_slowly_become_ready_slowly(boot: float, ready: float) -> None:
    assert ready_timeout(boot) == ready


def test_a_node_is_not_ready_while_no_master_says_so(tmp_path: Path) -> None:
    with Site(tmp_path / "state").session(masters=1, workers=0) as session:
        roll, latest = (
            Roll(lambda: Unknown(ControlPlaneError("no master answers"))),
            Latest(Observation(session.desired.cluster)),
        )
        watcher = Watcher(session, latest, roll, address_timeout=60, finish_timeout=60)
        settling = AwaitReady(node=session.desired.masters[0])
        sight = watcher([settling])[settling.key]
    assert (sight.state, sight.text) == (State.RUNNING, "not Ready: no master answers")
