"""Every driver of ours runs its contract suite, beside its other tests; a skip fails a run, so nothing is left out."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

PLUGINS = Path(__file__).parents[2] / "plugins"
SUITES = {"target": "TargetContract", "os": "OsContract", "discovery": "DiscoveryContract"}


def drivers() -> Iterator[tuple[str, str, str]]:
    """Plugin, kind and place of every driver that a distribution of ours offers."""
    for project in sorted(PLUGINS.glob("*/pyproject.toml")):
        groups = tomllib.loads(project.read_text())["project"]["entry-points"]
        for group, entries in groups.items():
            for target in set(entries.values()):
                yield project.parent.name, group.removeprefix("kube_provision."), target


@pytest.mark.parametrize(("plugin", "kind", "driver"), list(drivers()))
def test_a_driver_runs_its_contract_suite(plugin: str, kind: str, driver: str) -> None:
    assert_suite(plugin, SUITES[kind], driver)


@pytest.mark.parametrize(("plugin", "driver"), [(plugin, driver) for plugin, kind, driver in drivers() if kind == "target"])
def test_a_target_that_bakes_runs_the_suite_for_that_too(plugin: str, driver: str) -> None:
    module, _, name = driver.partition(":")
    if hasattr(getattr(import_module(module), name), "bake_image"):
        assert_suite(plugin, "BakingContract", driver)


def assert_suite(plugin: str, contract: str, driver: str) -> None:
    modules = [ast.parse(path.read_text()) for path in (PLUGINS / plugin / "tests").glob("**/test_*.py")]
    suites = [
        item
        for module in modules
        for item in module.body
        if isinstance(item, ast.ClassDef) and any(isinstance(base, ast.Name) and base.id == contract for base in item.bases)
    ]
    assert suites, f"plugins/{plugin}/tests has no class Test…({contract}) for {driver}"
    assert all(suite.name.startswith("Test") for suite in suites)
