"""The documentation site, built as it is published."""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest
from servers.wheels import ROOT, succeed

import kube_provision_core
from kube_provision_core import testing
from website.pages import pages

pytestmark = pytest.mark.integration

FETCHED = {"script": "src", "img": "src", "iframe": "src", "source": "src"}
"""What a browser fetches by itself, besides what a `link` names."""
NOT_FETCHED = {"canonical", "prev", "next", "alternate"}


class Page(HTMLParser):
    """Where a page leads, what it fetches, and which places it has."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.links: list[str] = []
        self.fetches: list[str] = []
        self.places: set[str] = {""}
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {key: value or "" for key, value in attrs}
        self.places |= {found[key] for key in ("id", "name") if key in found}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        elif tag == "link" and found.get("rel") not in NOT_FETCHED:
            self.fetches.append(found["href"])
        elif FETCHED.get(tag) in found:
            self.fetches.append(found[FETCHED[tag]])

    def targets(self) -> list[tuple[Path, str]]:
        """File and place of each link that stays within the site."""
        inside = (unquote(link) for link in self.links if not re.match(r"\w+:", link))
        return [(_file(self.path, link), place) for link, place in map(urldefrag, inside)]


def _file(page: Path, link: str) -> Path:
    path = (page.parent / link).resolve() if link else page
    return path / "index.html" if path.is_dir() else path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    site = tmp_path_factory.mktemp("site").resolve()
    mkdocs = (sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", site)
    succeed(*mkdocs, cwd=ROOT, NO_MKDOCS_2_WARNING="1")
    return site


@pytest.fixture(scope="module")
def site(folder: Path) -> dict[Path, Page]:
    """The error's page is left out: it does not know where it stands."""
    return {path: Page(path) for path in folder.rglob("*.html") if path.name != "404.html"}


def test_every_page_of_the_repository_is_in_it(folder: Path, site: dict[Path, Page]) -> None:
    wanted = {path.parent if path.stem == "README" else path.with_suffix("") for path in pages() if path.suffix == ".md"}
    assert {folder / path / "index.html" for path in wanted} <= site.keys()


def test_every_page_is_reached_in_two_clicks(folder: Path, site: dict[Path, Page]) -> None:
    reached = {folder / "index.html"}
    for _ in range(2):
        reached |= {target for page in reached & site.keys() for target, _ in site[page].targets()}
    assert site.keys() - reached == set()


def test_every_link_leads_to_a_place_that_there_is(site: dict[Path, Page]) -> None:
    for page in site.values():
        for target, place in page.targets():
            assert target.exists(), f"{page.path}: {target}"
            assert place in site[target].places if target in site else True, f"{page.path}: {target}#{place}"


def test_nothing_is_fetched_from_elsewhere(folder: Path, site: dict[Path, Page]) -> None:
    fetched = {url for page in site.values() for url in page.fetches}
    assert fetched
    assert {url for url in fetched if re.match(r"(https?:)?//", url)} == set()
    sheets = "".join(path.read_text() for path in folder.rglob("*.css"))
    assert re.findall(r"""url\(["']?(?:https?:)?//[^)]*|@import[^;]*//[^;]*""", sheets) == []


@pytest.mark.parametrize("package", [kube_provision_core, testing], ids=lambda package: str(package.__name__))
def test_every_public_name_has_an_entry_that_says_something(folder: Path, package: object) -> None:
    entries = re.split(r'<h3 id="([\w.]+)"', (folder / "docs/api/index.html").read_text())
    told = {name for name, text in zip(entries[1::2], entries[2::2], strict=True) if "<p>" in text}
    assert {f"{package.__name__}.{name}" for name in package.__all__} <= told  # type: ignore[attr-defined]  # a module
