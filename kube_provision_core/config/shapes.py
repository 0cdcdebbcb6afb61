"""What a field's type says about how its value may be written."""

from __future__ import annotations

import types
from collections.abc import Iterator
from collections.abc import Mapping as AbstractMapping
from collections.abc import Sequence as AbstractSequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretBytes, SecretStr

_CONTAINERS = (list, dict, tuple, set, frozenset, AbstractMapping, AbstractSequence, AbstractSet)


@dataclass(frozen=True)
class Shape:
    nested: bool
    """It holds lists, mappings or models, so that its text is YAML."""
    typed: bool
    """It takes anything (`Any`), so that YAML's own types count; elsewhere the field's type alone decides."""
    nullable: bool
    secret: bool


@cache
def shape_of(model: type[BaseModel], field: str) -> Shape:
    leaves = list(_leaves(model.model_fields[field].annotation, frozenset()))
    return Shape(
        nested=any(leaf in _CONTAINERS or _is_model(leaf) for leaf in leaves),
        typed=any(leaf in (Any, object) or _is_untext_literal(leaf) for leaf in leaves),
        nullable=types.NoneType in leaves,
        secret=any(isinstance(leaf, type) and issubclass(leaf, (SecretStr, SecretBytes)) for leaf in leaves),
    )


def nested_keys(model: type[BaseModel], field: str) -> set[str]:
    """The keys of all models that stand inside the field's value."""
    leaves = _leaves(model.model_fields[field].annotation, frozenset())
    return {key for leaf in leaves if _is_model(leaf) for key in leaf.model_fields}


def _leaves(annotation: Any, seen: frozenset[Any]) -> Iterator[Any]:
    """Every type that the annotation mentions, also inside the models that it mentions."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _leaves(get_args(annotation)[0], seen)
    elif origin is Literal:
        yield annotation
    elif origin in (Union, types.UnionType):
        for member in get_args(annotation):
            yield from _leaves(member, seen)
    elif origin is not None:
        yield origin
        for member in get_args(annotation):
            yield from _leaves(member, seen)
    else:
        yield types.NoneType if annotation is None else annotation
        if _is_model(annotation) and annotation not in seen:
            for field in annotation.model_fields.values():
                yield from _leaves(field.annotation, seen | {annotation})


def _is_model(leaf: Any) -> bool:
    return isinstance(leaf, type) and issubclass(leaf, BaseModel)


def _is_untext_literal(leaf: Any) -> bool:
    return get_origin(leaf) is Literal and not all(isinstance(value, str) for value in get_args(leaf))
