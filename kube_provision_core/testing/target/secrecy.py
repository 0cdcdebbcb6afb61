"""Nobody but the machine learns its secrets: not from logs, errors, files, argv, an environment or the screen."""

from __future__ import annotations

import os
from collections.abc import Sequence

import pytest

from ... import Cluster, Vm
from ..connected import Connected
from ..guards import logged, telling, witnessed
from ..samples import SECRET, boot_of
from .fixtures import WORKER, TargetFixtures, listed, make


class SecrecyChecks(TargetFixtures):
    def test_secrets_are_never_told(self, driver: Connected, cluster: Cluster, secrets: Sequence[str]) -> None:
        with logged() as lines:
            vm = _everything(driver, cluster)
        told = telling([*lines, repr(driver), repr(vm), str(vm)], [SECRET, *secrets])
        assert not told, f"a secret was told: {told}"

    def test_nothing_is_printed(self, driver: Connected, cluster: Cluster, capfd: pytest.CaptureFixture[str]) -> None:
        """What a run prints may be JSON that a program reads."""
        capfd.readouterr()
        _everything(driver, cluster)
        assert tuple(capfd.readouterr()) == ("", "")

    def test_secrets_are_in_no_argv_and_no_environment(
        self, driver: Connected, cluster: Cluster, secrets: Sequence[str]
    ) -> None:
        """Everybody on this computer can read both."""
        with witnessed() as witness:
            _everything(driver, cluster)
        told = telling([*witness.started, repr(dict(os.environ))], [SECRET, *secrets])
        assert not told, f"a secret was told: {told}"

    def test_files_with_secrets_are_private(self, driver: Connected, secrets: Sequence[str]) -> None:
        with witnessed() as witness:
            make(driver)
        told = witness.readable([SECRET, *secrets])
        assert not told, f"everybody on this computer can read {told}"


def _everything(driver: Connected, cluster: Cluster) -> Vm:
    """A machine's whole life, from the look before it is made; the machine as it was made."""
    _ask(driver, "preflight", machines=[(WORKER, boot_of(WORKER))])
    vm = make(driver)
    listed(driver, cluster)
    _ask(driver, "start_vm", vm=vm)
    _ask(driver, "deliver_task", vm=vm, task=b"a task")
    _ask(driver, "restamp_vm", vm=vm, stamp=vm.stamp)
    _ask(driver, "scrub_boot", vm=vm)
    _ask(driver, "destroy_vm", vm=vm)
    return vm


def _ask(driver: Connected, hook: str, **arguments: object) -> None:
    if driver.offers(hook):
        getattr(driver, hook)(**arguments)
