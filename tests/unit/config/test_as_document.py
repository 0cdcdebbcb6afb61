"""What a command line says, as a document: the same configuration comes of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from kube_provision_core import Role
from kube_provision_core.config import Config
from kube_provision_core.config.as_document import extra_document, flags_document
from kube_provision_core.config.choosing import choose_drivers
from kube_provision_core.config.problems import Problems
from kube_provision_core.config.sources import collect
from kube_provision_core.registry import FoundDriver

MINIMAL = "name: prod\ntarget: moon\nos: plain\ndiscovery: beacon\ntemplate: t\nmasters: {cpu: 16}\n"
AWKWARD = [
    *("12345", "yes", "1.30", "0x10", "2020-01-01", "1e3", "true", "012", "1_000", "12:30", "null", "~", ""),
    *("a: b", "- a", "{a: b}", "[x", "[x]", "#no", "a # b", " padded ", "a\nb", "'quoted'", '"1.30"', "'a: b'"),
    *("${HOME}", "$${HOME}", "a$${HOME}${NONE}", "é", "*a", "&a b", "!x y", "%", "x" * 500 + " y" * 500),
]

NO_YAML = ("null", "~", "", "[x", "*a", "!x y", "%", "a\nb", "#no")


def said(config: Config) -> Any:
    """All that it says."""
    return config.by_role, [driver.config for driver in config.drivers]


@pytest.fixture
def drivers(folder) -> Sequence[FoundDriver]:
    document = folder / "drivers.yml"
    document.write_text(MINIMAL)
    return choose_drivers(collect([document], (), {}, {}, Problems()), Problems())


@pytest.fixture
def same(load_text, folder, drivers):
    """What `-e` says is what its document says; returns the configuration."""

    def same(*extra: str) -> Config:
        files = [folder / f"{number}.yml" for number, _ in enumerate(extra)]
        for file, text in zip(files, extra, strict=True):
            file.write_bytes(extra_document(text, drivers))
        config = load_text(MINIMAL, extra=extra)
        assert said(load_text(MINIMAL, extra=[f"@{file}" for file in files])) == said(config)
        return config

    return same


@pytest.mark.parametrize("text", AWKWARD)
def test_text_stays_as_it_was_written(same, text: str) -> None:
    same(f"crater={text}")


@pytest.mark.parametrize("text", [text for text in AWKWARD if text not in NO_YAML])
def test_so_does_what_takes_anything(same, text: str) -> None:
    same(f"anything={text}")


@pytest.mark.parametrize("text", ["A: 1.30", "{A: 012, B: yes, C: '${HOME}', D: 12:30}", "{A: 'a # b', B: \"\"}"])
def test_so_does_text_inside_of_more(same, text: str) -> None:
    assert same(f"env_vars={text}").core.env_vars["A"] in ("1.30", "012", "a # b")


def test_numbers_lists_sections_and_other_names(same) -> None:
    config = same(
        "workers=7", "landers=[{legs: 3, colour: gold}]", "far_side=yes", "ami=1.10", "masters={cpu: 8}", "gravity=2"
    )
    assert config.by_role[Role.MASTER].cpu == 8


def test_a_key_beats_the_role_section_of_a_file_as_it_does_by_itself(same) -> None:
    assert same("cpu=8").by_role[Role.MASTER].cpu == 8


def test_flags(load_text, folder) -> None:
    flags = {"name": "other", "masters": 5, "kubernetes_version": "1.36"}
    (folder / "flags.yml").write_bytes(flags_document(flags))
    assert said(load_text(MINIMAL, extra=["@flags.yml"])) == said(load_text(MINIMAL, flags=flags))
    assert flags_document({"name": "prod"}) == b"name: prod\n"
