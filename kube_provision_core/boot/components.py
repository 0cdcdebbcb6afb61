"""What all fragments of a machine ask of its operating system."""

from __future__ import annotations

from collections.abc import Iterable

from ..contract.components import Component
from ..contract.errors import BootError, PluginError
from .relay import NamedFragment


def components(fragments: Iterable[NamedFragment]) -> frozenset[Component]:
    """The union. Raises `PluginError` where a plugin asks for what is none."""
    return frozenset(_component(name, fragment.plugin) for fragment in fragments for name in fragment.components)


def versions(fragments: Iterable[NamedFragment]) -> dict[str, str]:
    """The pins of all components. Raises `BootError` where two plugins pin one component differently."""
    pins: dict[str, tuple[str, str]] = {}
    for fragment in sorted(fragments, key=lambda fragment: fragment.plugin):
        for name, version in fragment.versions.items():
            component = _component(name, fragment.plugin)
            plugin, pinned = pins.setdefault(component, (fragment.plugin, version))
            if pinned != version:
                raise BootError(
                    f"component {component}: plugin {plugin} pins {pinned}, plugin {fragment.plugin} pins {version}; "
                    "configure one version"
                )
    return {component: version for component, (_, version) in pins.items()}


def _component(name: str, plugin: str) -> Component:
    try:
        return Component(name)
    except ValueError as error:
        raise PluginError(
            f"plugin {plugin} asks for the component {name!r}, and there is none of that name; there are "
            f"{', '.join(Component)}, and for all else `packages`, in the operating system's own words"
        ) from error
