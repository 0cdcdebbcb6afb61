"""What driver classes say of themselves beside their hooks, by attributes that they may leave out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from ..contract.errors import PluginError
from .faults import fault

if TYPE_CHECKING:
    from ..contract.kinds import DiscoveryDriver

Value = TypeVar("Value")


def declared(driver: object, name: str, default: Value, kind: Any = None) -> Value:
    """An attribute of a driver or of its class, or the default.

    Raises `PluginError` where it is no `kind`, or not of the default's type.
    """
    value: Value = getattr(driver, name, default)
    found = fault(value, kind or type(default))
    if found:
        cls = driver if isinstance(driver, type) else type(driver)
        raise PluginError(f"{cls.__name__}.{name}: {found}; its author must mend it")
    return value


def machines_of(discovery: DiscoveryDriver) -> int:
    """How many machines the core provisions for the service; none for an existing one, or where masters are it.

    Raises `PluginError`.
    """
    return declared(discovery, "machines", 1) if discovery.address is None else 0
