"""Every distribution of ours brings its suite, which anybody may run where it is installed: `plugins check`."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import pytest

from kube_provision_core.registry import suites
from kube_provision_core.testing.suite_run import FAILED, LEFT_OUT, PASSED, Checked, run

PLUGINS = Path(__file__).parents[2] / "plugins"
OF_THE_DRIVER_ITSELF = {"test_every_hook_is_marked_and_as_the_contract_names_it", "test_render_boot_touches_nothing"}


def names() -> set[str]:
    """What users call the drivers that our distributions offer."""
    projects = [tomllib.loads(path.read_text())["project"] for path in PLUGINS.glob("*/pyproject.toml")]
    groups = (f"kube_provision.{kind}" for kind in ("target", "os", "discovery", "extension"))
    return {name for group in groups for project in projects for name in project.get("entry-points", {}).get(group, {})}


@pytest.mark.parametrize("name", sorted(names()))
def test_every_driver_is_checked_by_its_name(name: str) -> None:
    assert suites(name)


def results(checks: list[Checked], result: str) -> dict[str, str]:
    """Those that came out so, with the reason."""
    return {it.check.partition("[")[0]: it.why for it in checks if it.result == result}


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("vsphere", "it takes a vCenter, in which machines would be made"),
        ("vmware-fusion", "it takes VMware Fusion or Workstation, and a template of which machines would be made"),
        ("qemu", "qemu-system-"),
        ("consul", "there is no `consul` here, which would be started on loopback"),
    ],
)
def test_what_takes_more_than_is_here_is_said_of_each_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, why: str
) -> None:
    """On an operator's machine that has a shell."""
    (tmp_path / "bash").symlink_to(str(shutil.which("bash")))
    monkeypatch.setenv("PATH", str(tmp_path))
    checks = run(suites(name))
    assert results(checks, FAILED) == {}
    assert results(checks, PASSED).keys() >= OF_THE_DRIVER_ITSELF
    assert any(told.startswith(why) for told in results(checks, LEFT_OUT).values())
    assert not (results(checks, LEFT_OUT).keys() & OF_THE_DRIVER_ITSELF)
