"""The published suites: a driver that keeps its promises passes, and each planted bug fails the check that names it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping

import pytest

from kube_provision_core.scaffold import create

from .planted import KINDS, bugs, checks, module

SCAFFOLDS = ("target", "os", "discovery")
OPTIONS = ("-q", "--tb=line", "--assert=plain", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:hypothesispytest")


@pytest.fixture(scope="module", autouse=True)
def _sound_drivers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What `kube-provision plugins new` makes keeps every promise: bugs are planted in it."""
    before = list(sys.path)
    for kind in SCAFFOLDS:
        folder = tmp_path_factory.mktemp("sound") / kind
        create(kind, f"sound-{kind}", folder)
        sys.path += [str(folder), str(folder / "tests")]
    yield
    sys.path[:] = before


def run(pytester: pytest.Pytester, text: str) -> Mapping[str, Mapping[str, str]]:
    """What became of each check, by suite; the outcome and what it said."""
    pytester.makepyfile(f"from {__package__}.planted import module, planted_suites\n{text}")
    outcomes: dict[str, dict[str, str]] = {}
    for report in pytester.inline_run(*OPTIONS).getreports("pytest_runtest_logreport"):
        _, suite, check = report.nodeid.split("::")
        said = outcomes.setdefault(suite, {})
        if report.when == "call" or not report.passed:
            word = report.outcome if report.when == "call" or report.skipped else f"{report.when} {report.outcome}"
            said[check] = f"{word}: {report.longreprtext[-300:]}" if not report.passed else word
    return outcomes


@pytest.mark.parametrize("kind", KINDS)
def test_a_driver_that_keeps_its_promises_passes_every_check(pytester: pytest.Pytester, kind: str) -> None:
    outcomes = run(pytester, f"it = module({kind!r})\nglobals().update(it.FIXTURES)\nclass TestSound(it.Suite): pass\n")
    wrong = {check: said for check, said in outcomes["TestSound"].items() if said != "passed"}
    assert not wrong, "\n".join(f"{check}: {said}" for check, said in wrong.items())


@pytest.mark.parametrize("kind", KINDS)
def test_each_planted_bug_fails_the_check_that_names_it(pytester: pytest.Pytester, kind: str) -> None:
    outcomes = run(pytester, f"globals().update(module({kind!r}).FIXTURES)\nglobals().update(planted_suites({kind!r}))\n")
    found = {suite for suite, said in outcomes.items() if any(text.startswith("failed") for text in said.values())}
    missed = {name: outcomes.get(f"Test{name}", "no such check") for name, _ in bugs(kind) if f"Test{name}" not in found}
    assert not missed, "\n".join(f"{name}: {said}" for name, said in missed.items())


@pytest.mark.parametrize("kind", KINDS)
def test_every_check_has_a_bug_that_it_finds(kind: str) -> None:
    names = [name for name, _ in bugs(kind)]
    assert len(set(names)) == len(names), "of two bugs of one name only one is planted"
    assert checks(module(kind).Suite) == {bug.__dict__["fails"] for _, bug in bugs(kind)}
