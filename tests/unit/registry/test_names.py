"""The core knows no driver: what it must say of one by name is data."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import kube_provision_core
from kube_provision_core.registry import KINDS
from kube_provision_core.registry.names import bringing, default

CORE = Path(kube_provision_core.__file__).parent
PROJECTS = [
    tomllib.loads(file.read_text())["project"] for file in Path(__file__).parents[3].glob("plugins/*/pyproject.toml")
]
DRIVERS = {
    (kind, name): project["name"]
    for project in PROJECTS
    for kind in KINDS
    for name in project.get("entry-points", {}).get(f"kube_provision.{kind}", ())
}
SUBJECT = "kubernetes"
"""What all of it is about; the driver that finds a cluster by its own API is named for it."""
WORDS = {name for _, name in DRIVERS} | {name.removeprefix("kube-provision-") for name in DRIVERS.values()} | {"vsphere"}
WORDS.remove(SUBJECT)
NAMED = re.compile(rf"(?<![A-Za-z])({'|'.join(sorted(WORDS, key=len, reverse=True))})(?![A-Za-z])", re.IGNORECASE)

OTHER_THINGS = {
    "contract/components.py": "programs that an operating system may be asked for",
    "families": "the packages that bring them, and where from",
    "testing/os": "what is asked of systems for them",
    "__init__.py": "cloud-init's data source of that name",
    "datasources/vmware.py": "cloud-init's data source of that name",
    "scaffold/hook_reference.py": "cloud-init's data source of that name",
}
"""Files in which such a word is the name of something else, and of what."""


def sources() -> Iterator[Path]:
    """The core's code. The packages that `plugins new` writes are templates, of plugins."""
    templates = [folder for folder in (CORE / "scaffold").iterdir() if folder.is_dir()]
    for file in sorted(CORE.rglob("*.py")):
        place = file.relative_to(CORE)
        if not any(file.is_relative_to(folder) for folder in templates) and not any(map(place.is_relative_to, OTHER_THINGS)):
            yield file


def said(file: Path) -> Iterator[tuple[int, str]]:
    """Names, and texts that are no documentation, by line."""
    tree = ast.parse(file.read_text())
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if id(node) in documentation:
            continue
        for field in ("id", "attr", "arg", "name", "module", "value"):
            if isinstance(text := getattr(node, field, None), str):
                yield getattr(node, "lineno", 0), text.replace("_", " ")


def test_its_code_names_none() -> None:
    found = [
        f"{file.relative_to(CORE)}:{line}: {text}" for file in sources() for line, text in said(file) if NAMED.search(text)
    ]
    assert found == []


@pytest.mark.parametrize(
    "text", ['x = "consul"', "consul_ip = 1", 'f"--{x} of vmware-fusion"', "from x import qemu", "f(debian=1)"]
)
def test_it_would_be_found(text: str, tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text(text)
    assert any(NAMED.search(word) for _, word in said(tmp_path / "code.py"))


def test_every_driver_of_ours_has_the_distribution_that_brings_it() -> None:
    assert {driver: bringing(*driver) for driver in DRIVERS} == DRIVERS


def test_of_another_ones_driver_nobody_can_tell_what_brings_it() -> None:
    data = json.loads((CORE / "registry" / "names.json").read_bytes())["distribution"]
    assert {(kind, name): distribution for kind, names in data.items() for name, distribution in names.items()} == DRIVERS
    assert bringing("target", "proxmox") is None
    assert bringing("os", "qemu") is None


def test_the_default_is_a_driver_of_ours() -> None:
    assert ("discovery", default("discovery")) in DRIVERS
