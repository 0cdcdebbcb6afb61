"""All distributions of a release have one version, and want each other at its minor: the contract between them may change
with the next one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from packaging.version import Version

from release.projects import CORE, ROOT, Project, projects

SOURCE = "kube_provision_core/__init__.py"
CHANGES = "CHANGELOG.md"
PINNED = ("kube_provision_core/scaffold/*/pyproject.toml", "examples/*/pyproject.toml", "docs/writing-a-plugin.md")
"""What else of the repository shows how a plugin wants the core."""


def said(root: Path = ROOT) -> str:
    """The version that the program says of itself."""
    found = re.search(r'^__version__ = "(.+)"$', (root / SOURCE).read_text(), re.MULTILINE)
    assert found, SOURCE
    return found[1]


def pin(version: str) -> str:
    """`0.1.4`: `>=0.1,<0.2`."""
    major, minor = Version(version).release[:2]
    return f">={major}.{minor},<{major}.{minor + 1}"


def faults(root: Path = ROOT) -> list[str]:
    """What keeps these files from being released together, one line each."""
    version = said(root)
    core, *plugins = projects(root)
    each = (fault for project in (core, *plugins) for fault in _project_faults(project, version))
    return [*each, *_extra_faults(core, {plugin.name for plugin in plugins})]


def tag_faults(tag: str, root: Path = ROOT) -> list[str]:
    """What keeps `tag` from being the tag of this release."""
    version = said(root)
    wrong = [f"TAG={tag}: {SOURCE} says {version}, whose tag is v{version}"] if tag != f"v{version}" else []
    headed = re.search(rf"^## {re.escape(version)}\b", (root / CHANGES).read_text(), re.MULTILINE)
    return wrong + ([] if headed else [f"{CHANGES}: no section for {version}: name `## Unreleased` so"])


def _project_faults(project: Project, version: str) -> Iterator[str]:
    if project.version != version:
        yield f"{project.file}: version is {project.version}, and {SOURCE} says {version}: `make version` sets both"
    for requirement in project.siblings():
        if str(requirement.specifier) != _normal(pin(version)):
            yield f"{project.file}: {requirement} is to be {requirement.name}{pin(version)}"


def _extra_faults(core: Project, plugins: set[str]) -> Iterator[str]:
    wanted = {name.removeprefix(f"{CORE}-"): {f"{name}{pin(core.version)}"} for name in plugins}
    wanted["all"] = set().union(*wanted.values())
    for extra, requirements in wanted.items():
        if set(core.extras.get(extra, ())) != requirements:
            yield f"{core.file}: extra `{extra}` is to be {sorted(requirements)}"


def _normal(specifier: str) -> str:
    """As `packaging` prints a set: sorted."""
    return ",".join(sorted(specifier.split(",")))


def set_version(version: str, root: Path = ROOT) -> None:
    """Write it wherever a version of ours stands. Raises `InvalidVersion`."""
    old, new = said(root), str(Version(version))
    changed = [root / SOURCE, *(project.file for project in projects(root))]
    for path in changed:
        _replace(path, rf'^((?:__)?version(?:__)? = )"{re.escape(old)}"$', rf'\g<1>"{new}"')
    for path in (*changed, *(path for pattern in PINNED for path in root.glob(pattern))):
        _replace(path, rf"({CORE}[a-z-]*`?|\(`){re.escape(pin(old))}", rf"\g<1>{pin(new)}")


def _replace(path: Path, pattern: str, replacement: str) -> None:
    path.write_text(re.sub(pattern, replacement, path.read_text(), flags=re.MULTILINE))
