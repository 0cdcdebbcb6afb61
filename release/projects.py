"""The distributions of this repository, as their `pyproject.toml` describe them."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
CORE = "kube-provision"


@dataclass(frozen=True)
class Project:
    folder: Path

    @cached_property
    def table(self) -> Mapping[str, Any]:
        project: Mapping[str, Any] = tomllib.loads(self.file.read_text())["project"]
        return project

    @property
    def file(self) -> Path:
        return self.folder / "pyproject.toml"

    @property
    def name(self) -> str:
        return str(self.table["name"])

    @property
    def version(self) -> str:
        return str(self.table["version"])

    @property
    def extras(self) -> Mapping[str, list[str]]:
        extras: Mapping[str, list[str]] = self.table.get("optional-dependencies", {})
        return extras

    def siblings(self) -> Iterator[Requirement]:
        """Its requirements of this repository's other distributions, those of its extras included."""
        wanted = (*self.table.get("dependencies", ()), *(text for extra in self.extras.values() for text in extra))
        yield from (requirement for requirement in map(Requirement, wanted) if requirement.name.startswith(CORE))


def projects(root: Path = ROOT) -> list[Project]:
    """The core first."""
    return [Project(root), *map(Project, sorted(path.parent for path in root.glob("plugins/*/pyproject.toml")))]
