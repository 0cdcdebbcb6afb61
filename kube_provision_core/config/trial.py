"""Whether a plugin would work in a configuration, as far as that can be told without one."""

from __future__ import annotations

from contextlib import suppress

from pydantic import ValidationError

from ..contract.errors import KubeProvisionError, PluginError
from ..contract.machines import Role
from ..registry import FoundDriver, construct
from .vocabulary import compose


def try_out(driver: FoundDriver) -> None:
    """Raise `PluginError` for keys that it must not have, or a constructor that fails though it needs no configuration."""
    compose([driver])
    model = driver.cls.Config
    if any(field.is_required() for field in model.model_fields.values()):
        return
    with suppress(ValidationError):
        config = dict.fromkeys(Role, model())
        try:
            construct(driver.configured(config))
        except PluginError:
            raise
        except KubeProvisionError:
            return  # it wants to be configured, and says so
