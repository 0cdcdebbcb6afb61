"""Every driver of ours runs its contract suite, beside its other tests; a skip fails a run, so nothing is left out."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

PLUGINS = Path(__file__).parents[2] / "plugins"
SUITES = {"target": "TargetContract", "os": "OsContract", "discovery": "DiscoveryContract"}


def drivers() -> Iterator[tuple[str, str, str]]:
    """Plugin, kind and class of every driver that a distribution of ours offers."""
    for project in sorted(PLUGINS.glob("*/pyproject.toml")):
        groups = tomllib.loads(project.read_text())["project"]["entry-points"]
        for group, entries in groups.items():
            for target in set(entries.values()):
                yield project.parent.name, group.removeprefix("kube_provision."), target.partition(":")[2]


@pytest.mark.parametrize(("plugin", "kind", "driver"), list(drivers()))
def test_a_driver_runs_its_contract_suite(plugin: str, kind: str, driver: str) -> None:
    modules = [ast.parse(path.read_text()) for path in (PLUGINS / plugin / "tests").glob("**/test_*.py")]
    suites = [
        item
        for module in modules
        for item in module.body
        if isinstance(item, ast.ClassDef)
        and any(isinstance(base, ast.Name) and base.id == SUITES[kind] for base in item.bases)
    ]
    assert suites, f"plugins/{plugin}/tests has no class Test…({SUITES[kind]}) for {driver}"
    assert all(suite.name.startswith("Test") for suite in suites)
