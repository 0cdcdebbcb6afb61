"""Calls `render_boot` on every plugin and remembers whose each fragment is, through wrappers too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any
from weakref import WeakKeyDictionary

import pluggy

from .. import hookspecs
from ..hookspecs import PROJECT, hookimpl
from ..model import BootFragment, Cluster, Node


@dataclass(frozen=True, slots=True)
class NamedFragment(BootFragment):
    """A fragment that knows whose it is. `dataclasses.replace`, with which a wrapper changes it, keeps the name."""

    plugin: str = ""


def name_fragment(plugin: str, fragment: BootFragment) -> NamedFragment:
    return NamedFragment(plugin=plugin, **{field.name: getattr(fragment, field.name) for field in fields(BootFragment)})


def fragments(plugins: pluggy.PluginManager, node: Node, cluster: Cluster) -> tuple[NamedFragment, ...]:
    """Every plugin's fragment for this node. Wrappers of the hook see all of them and may change, add or remove some."""
    return _relay(plugins).fragments(node, cluster)


_relays: WeakKeyDictionary[pluggy.PluginManager, _Relay] = WeakKeyDictionary()


def _relay(plugins: pluggy.PluginManager) -> _Relay:
    """A relay is kept until a plugin comes or goes: making one takes longer than rendering a node."""
    hookimpls = plugins.hook.render_boot.get_hookimpls()
    relay = _relays.get(plugins)
    if relay is None or relay.hookimpls != hookimpls:
        relay = _relays[plugins] = _Relay(hookimpls, [name for name, _ in plugins.list_name_plugin()])
    return relay


class _Relay:
    """A plugin manager of our own: pluggy drops the names of answers, so here each plugin answers through an adapter.

    Wrappers are registered as they are, in the order in which they were, so that they nest as they did.
    """

    def __init__(self, hookimpls: Sequence[pluggy.HookImpl], order: Sequence[str]) -> None:
        self.hookimpls = list(hookimpls)
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(hookspecs)
        wrappers = []
        for impl in sorted(hookimpls, key=lambda impl: order.index(impl.plugin_name)):
            wraps = impl.wrapper or impl.hookwrapper
            self._manager.register(impl.plugin if wraps else _Adapter(impl), impl.plugin_name)
            wrappers += [impl.plugin_name] if wraps else []
        self._wrappers = " or ".join(sorted(wrappers))

    def fragments(self, node: Node, cluster: Cluster) -> tuple[NamedFragment, ...]:
        answers = self._manager.hook.render_boot(node=node, cluster=cluster)
        return tuple(self._named(answer) for answer in answers if answer is not None)

    def _named(self, fragment: BootFragment) -> NamedFragment:
        """A fragment without a name was made by a wrapper."""
        return fragment if isinstance(fragment, NamedFragment) else name_fragment(self._wrappers, fragment)


class _Adapter:
    def __init__(self, impl: pluggy.HookImpl) -> None:
        self._impl = impl

    @hookimpl
    def render_boot(self, node: Node, cluster: Cluster) -> NamedFragment | None:
        values: dict[str, Any] = {"node": node, "cluster": cluster}
        fragment = self._impl.function(*(values[name] for name in self._impl.argnames))
        return None if fragment is None else name_fragment(self._impl.plugin_name, fragment)  # type: ignore[arg-type] # pluggy's functions return `object`
