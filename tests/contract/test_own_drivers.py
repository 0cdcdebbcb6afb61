"""Every driver of ours runs its contract suite, beside its other tests; a skip fails a run, so nothing is left out."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

PLUGINS = Path(__file__).parents[2] / "plugins"
SUITES = {"target": "TargetContract", "os": "OsContract", "discovery": "DiscoveryContract", "extension": "ExtensionContract"}


def drivers() -> Iterator[tuple[str, str, str]]:
    """Plugin, kind and place of every driver that a distribution of ours offers."""
    for project in sorted(PLUGINS.glob("*/pyproject.toml")):
        groups = tomllib.loads(project.read_text())["project"].get("entry-points", {})
        for kind in SUITES:
            for target in sorted(set(groups.get(f"kube_provision.{kind}", {}).values())):
                yield project.parent.name, kind, target


@pytest.mark.parametrize(("plugin", "kind", "driver"), list(drivers()))
def test_a_driver_runs_its_contract_suite(plugin: str, kind: str, driver: str) -> None:
    assert_suite(plugin, SUITES[kind], driver)


@pytest.mark.parametrize(("plugin", "driver"), [(plugin, driver) for plugin, kind, driver in drivers() if kind == "target"])
def test_a_target_that_bakes_runs_the_suite_for_that_too(plugin: str, driver: str) -> None:
    module, _, name = driver.partition(":")
    if hasattr(getattr(import_module(module), name), "bake_image"):
        assert_suite(plugin, "BakingContract", driver)


def assert_suite(plugin: str, contract: str, driver: str) -> None:
    modules = [ast.parse(text) for text in texts(plugin)]
    suites = [
        item
        for module in modules
        for item in module.body
        if isinstance(item, ast.ClassDef) and any(isinstance(base, ast.Name) and base.id == contract for base in item.bases)
    ]
    assert suites, f"plugins/{plugin}/tests has no class Test…({contract}) for {driver}"
    assert all(suite.name.startswith("Test") for suite in suites)


def texts(plugin: str) -> Iterator[str]:
    """Its tests, and the suite that its package brings along, where they run that."""
    tests = [path.read_text() for path in (PLUGINS / plugin / "tests").glob("**/test_*.py")]
    yield from tests
    for suite in (PLUGINS / plugin).glob("kube_provision_*/contract.py"):
        if any(f"from {suite.parent.name}.contract import Test" in test for test in tests):
            yield suite.read_text()
