"""A bill of materials (CycloneDX): a distribution, and what it runs with, at the versions that it was tested with."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import datetime
from importlib.metadata import Distribution, distribution

from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

SCHEMA = SchemaVersion.V1_6


def bill(name: str, made: datetime) -> str:
    """Of an installed distribution, in JSON, the same every time. Raises `PackageNotFoundError` where there is none."""
    root = _component(distribution(name), ComponentType.APPLICATION)
    bom = Bom(
        metadata=BomMetaData(component=root, timestamp=made),
        serial_number=uuid.uuid5(uuid.NAMESPACE_URL, str(root.purl)),
    )
    _add(bom, root, {})
    return make_outputter(bom, OutputFormat.JSON, SCHEMA).output_as_string(indent=2)


def fault(text: str) -> str:
    """Why a bill is none; empty if it is one."""
    return str(JsonStrictValidator(SCHEMA).validate_str(text) or "")


def _add(bom: Bom, component: Component, known: dict[str, Component]) -> None:
    """What a component needs, and what that needs."""
    needed = []
    for name in sorted(_needs(distribution(component.name))):
        if name not in known:
            known[name] = _component(distribution(name), ComponentType.LIBRARY)
            bom.components.add(known[name])
            _add(bom, known[name], known)
        needed.append(known[name])
    bom.register_dependency(component, needed)


def _needs(installed: Distribution) -> Iterator[str]:
    """Of this system and this Python, without extras: nothing here asks for one."""
    for requirement in map(Requirement, installed.requires or ()):
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield canonicalize_name(requirement.name)


def _component(installed: Distribution, kind: ComponentType) -> Component:
    name = canonicalize_name(installed.name)
    url = PackageURL("pypi", name=name, version=installed.version)
    return Component(name=name, version=installed.version, type=kind, purl=url, bom_ref=str(url))
