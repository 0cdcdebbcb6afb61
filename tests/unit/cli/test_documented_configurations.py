"""Whole configurations on pages for users are ones that the program takes."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
PAGES = ("README.md", "docs/configuration.md", "docs/bake.md", "docs/air-gap.md", "plugins/qemu/README.md")
FILE = r"^ {4}# config.yml\n((?: {4}.*\n)+)"
KEY = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n"
FILES = {"site.asc": KEY, "network.yaml": "apiVersion: v1\nkind: ConfigMap\n", "vcenter-ca.pem": ""}
"""What they name beside them."""


def configurations() -> list[tuple[str, str]]:
    """Page and text of each that names a target: blocks, also in lists, and files that are shown among commands."""
    texts = {page: (ROOT / page).read_text() for page in PAGES}
    fenced = [(page, block) for page, text in texts.items() for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]
    shown = [(page, block) for page, text in texts.items() for block in re.findall(FILE, text, re.MULTILINE)]
    return [(page, textwrap.dedent(block)) for page, block in (*fenced, *shown) if "target:" in block]


@pytest.mark.parametrize(("page", "text"), configurations())
def test_is_taken(page: str, text: str, run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBE_PROVISION_VCENTER_PASSWORD", "geheim")
    monkeypatch.setenv("VCENTER_PASSWORD", "geheim")
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


def test_the_one_with_pools_makes_the_machines_that_its_page_names(
    run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VCENTER_PASSWORD", "geheim")
    (text,) = (text for page, text in configurations() if page == "docs/configuration.md" and "pools:" in text)
    (tmp_path / "config.yml").write_text(text)
    ran = run("validate", "--config", tmp_path / "config.yml", "-o", "json")
    names = [it["name"] for it in json.loads(ran.out)["machines"] if it["role"].startswith("worker")]
    said = "This makes `w-prod-1` to `w-prod-5`, `gpu-prod-1`, `gpu-prod-2`, and `edge-prod-1` to `edge-prod-3`."
    assert said in (ROOT / "docs/configuration.md").read_text()
    counts = {"w": 5, "gpu": 2, "edge": 3}
    assert sorted(names) == sorted(f"{pool}-prod-{index}" for pool, count in counts.items() for index in range(1, count + 1))
