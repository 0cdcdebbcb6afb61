"""What a driver is configured with: its model, and how the keys of it are declared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic.config import JsonDict
from pydantic_core import InitErrorDetails, PydanticCustomError

from .local_paths import enter_key


class DriverConfig(BaseModel):
    """Base of every configuration model: strict, frozen, and silent about its input in errors.

    Fields are keys of the one flat document, so a field's name is what a user writes; two chosen drivers cannot claim the
    same one. Declare fields with `option`.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, validate_default=True, defer_build=True
    )

    @field_validator("*", mode="before")
    @classmethod
    def _note_folder(cls, value: Any, info: ValidationInfo) -> Any:
        enter_key(info)
        return value

    def generated(self) -> Mapping[str, Callable[[], str]]:
        """Secrets to make where the user gave none: field name → maker.

        Called once per cluster, before its first machine; the value is kept in the cluster's folder and reused by every run.
        """
        return {}

    def founding(self) -> Mapping[str, Callable[[], str]]:
        """As `generated`, of what a cluster's machines must have had from the first on, such as a seed of their identities.

        Made with the cluster's folder; a folder that is there without such a value stays without it.
        """
        return {}


def option(
    default: Any = ...,
    *,
    help: str,  # noqa: A002 - the word that users of command-line libraries expect
    per_role: bool = False,
    aliases: Iterable[str] = (),
    asked: bool = False,
    shown: bool | str = True,
    example: str = "",
    **constraints: Any,
) -> Any:
    """A key of the configuration: a pydantic `Field` that also says how it may be written.

    `per_role`: it may also stand under `masters:`, `workers:` and the discovery machine's section. `aliases`: other names
    for the same key. `asked`: `init` asks for it although it may be left out, as it asks for what is required. `shown`: it
    stands as a comment in what `init` writes; the name of another key: where that one is given. `example`: a value as a user
    may write it. `constraints` go to pydantic (`ge`, `pattern`, …).
    """
    extra: JsonDict = {"per_role": per_role, "aliases": list(aliases), "asked": asked, "shown": shown}
    examples = [example] if example else None
    return Field(default, description=help, json_schema_extra=extra, examples=examples, **constraints)


def raise_faults(faults: Iterable[tuple[tuple[str | int, ...], str]]) -> None:
    """Raise what a validator that looks at several values has found, each at its own line; nothing where it is nothing.

    A fault is the way to what it is about, such as `("my_key",)` or `("my_key", "name", 0)` of a model's, and its text.
    """
    lines = [
        InitErrorDetails(type=PydanticCustomError("value_error", "{error}", {"error": text}), loc=way, input=None)
        for way, text in faults
    ]
    if lines:
        raise ValidationError.from_exception_data("faults", lines, hide_input=True)


_LISTENER: ContextVar[Callable[[str], None]] = ContextVar("listener", default=lambda text: None)


def tell(text: str) -> None:
    """Say in a few words what goes on in a hook that takes its time: it stands in the machine's row of a run.

    To be called in the thread that the hook was called in; where nobody watches, nothing happens. No secrets.
    """
    _LISTENER.get()(text)


@contextmanager
def listening(listener: Callable[[str], None]) -> Iterator[None]:
    """What drivers `tell` in this thread goes to the listener while the context lasts."""
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)
