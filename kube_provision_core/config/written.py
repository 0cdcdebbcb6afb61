"""pydantic's JSON Schema of a validated value → that of a value as users write it.

`load` takes text by a field's type: a version may be written 1.37 or "1.37", a number may be quoted, and any of them may be
`${VAR}`. A mapping takes no keys but those that its patterns allow.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

_REFERENCE: Schema = {"type": "string", "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*\}"}
"""What `${VAR}` becomes is known at run time only."""
_QUOTED: dict[str, Schema] = {
    "integer": {"type": "string", "pattern": r"^\s*[+-]?[0-9]+\s*$"},
    "number": {"type": "string", "pattern": r"^\s*[+-]?[0-9.]+([eE][+-]?[0-9]+)?\s*$"},
    "boolean": {"enum": ["true", "false", "yes", "no", "on", "off"]},
}
_TEXT = ["string", "number", "boolean"]
"""What YAML may take text for that is not quoted."""
_FORMATS = {
    "ipv4network": r"^[0-9]+(\.[0-9]+){3}(/[0-9]+)?$",
    "ipv4": r"^[0-9]+(\.[0-9]+){3}$",
}
_DROPPED = ("per_role", "aliases", "asked", "title", "writeOnly", "format")
_BY_NAME = ("properties", "patternProperties")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_SINGLE = ("items", "additionalProperties")


def as_written(schema: Schema) -> Schema:
    """The schema of the same value as a document may hold it."""
    result = {key: _inner(key, value) for key, value in schema.items() if key not in _DROPPED}
    if schema.get("format") in _FORMATS:
        result["pattern"] = _FORMATS[schema["format"]]
    if "patternProperties" in result:
        result.setdefault("additionalProperties", False)
    kind = result.get("type")
    if kind == "string":
        return _text(result)
    return _also(result, _QUOTED[kind], _REFERENCE) if kind in _QUOTED else result


def _inner(key: str, value: Any) -> Any:
    if key in _BY_NAME:
        return {name: as_written(schema) for name, schema in value.items()}
    if key in _LISTS:
        return [as_written(schema) for schema in value]
    return as_written(value) if key in _SINGLE and isinstance(value, dict) else value


def _text(schema: Schema) -> Schema:
    if "enum" in schema or "const" in schema:
        return _also(schema, _REFERENCE)
    free = {**schema, "type": _TEXT}
    return _also(free, _REFERENCE) if {"pattern", "minLength", "maxLength"} & schema.keys() else free


def _also(schema: Schema, *others: Schema) -> Schema:
    """Any of these, described by what the first one says."""
    described: Schema = {key: schema[key] for key in ("description", "default") if key in schema}
    return {**described, "anyOf": [{key: value for key, value in schema.items() if key not in described}, *others]}
