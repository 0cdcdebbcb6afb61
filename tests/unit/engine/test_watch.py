"""How long masters that have booted may take until they are ready."""

from __future__ import annotations

import pytest

from kube_provision_core.engine.watch import ready_timeout


@pytest.mark.parametrize(("boot", "ready"), [(1.0, 600.0), (1800.0, 600.0), (5400.0, 1800.0)])
def test_masters_that_boot_slowly_become_ready_slowly(boot: float, ready: float) -> None:
    assert ready_timeout(boot) == ready
