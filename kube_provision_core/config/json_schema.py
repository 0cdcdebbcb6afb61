"""One JSON Schema for one document: what editors complete and check while it is written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

from pydantic.json_schema import models_json_schema

from ..contract.hosts import LOWER_LABEL
from ..registry import FoundDriver, choose, offers
from .core import CoreConfig
from .vocabulary import COUNT, POOLS, WORKERS, Key, Vocabulary, compose
from .written import as_written

DIALECT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]


def schema(drivers: Sequence[FoundDriver | tuple[str, str]] = ()) -> Schema:
    """The schema (draft 2020-12) of a document for these drivers: their keys and the core's, aliases, role sections.

    A driver may be given as `(kind, name)`. No key is required: each may also come from a flag, from `-e` or from the
    environment. Raises `PluginError` for a driver that cannot be had, or where two claim one key.
    """
    offered = offers()
    found = [driver if isinstance(driver, FoundDriver) else choose(*driver, offered) for driver in drivers]
    vocabulary = compose(found)
    fields, definitions = _field_schemas(found)
    properties = {name: _property(name, key, fields) for name, key in vocabulary.keys.items()}
    per_role = {name: properties[name] for name, key in vocabulary.keys.items() if key.per_role}
    exclusive = [{"not": {"required": list(names)}} for names in _exclusive(vocabulary)]
    exclusive_per_role = [{"not": {"required": list(names)}} for names in _exclusive(vocabulary) if {*names} <= {*per_role}]
    count = properties[WORKERS]
    for section in vocabulary.sections:
        properties[section] = _section(section, properties.get(section), per_role, exclusive_per_role)
    properties[POOLS] = _pools(properties[POOLS], count, vocabulary, per_role, exclusive_per_role)
    return {
        "$schema": DIALECT,
        "title": "kube-provision configuration",
        **_closed(properties, exclusive),
        "$defs": definitions,
    }


def _field_schemas(drivers: Iterable[FoundDriver]) -> tuple[dict[tuple[type, str], Schema], Schema]:
    """Schemas of all fields by model and name, and the definitions that they share."""
    models = dict.fromkeys([CoreConfig, *(driver.cls.Config for driver in drivers)])
    by_model, common = models_json_schema([(model, "validation") for model in models], ref_template="#/$defs/{model}")
    definitions = common.get("$defs", {})
    fields: dict[tuple[type, str], Schema] = {}
    for (model, _), whole in by_model.items():
        if "$ref" in whole:
            whole = definitions.pop(whole["$ref"].rpartition("/")[2])
        fields.update({(model, name): as_written(field) for name, field in whole.get("properties", {}).items()})
    return fields, {name: as_written(definition) for name, definition in definitions.items()}


def _property(name: str, key: Key, fields: Mapping[tuple[type, str], Schema]) -> Schema:
    described = key.help if name == key.name else f"Same as `{key.name}`: {key.help}"
    return {**fields[key.model, key.name], "description": described}


def _section(name: str, count: Schema | None, per_role: Mapping[str, Schema], exclusive: list[Schema]) -> Schema:
    """A role's section; where the role has a count, the count alone will do."""
    if count is None:
        return {"description": f"Keys for the {name} machine alone.", **_closed(per_role, exclusive)}
    section = _closed({COUNT: count, **per_role}, exclusive)
    return {
        "description": f"{count['description']} Or a section: `{COUNT}`, and keys for {name} alone.",
        "anyOf": [count, section],
    }


def _pools(
    described: Schema, count: Schema, vocabulary: Vocabulary, per_role: Mapping[str, Schema], exclusive: list[Schema]
) -> Schema:
    """By the names that pools may have."""
    return {
        "description": described["description"],
        "type": "object",
        "propertyNames": {"pattern": f"^{LOWER_LABEL}$", "not": {"enum": list(vocabulary.sections)}},
        "additionalProperties": {"anyOf": [count, _closed({COUNT: count, **per_role}, exclusive)]},
    }


def _closed(properties: Mapping[str, Schema], exclusive: list[Schema]) -> Schema:
    """A mapping that takes these keys only."""
    schema: Schema = {"type": "object", "properties": dict(properties), "additionalProperties": False}
    return {**schema, "allOf": exclusive} if exclusive else schema


def _exclusive(vocabulary: Vocabulary) -> Iterator[tuple[str, str]]:
    """Pairs of names for one key: never given both."""
    for key in {key.name: key for key in vocabulary.keys.values()}.values():
        yield from combinations(key.names, 2)
