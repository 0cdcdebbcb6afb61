"""Whole configurations on pages for users are ones that the program takes."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
PAGES = ("README.md", "docs/bake.md", "docs/air-gap.md", "plugins/qemu/README.md")
FILE = r"^ {4}# config.yml\n((?: {4}.*\n)+)"
KEY = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n"
FILES = {"site.asc": KEY, "network.yaml": "apiVersion: v1\nkind: ConfigMap\n", "vcenter-ca.pem": ""}
"""What they name beside them."""


def configurations() -> list[tuple[str, str]]:
    """Page and text of each that names a target: blocks, and files that are shown among commands."""
    fenced = [(page, block) for page in PAGES for block in re.findall(r"```yaml\n(.*?)```", _text(page), re.DOTALL)]
    shown = [(page, block) for page in PAGES for block in re.findall(FILE, (ROOT / page).read_text(), re.MULTILINE)]
    return [(page, textwrap.dedent(block)) for page, block in (*fenced, *shown) if "target:" in block]


def _text(page: str) -> str:
    """Blocks may stand in lists."""
    return re.sub(r"^ {3}(?=\S|$| )", "", (ROOT / page).read_text(), flags=re.MULTILINE)


@pytest.mark.parametrize(("page", "text"), configurations())
def test_is_taken(page: str, text: str, run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBE_PROVISION_VCENTER_PASSWORD", "geheim")
    monkeypatch.setenv("SSH_KEY", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHxzN me@home")
    for name, content in {**FILES, "config.yml": text}.items():
        (tmp_path / name).write_text(content)
    ran = run("validate", "--config", tmp_path / "config.yml", "--name", "prod")
    assert ran.code == 0, ran.err


def test_each_page_has_one() -> None:
    assert {page for page, _ in configurations()} == set(PAGES)


def test_the_one_for_this_machine_wants_what_its_page_says(run: Callable[..., Any], tmp_path: Path) -> None:
    """A laptop has 8 GiB."""
    text = next(block for page, block in configurations() if page == "README.md" and "target: qemu" in block)
    sizes = {role: int(size) for role, size in re.findall(r"^(\w+): \{.*mem: (\d+)\}", text, re.MULTILINE)}
    assert sizes.keys() == {"masters", "workers", "consul"}
    assert f"These machines want {sum(sizes.values())} GiB of memory" in (ROOT / "README.md").read_text()
    assert sum(sizes.values()) <= 6
    assert "users: [{name: me," in text
