"""What a machine runs is looked at before anything is installed; and whatever else the system adds to a boot."""

from __future__ import annotations

import pytest

from ... import BootFragment, Role, Stage, Step
from ..dry_run import DryMachine
from ..offers import offered
from ..parts import PartChecks
from .fixtures import OsFixtures

ANOTHER_SYSTEM = 'ID=plan9\nVERSION_ID="4"\nPRETTY_NAME="Plan 9"\nVERSION_CODENAME=bell\n'

Parts = dict[Role, BootFragment | None]


class ReleaseChecks(OsFixtures, PartChecks):
    def test_another_system_is_refused_before_anything_is_installed(self, parts: Parts, machine: DryMachine) -> None:
        for role, part in parts.items():
            step = _looking(part, role)
            machine.write("/etc/os-release", ANOTHER_SYSTEM)
            ran = machine.run(step.script)
            assert ran.code != 0, f"a {role} machine that runs another system is taken"
            assert "Plan 9" in ran.said or "plan9" in ran.said, f"what it runs is not told: {ran.said!r}"

    def test_another_release_is_refused(self, parts: Parts, machine: DryMachine) -> None:
        step, (release, *_) = _looking(parts[Role.WORKER], Role.WORKER), self._releases()
        lines = [line for line in release.splitlines() if not line.startswith("VERSION_ID=")]
        machine.write("/etc/os-release", "\n".join([*lines, 'VERSION_ID="0.1"', ""]))
        assert machine.run(step.script).code != 0, "any release is taken"

    def test_every_release_that_is_supported_is_taken(self, parts: Parts, machine: DryMachine) -> None:
        step = _looking(parts[Role.WORKER], Role.WORKER)
        for release in self._releases():
            machine.write("/etc/os-release", release)
            ran = machine.run(step.script)
            assert ran.code == 0, f"{release!r} is refused: {ran.said}"

    def test_a_machine_that_runs_another_system_is_given_up_at_once(self, parts: Parts) -> None:
        step = _looking(parts[Role.WORKER], Role.WORKER)
        assert step.attempts == 1, "it will run another system at the next attempt, too"

    def _releases(self) -> tuple[str, ...]:
        return offered(self.releases or None, "releases")


def _looking(part: BootFragment | None, role: Role) -> Step:
    """The step that looks which system it is."""
    steps = [step for step in part.steps if "os-release" in step.script and step.stage is Stage.PREPARE] if part else []
    if not steps:
        pytest.fail(f"no step of the stage prepare looks which system a {role} machine runs")
    return steps[0]
