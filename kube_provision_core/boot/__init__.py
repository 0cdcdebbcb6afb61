"""What a machine boots with: every plugin's fragment, merged into one `#cloud-config` document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ..config.core import CoreConfig
    from ..contract.machines import Role
    from ..registry import Plugins
    from .rendering import Renderer

OWN_NAMES = ("clock", "core", "kubeadm", "node", "script", "trust")
"""What is the core's own bears these where a plugin's name would stand, and some come first or last by it."""


class Configuration(Protocol):
    """What this package reads of the configuration."""

    @property
    def core(self) -> CoreConfig: ...

    @property
    def by_role(self) -> Mapping[Role, CoreConfig]: ...


def renderer(plugins: Plugins, config: Configuration) -> Renderer:
    """Of the machines of one configuration with its connected plugins.

    Imported here: a run that renders nothing, such as `status`, does without jinja2 and yaml.
    """
    from .rendering import Renderer

    return Renderer(plugins, config)
