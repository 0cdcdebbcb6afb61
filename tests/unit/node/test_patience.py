"""How long who waits for what: more where processors are emulated, and never longer than whoever waits for them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from kube_provision_core.boot.kubeadm import MEMBERSHIP_LIMIT
from kube_provision_core.boot.kubeadm_config import TIMEOUTS
from kube_provision_node import choreography, kubeadm, patience

Run = Callable[[str], None]
KINDS = {"kvm": 0, "vmware": 0, "none": 0, "qemu": 1}


@pytest.fixture
def runs_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Makes this the machine of a hypervisor, as systemd names it."""

    def runs_on(hypervisor: str) -> None:
        program = tmp_path / "systemd-detect-virt"
        program.write_text(f"#!/bin/sh\necho {hypervisor}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    return runs_on


@pytest.mark.parametrize(("hypervisor", "kind"), KINDS.items())
def test_leaders_are_more_patient_where_processors_are_emulated(runs_on: Run, hypervisor: str, kind: int) -> None:
    runs_on(hypervisor)
    told = patience.filled_in("@LEASE_DURATION@ @RENEW_DEADLINE@ @RETRY_PERIOD@")
    assert told == ("15s 10s 2s", "60s 45s 5s")[kind]


@pytest.mark.parametrize(("hypervisor", "kind"), KINDS.items())
def test_every_wait_of_kubeadm_is_as_long_as_the_machine_needs(runs_on: Run, hypervisor: str, kind: int) -> None:
    runs_on(hypervisor)
    told = {name: patience.filled_in(f"@{name}@") for name in TIMEOUTS}
    assert told == {name: f"{seconds[kind]}s" for name, seconds in patience.WAITS.items()}


def test_an_emulated_machine_waits_longer_for_everything() -> None:
    assert all(emulated > usual for usual, emulated in patience.WAITS.values())


def test_an_api_server_that_took_nine_and_a_half_minutes_is_waited_for_twice_as_long() -> None:
    seen = 9 * 60 + 29
    assert patience.WAITS["kubernetesAPICall"][1] > 2 * seen
    assert patience.WAITS["controlPlaneComponentHealthCheck"][1] > 2 * seen


@pytest.mark.parametrize(("hypervisor", "kind"), KINDS.items())
def test_all_waits_of_a_joining_master_end_before_the_attempt(runs_on: Run, hypervisor: str, kind: int) -> None:
    """What kubeadm has waited for in vain only kubeadm can say."""
    runs_on(hypervisor)
    waits = [patience.WAITS[name][kind] for name in patience.ONE_AFTER_ANOTHER]
    assert sum(waits) < patience.limit()
    assert set(patience.ONE_AFTER_ANOTHER) == patience.WAITS.keys() - {"upgradeManifests"}


@pytest.mark.parametrize("hypervisor", KINDS)
def test_all_waits_of_a_membership_end_before_the_runner_ends_the_step(runs_on: Run, hypervisor: str) -> None:
    runs_on(hypervisor)
    turn = choreography.TURN_LIMIT + choreography.LOCK_LIMIT
    init = 3 * kubeadm.RESET_LIMIT + patience.limit() + choreography.RECORD_LIMIT
    afterwards = choreography.RECORD_LIMIT + 4 * kubeadm.APPLY_LIMIT
    assert turn + init + afterwards <= MEMBERSHIP_LIMIT


@pytest.mark.parametrize(("hypervisor", "kind"), KINDS.items())
def test_a_token_outlives_the_turns_of_three_masters_and_not_much_more(runs_on: Run, hypervisor: str, kind: int) -> None:
    """Each of the last two begins when the one before it has joined."""
    runs_on(hypervisor)
    life = int(patience.filled_in("@TOKEN_TTL@").removesuffix("s"))
    turn, discovery = (patience.WAITS[name][kind] for name in ("controlPlaneComponentHealthCheck", "discovery"))
    assert 2 * turn + discovery < life <= 4 * turn
