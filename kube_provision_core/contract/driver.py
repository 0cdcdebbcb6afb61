"""What a driver class is: its configuration model, its constructor, the capabilities that it declares.

    class MyTarget:
        Config = MyTargetConfig          # a DriverConfig
        parallel = 16                    # targets only: how many machines to create at once unless --parallel says so

        def __init__(self, config: Mapping[Role, MyTargetConfig]) -> None: ...   # no I/O here

Named in an entry point of the group `kube_provision.target`, `.os`, `.discovery` or `.extension`, and found by that name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic.config import JsonDict

from .local import enter_key
from .model import Role


class DriverConfig(BaseModel):
    """Base of every configuration model: strict, frozen, and silent about its input in errors.

    Fields are keys of the one flat document, so a field's name is what a user writes; two chosen drivers cannot claim the
    same one. Declare fields with `option`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, validate_default=True)

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


def option(
    default: Any = ...,
    *,
    help: str,  # noqa: A002 - the word that users of command-line libraries expect
    per_role: bool = False,
    aliases: Iterable[str] = (),
    **constraints: Any,
) -> Any:
    """A key of the configuration: a pydantic `Field` that also says how it may be written.

    `per_role`: it may also stand under `masters:`, `workers:` and the discovery machine's section. `aliases`: other names
    for the same key. `constraints` go to pydantic (`ge`, `pattern`, …).
    """
    extra: JsonDict = {"per_role": per_role, "aliases": list(aliases)}
    return Field(default, description=help, json_schema_extra=extra, **constraints)


class Driver(Protocol):
    """What every driver class has. `Config` may be `DriverConfig` itself where there is nothing to configure."""

    Config: ClassVar[type[DriverConfig]]

    def __init__(self, config: Mapping[Role, Any]) -> None:
        """`config` has an entry for every role. No I/O: connect at the first hook that needs it."""


class TargetDriver(Driver, Protocol):
    parallel: ClassVar[int]
    """Machines created at once unless the user says otherwise."""


class DiscoveryDriver(Driver, Protocol):
    """It may also have a `port`, the service's TCP port as an int: `status` tells where an operator's host reaches it."""

    @property
    def address(self) -> str | None:
        """Address of an existing service, from the configuration. None: the core provisions a machine for it first."""
