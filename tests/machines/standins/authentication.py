"""`--authentication-config`: who is answered without a name, as strictly read as upstream's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from machines.standins.faults import StandInError

API = "apiserver.config.k8s.io/v1"


def anonymous(path: Path) -> frozenset[str]:
    """All paths that anybody may ask for, word for word. Raises `StandInError` for what upstream does not start with."""
    try:
        return _paths(yaml.safe_load(path.read_text()))
    except (OSError, yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise StandInError(f'failed to load authentication configuration from file "{path}": {error}') from error


def _paths(document: Any) -> frozenset[str]:
    if (document["apiVersion"], document["kind"]) != (API, "AuthenticationConfiguration"):
        raise ValueError(f"no kind {document['kind']!r} is registered for version {document['apiVersion']!r}")
    if unknown := document.keys() - {"apiVersion", "kind", "anonymous", "jwt"}:
        raise ValueError(f"strict decoding error: unknown field {sorted(unknown)[0]!r}")
    told = document["anonymous"]
    if not told["enabled"]:
        return frozenset()
    paths = [condition["path"] for condition in told["conditions"]]
    if not paths or not all(path.startswith("/") for path in paths):
        raise ValueError("anonymous.conditions: a lab lets nobody in everywhere")
    return frozenset(paths)
