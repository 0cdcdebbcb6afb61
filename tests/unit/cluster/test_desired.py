"""What plugins are told of the cluster that is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from doubles.memory import MemoryTarget
from doubles.site import Site


class Containers(MemoryTarget):
    shares_kernel = True


@pytest.mark.parametrize(("target", "told"), [(MemoryTarget, False), (Containers, True)])
def test_every_plugin_is_told_whether_machines_share_the_kernel_of_their_host(
    tmp_path: Path, target: type[MemoryTarget], told: bool
) -> None:
    with Site(tmp_path, target=target).session() as session:
        assert session.desired.cluster.shares_kernel is told
