"""The page of a run, as a browser shows it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from doubles.told_run import HOSTILE, Told
from servers.chromium import Tab, chromium

from kube_provision_core.cli.ending import ending
from kube_provision_core.cli.page.rendering import page

PLACES = """(() => [...document.querySelectorAll("h1, h2, summary, dd, .badge, .who b, .took, td, footer")]
  .filter(it => it.checkVisibility()).map(it => it.getBoundingClientRect())
  .filter(box => box.width < 1 || box.height < 1 || box.left < 0 || box.right > innerWidth + 1).length)()"""
"""How many texts are invisible, or are not within the page."""
CONTRAST = """(() => { const light = colour => { const [r, g, b] = colour.match(/[\\d.]+/g).map(Number).map(it => it / 255)
    .map(it => it <= 0.03928 ? it / 12.92 : ((it + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b };
  const text = light(getComputedStyle(document.body).color), ground = light(getComputedStyle(document.body).backgroundColor);
  return (Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05) })()"""


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with chromium(tmp_path_factory.mktemp("browser")) as tab:
        yield tab


def written(folder: Path, *names: str) -> Path:
    """The page of a run in which every seventh machine fails."""
    told = Told(*names)
    for place, name in enumerate(names):
        (told.fails if place % 7 == 3 else told.boots)(name, place // 10 * 9.0)
    path = folder / "run.html"
    recorder = told.end(hints=("no network plugin runs: apply one",))
    path.write_text(page(recorder, ending(recorder.report, None)))
    return path


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1000, 2000])
@pytest.mark.parametrize("machines", [1, 8, 200])
def test_it_is_readable_for_few_and_for_many(tmp_path: Path, tab: Tab, machines: int, width: int, dark: bool) -> None:
    path = written(tmp_path, *(f"w-prod-{index}" for index in range(machines)))
    tab.open(path, width=width, dark=dark, scripts=False)
    assert tab.complaints == []
    assert tab.requests == [path.as_uri()]
    assert tab.ask("document.querySelectorAll('.lane').length") == machines
    assert tab.ask("document.documentElement.scrollWidth") == width
    assert tab.ask(PLACES) == 0
    assert tab.ask(CONTRAST) > 7


def test_a_lane_opens_without_any_script(tmp_path: Path, tab: Tab) -> None:
    tab.open(written(tmp_path, "m-prod-1"), width=1000, scripts=False)
    before = tab.ask("document.querySelector('.lane table').checkVisibility()")
    place = "document.querySelector('.lane summary').getBoundingClientRect()"
    x, y = tab.ask(f"{place}.left + 20"), tab.ask(f"{place}.top + 10")
    for kind in ("mousePressed", "mouseReleased"):
        tab.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
    assert (before, tab.ask("document.querySelector('.lane table').checkVisibility()")) == (False, True)
    assert tab.ask(PLACES) == 0


def test_lanes_that_are_done_can_be_left_out(tmp_path: Path, tab: Tab) -> None:
    tab.open(written(tmp_path, *(f"w-prod-{index}" for index in range(8))), width=1000, scripts=False)
    tab.ask("document.querySelector('#only').checked = true")
    shown = tab.ask("[...document.querySelectorAll('.lane')].filter(it => it.checkVisibility()).length")
    assert shown == 1


def test_hostile_words_do_nothing(tmp_path: Path, tab: Tab) -> None:
    path = tmp_path / "run.html"
    told = Told(HOSTILE)
    told.fails(HOSTILE, why=HOSTILE)
    recorder = told.end(hints=(HOSTILE,))
    path.write_text(page(recorder, ending(recorder.report, None)))
    tab.open(path, width=1000)
    assert tab.complaints == []
    assert tab.requests == [path.as_uri()]
    assert tab.ask("document.querySelectorAll('script, img').length") == 0
    assert tab.ask("document.title") == "provision prod: partly done"
    assert HOSTILE in tab.ask("document.querySelector('.problems dd').textContent")
    assert tab.ask("document.documentElement.scrollWidth") == 1000


def test_what_would_be_loaded_or_run_all_the_same_is_kept_from_it(tmp_path: Path, tab: Tab) -> None:
    path = written(tmp_path, "w-1")
    planted = "<script>window.ran = 1</script><img src='http://127.0.0.1:9/x'><b style='color:red'>b</b>"
    path.write_text(path.read_text().replace("</main>", f"{planted}</main>"))
    tab.open(path, width=1000)
    assert tab.ask("window.ran") is None
    assert tab.ask("getComputedStyle(document.querySelector('main > b')).color") != "rgb(255, 0, 0)"
    assert len(tab.complaints) == 3
