"""Every hook is documented, in the committed page too, and tested."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kube_provision_core.config.core import SUPPORTED_MINORS
from kube_provision_core.contract import hookspecs
from kube_provision_core.scaffold import hook_reference

ROOT = Path(__file__).parents[3]
HOOKS = sorted(hook_reference.hooks())


def test_examples_are_of_the_minor_that_new_clusters_run() -> None:
    named = set(re.findall(r"\b1\.3\d\b", hook_reference.documentation()))
    assert named == {SUPPORTED_MINORS[-1]}


def test_the_committed_page_is_up_to_date() -> None:
    assert (ROOT / "docs/hooks.md").read_text() == hook_reference.documentation(), "run `make docs`"


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_is_documented(hook: str) -> None:
    assert hook not in hook_reference.undocumented()
    assert f"### `{hook}`" in hook_reference.documentation()


def test_a_hook_without_a_docstring_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    @hookspecs.hookspec
    def new_hook() -> None:
        pass

    monkeypatch.setattr(hookspecs, "new_hook", new_hook, raising=False)
    assert hook_reference.undocumented() == ["new_hook"]


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_is_called_by_a_test(hook: str) -> None:
    """By the contract suites, or by a test of a driver."""
    folders = (ROOT / "kube_provision_core/testing", ROOT / "tests", *ROOT.glob("plugins/*/tests"))
    call = re.compile(rf"\.{hook}\b")
    assert any(call.search(path.read_text()) for folder in folders for path in folder.rglob("*.py"))


def test_fields_are_told_with_their_type_default_and_meaning() -> None:
    page = hook_reference.documentation()
    assert "| `timeout` | `int` | `600` | Seconds for one attempt. It must be 1 or more. |" in page
    assert "| `MASTER` | `master` |" in page


def test_errors_are_told_with_their_exit_codes_and_whether_they_may_pass() -> None:
    assert (
        "| `ConfigError` | 2 | no | Bad input: a flag, a key, a file. Nothing has been touched. |"
        in hook_reference.documentation()
    )


def test_what_is_not_required_is_not_called_so() -> None:
    page = hook_reference.documentation()
    assert "| `packages` | `frozenset[str]` | `frozenset()` |" in page
    assert "| `mode` | `int` | `0o644` |" in page


def test_places_on_a_machine_are_told_with_their_paths() -> None:
    assert (
        "| `DISCOVERY_CLIENT` | `/usr/local/lib/kube-provision/discovery.py` | A stdlib-only"
        in hook_reference.documentation()
    )
