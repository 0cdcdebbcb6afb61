"""Whole configurations on pages for users are ones that the program takes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
PAGES = ("README.md", "docs/bake.md", "docs/air-gap.md")
KEY = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n"
FILES = {"site.asc": KEY, "network.yaml": "kind: ConfigMap\n", "vcenter-ca.pem": ""}
"""What they name beside them."""


def configurations() -> list[tuple[str, str]]:
    """Page and text of each that names a target."""
    blocks = [(page, block) for page in PAGES for block in re.findall(r"```yaml\n(.*?)```", _text(page), re.DOTALL)]
    return [(page, block) for page, block in blocks if "target:" in block]


def _text(page: str) -> str:
    """Blocks may stand in lists."""
    return re.sub(r"^ {3}(?=\S|$| )", "", (ROOT / page).read_text(), flags=re.MULTILINE)


@pytest.mark.parametrize(("page", "text"), configurations())
def test_is_taken(page: str, text: str, run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBE_PROVISION_VCENTER_PASSWORD", "geheim")
    for name, content in {**FILES, "config.yml": text}.items():
        (tmp_path / name).write_text(content)
    ran = run("validate", "--config", tmp_path / "config.yml", "--name", "prod")
    assert ran.code == 0, ran.err


def test_each_page_has_one() -> None:
    assert {page for page, _ in configurations()} == set(PAGES)
