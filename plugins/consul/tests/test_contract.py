"""The contract suite, as it runs where somebody has the driver and the program `consul`."""

from __future__ import annotations

import pytest
from servers.consul import consul_binary

from kube_provision_core.testing.suite_run import run

pytestmark = pytest.mark.integration


def test_every_check_passes_on_a_consul_that_the_suite_starts_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(consul_binary().parent), prepend=":")
    checks = run(["kube_provision_consul.contract"])
    assert {(it.check, it.why) for it in checks if it.result != "passed"} == set()
    assert "test_a_master_that_is_ready_is_told_to_both_sides" in {it.check for it in checks}
