"""The fields of kubeadm's documents, and of those that it hands on to the kubelet and to kube-proxy.

`kubeadm_fields.json` has them by kind, with their types: `text` (durations and quantities too), `int`, `number`, `bool`, a
list of one, a mapping of any keys (`*`), or fields again. They are those of Kubernetes 1.35 to 1.37, from its packages
`cmd/kubeadm/app/apis/kubeadm/v1beta4`, `k8s.io/kubelet/config/v1beta1` and `k8s.io/kube-proxy/config/v1alpha1`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from .spelling import meant
from .values import Way

KUBEADM_API = "kubeadm.k8s.io/v1beta4"
VERSIONS = {
    **dict.fromkeys(("ClusterConfiguration", "InitConfiguration", "JoinConfiguration"), KUBEADM_API),
    "KubeletConfiguration": "kubelet.config.k8s.io/v1beta1",
    "KubeProxyConfiguration": "kubeproxy.config.k8s.io/v1alpha1",
}
"""Of the API that each kind belongs to. A document may begin with both, as everywhere."""

Fault = tuple[Way, str]
"""Where in a document, and what is wrong there."""

_ANY_KEY = "*"
_TRUTHS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_WORDS = {"text": "text", "int": "a whole number", "number": "a number", "bool": "true or false"}
_SCHEMAS: Mapping[str, dict[str, Any]] = {
    **{"text": {"type": "string"}, "int": {"type": "integer"}},
    **{"number": {"type": "number"}, "bool": {"type": "boolean"}},
}


@cache
def fields(kind: str) -> Mapping[str, Any]:
    known: Mapping[str, Any] = json.loads(Path(__file__).with_suffix(".json").read_bytes())
    return {"apiVersion": "text", "kind": "text", **known[kind]}


def read(kind: str, document: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[Fault, ...]]:
    """The document with each value in its field's type, and what is wrong with it."""
    reader = _Reader()
    found: dict[str, Any] = reader.read(document, fields(kind), ())
    for key, only in (("apiVersion", VERSIONS[kind]), ("kind", kind)):
        if found.pop(key, only) != only:
            reader.faults.append(((key,), f"must be {only}"))
    return found, tuple(reader.faults)


def schema(kind: str, without: Callable[[str], object]) -> dict[str, Any]:
    """The JSON Schema of such a document, `without` some fields by their places, such as `networking.podSubnet`."""
    return _schema(fields(kind), "", without)


class _Reader:
    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def read(self, value: Any, field: Any, way: Way) -> Any:
        if value is None:
            return self._wrong(way, "has no value")
        if isinstance(field, dict):
            return self._mapping(value, field, way)
        if isinstance(field, list):
            return self._list(value, field[0], way)
        read = _SCALARS[field](value)
        return self._wrong(way, f"must be {_WORDS[field]}") if read is None else read

    def _mapping(self, value: Any, known: Mapping[str, Any], way: Way) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            self._wrong(way, "must be a mapping of keys to values")
            return {}
        free = known.get(_ANY_KEY)
        for key in () if free else value.keys() - known.keys():
            near = meant(str(key), known)
            self._wrong((*way, key), "no such key is known" + (f"; did you mean {near}?" if near else ""))
        return {key: self.read(item, free or known[key], (*way, key)) for key, item in value.items() if free or key in known}

    def _list(self, value: Any, field: Any, way: Way) -> Any:
        if not isinstance(value, list):
            return self._wrong(way, "must be a list")
        return [self.read(item, field, (*way, number)) for number, item in enumerate(value)]

    def _wrong(self, way: Way, text: str) -> None:
        self.faults.append((way, text))


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _int(value: Any) -> int | None:
    if isinstance(value, str) and re.fullmatch(r"[+-]?[0-9]+", value):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(value: Any) -> float | None:
    if isinstance(value, str) and re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?", value):
        return float(value)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _bool(value: Any) -> bool | None:
    return value if isinstance(value, bool) else _TRUTHS.get(value.lower()) if isinstance(value, str) else None


_SCALARS: Mapping[str, Callable[[Any], Any]] = {"text": _text, "int": _int, "number": _number, "bool": _bool}


def _schema(field: Any, place: str, without: Callable[[str], object]) -> dict[str, Any]:
    if isinstance(field, list):
        return {"type": "array", "items": _schema(field[0], place, without)}
    if not isinstance(field, dict):
        return dict(_SCHEMAS[field])
    if _ANY_KEY in field:
        return {"type": "object", "additionalProperties": _schema(field[_ANY_KEY], place, without)}
    inner = {key: f"{place}.{key}".lstrip(".") for key in field}
    kept = {key: _schema(field[key], inner[key], without) for key in field if not without(inner[key])}
    return {"type": "object", "properties": kept, "additionalProperties": False}
