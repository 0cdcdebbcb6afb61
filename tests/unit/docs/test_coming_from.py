"""What the page for those who come from other tools says of this one is so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from kube_provision_core.cli.program import SUMMARIES
from kube_provision_core.config.vocabulary import compose
from kube_provision_core.registry import choose, installed

PAGE = Path(__file__).parents[3] / "docs/coming-from.md"
NO_KEYS = {"config.yml", "-e key=value", "--config"}


def cells(section: str, column: int) -> Iterator[str]:
    """What is in backticks in a column of a section's table."""
    text = PAGE.read_text().partition(f"## {section}\n")[2].partition("\n## ")[0]
    for line in [line for line in text.splitlines() if line.startswith("| ")][1:]:
        yield from re.findall(r"`([^`]+)`", line.split("|")[column])


@pytest.fixture(scope="module")
def keys() -> set[str]:
    own = [it for it in installed() if it.kind in ("target", "discovery") and it.distribution.startswith("kube-provision-")]
    return {name for it in own for name in compose([choose(it.kind, it.name)]).names}


def test_every_key_is_one(keys: set[str]) -> None:
    named = [re.split(r"[:\s]", text)[0] for text in cells("The configuration", 1) if text not in NO_KEYS]
    assert len(named) > 20
    assert set(named) <= keys


def test_every_command_is_one() -> None:
    named = [text.split()[0] for text in cells("The commands", 2)]
    assert len(named) > 10
    assert set(named) - {"workers"} <= SUMMARIES.keys()


def test_what_is_said_not_to_be_there_is_not(keys: set[str]) -> None:
    """Whoever adds one of these mends the page."""
    assert {it.name for it in installed() if it.kind == "target"} <= {"vsphere", "vmware", "vmware-fusion", "qemu"}
    assert not keys & {
        "addons",
        "helm",
        "ipv6",
        "container_runtime",
        "provider_id",
        "autoscaling",
        "min_workers",
        "max_workers",
    }
