"""Pages mean the same to both of their readers: the repository's viewers, and the site, whose parser asks more of a list.
Of the site: every page is near, and so is every public name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import kube_provision_core
from kube_provision_core import testing
from website import public_api
from website.pages import ROOT, pages

PAGES = [path for path in pages() if path.suffix == ".md"]
ITEM = re.compile(r" *([-*]|\d+\.) ")
UNEVEN = "what belongs to an item of a list is indented by four"
NO_LIST = "a list begins after an empty line"


def misread(text: str) -> Iterator[str]:
    before, fenced = "", False
    for number, line in enumerate(text.splitlines(), start=1):
        begins = not before.strip() or ITEM.match(line) or line.lstrip().startswith("```")
        if not fenced and begins and _indent(line) % 4:
            yield f"{number}: {UNEVEN}"
        if not fenced and ITEM.match(line) and before.strip() and not (ITEM.match(before) or before.startswith(" ")):
            yield f"{number}: {NO_LIST}"
        fenced ^= line.lstrip().startswith("```")
        before = line


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_lists_are_lists_in_both(page: Path) -> None:
    assert list(misread((ROOT / page).read_text())) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("1. one\n\n   its paragraph\n", UNEVEN),
        ("1. one\n   ```sh\n   true\n   ```\n", UNEVEN),
        ("1. one\n\n       true\n", UNEVEN),
        ("- one\n  - its own\n", UNEVEN),
        ("text\n- one\n", NO_LIST),
    ],
)
def test_what_the_site_would_misread_is_found(text: str, fault: str) -> None:
    assert {problem.partition(": ")[2] for problem in misread(text)} == {fault}


def test_every_page_is_at_most_two_clicks_from_every_other() -> None:
    """The site's own menu: a section, and a page of it."""
    _, _, menu = (ROOT / "mkdocs.yml").read_text().partition("\nnav:\n")
    assert {_indent(line) for line in menu.splitlines()} == {0, 2}
    assert sorted(re.findall(r": (\S+)$", menu, re.MULTILINE)) == sorted([*map(str, PAGES), "docs/api.md"])


@pytest.mark.parametrize("package", [kube_provision_core, testing], ids=lambda package: package.__name__)
def test_every_public_name_has_an_entry(package: ModuleType) -> None:
    entries = re.findall(rf"^::: {re.escape(package.__name__)}\.(\w+)$", public_api.page(), re.MULTILINE)
    assert sorted(entries) == sorted(package.__all__)
