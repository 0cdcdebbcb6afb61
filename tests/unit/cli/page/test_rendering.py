"""The page: all that was told stands in it as text, and nothing else does."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest
from doubles.told_run import HOSTILE, Told

from kube_provision_core import BusyError, ConfigError
from kube_provision_core.cli.ending import Ending, ending
from kube_provision_core.cli.page.recorder import MARK, Recorder
from kube_provision_core.cli.page.rendering import page
from kube_provision_core.cluster.observe import Observation
from kube_provision_core.contract.machines import Cluster
from kube_provision_core.engine.executor import Outcome, State
from kube_provision_core.engine.plan import ArrangeVms
from kube_provision_core.engine.report import Report

SEEN = Observation(Cluster("prod", "id", "1.37", frozenset()), ())
PLANTED = {
    "abcdef.0123456789abcdef": "a bootstrap token",
    "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhZG1pbiJ9.c2lnbmF0dXJl": "a JWT",
    "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY-----": "a private key",
    "https://bob:hunter2@vcenter.lan/sdk": "a URL's password",
    "password=hunter2": "a password",
}


class Elements(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_it_begins_with_what_makes_it_known_as_ours() -> None:
    assert page(Told("w-1").end(), Ending(0)).encode().startswith(MARK)


@pytest.mark.parametrize(("code", "word"), [(1, "ended by a bug"), (2, "refused"), (5, "failed")])
def test_what_ended_it_is_named_as_metrics_name_it(code: int, word: str) -> None:
    """A plugin's errors may have codes of their own, and are no bugs."""
    assert Ending(code).word == word


def test_hostile_words_stand_there_as_words() -> None:
    harmless, told = Told("w-1"), Told(HOSTILE)
    harmless.fails("w-1", why="harmless")
    told.fails(HOSTILE, why=HOSTILE)
    usual = Elements(page(harmless.end(hints=("harmless",), folder_error="harmless"), Ending(4, ("harmless",))))
    found = Elements(page(told.end(hints=(HOSTILE,), folder_error=HOSTILE), Ending(4, (HOSTILE,))))
    assert (found.tags, found.attributes) == (usual.tags, usual.attributes)
    assert "script" not in found.tags
    assert not {"style", "onerror", "onclick", "src"} & found.attributes
    assert "".join(found.words).count(HOSTILE) >= 5


@pytest.mark.parametrize("secret", PLANTED, ids=PLANTED.values())
def test_what_looks_like_a_secret_is_left_out_wherever_it_is_told(secret: str) -> None:
    told = Told("w-1")
    told.fails("w-1", why=f"it said: {secret} and no more")
    text = page(told.end(hints=(secret,), notes=(secret,), folder_error=secret), Ending(4, (secret,)))
    assert "it said" in text
    assert "(secret)" in text
    assert not any(word in text for word in ("hunter2", "0123456789abcdef", "eyJhbGci", "MHcCAQEE"))


def test_nothing_may_be_loaded_and_nothing_may_run() -> None:
    text = page(Told("w-1").end(), Ending(0))
    assert "default-src 'none'; style-src 'sha256-" in text
    assert "unsafe" not in text


def test_what_befell_many_machines_is_told_once() -> None:
    told = Told("w-1", "w-2")
    for name in ("w-1", "w-2"):
        told.fails(name, why="the mirror is gone")
    assert "<dt>w-1, w-2</dt><dd>boot: the mirror is gone</dd>" in page(told.end(), Ending(4))


def test_the_plan_and_its_digest_are_told() -> None:
    recorder = Told("w-1").end()
    assert recorder.identity
    text = page(recorder, Ending(0))
    assert recorder.identity.digest in text
    assert "it does not exist" in text


def test_a_run_that_was_refused_before_it_had_a_plan_has_a_page_too() -> None:
    text = page(Recorder("prod"), ending(None, ConfigError("config.yml:3: a", "config.yml:4: b")))
    assert "refused" in text
    assert "<dd>config.yml:3: a</dd>" in text
    assert "<dd>config.yml:4: b</dd>" in text


@pytest.mark.parametrize(
    ("error", "code"), [(KeyboardInterrupt(), 130), (ConfigError("no"), 2), (ValueError("a bug"), 1), (None, 130)]
)
def test_how_it_ended_is_told_by_what_ended_it(error: BaseException | None, code: int) -> None:
    assert ending(None, error).exit_code == code


def test_what_may_pass_by_itself_is_told_as_such() -> None:
    told = "the same may succeed when it is run again"
    assert told in page(Recorder("prod"), ending(None, BusyError("another run is at work")))
    assert told not in page(Recorder("prod"), ending(None, ConfigError("config.yml:3: a")))
    cut_off = Report("prod", (Outcome(ArrangeVms(cluster="prod"), State.FAILED, "no answer"),), SEEN)
    assert told in page(Recorder("prod"), ending(cut_off, None))


def test_of_a_run_that_was_begun_nobody_says_that_nothing_was() -> None:
    report = Report("prod", (), SEEN)
    assert ending(report, KeyboardInterrupt()) == Ending(130)
    assert ending(None, KeyboardInterrupt()).lines == ("interrupted before anything was begun",)


def test_the_style_and_the_template_come_with_the_package() -> None:
    from kube_provision_core.cli import page as package

    assert package.__file__
    assert {"style.css", "page.html.j2"} <= {path.name for path in Path(package.__file__).parent.iterdir()}
