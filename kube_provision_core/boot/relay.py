"""Calls `render_boot` on every plugin and every part of the core; remembers whose each fragment is, through wrappers too."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Protocol

import pluggy

from ..contract.boot import BootFragment
from ..contract.hookspecs import PROJECT, hookimpl, hookspec
from ..contract.machines import Cluster, Node

if TYPE_CHECKING:
    from ..folder.pki import JoinSecrets
    from ..registry import Plugins


@dataclass(frozen=True, slots=True)
class NamedFragment(BootFragment):
    """A fragment that knows whose it is. `dataclasses.replace`, with which a wrapper changes it, keeps the name."""

    plugin: str = ""


def plugin_names(kind: str, driver: str) -> tuple[str, str]:
    """A driver's plugin bears its name, or kind and name where another plugin has that name too."""
    return driver, f"{kind}-{driver}"


def name_fragment(plugin: str, fragment: BootFragment) -> NamedFragment:
    return NamedFragment(plugin=plugin, **{field.name: getattr(fragment, field.name) for field in fields(BootFragment)})


class Part(Protocol):
    """A part of the core. Unlike a plugin it is told the secrets that a run renders with."""

    def render_boot(self, node: Node, cluster: Cluster, secrets: JoinSecrets) -> BootFragment | None: ...


class _Spec:
    @hookspec
    def render_boot(self, node: Node, cluster: Cluster, secrets: JoinSecrets) -> BootFragment | None:
        """As the public hook, which has no `secrets`: no plugin can ask for them."""


class Relay:
    """A plugin manager of our own: pluggy drops the names of answers, so here each plugin answers through an adapter.

    Wrappers are registered in the order in which they were, so that they nest as they did; one class may answer and wrap.
    Thread-safe: like the connected plugins themselves it never changes.
    """

    def __init__(self, plugins: Plugins, parts: Mapping[str, Part]) -> None:
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(_Spec)
        for name, part in parts.items():
            self._manager.register(_Adapter(name, part.render_boot, ("node", "cluster", "secrets")), name)
        order = [name for name, _ in plugins.list_name_plugin()]
        implementations = sorted(plugins.hook.render_boot.get_hookimpls(), key=lambda impl: order.index(impl.plugin_name))
        for number, impl in enumerate(implementations):
            wrapper = SimpleNamespace(render_boot=impl.function) if impl.wrapper else None
            self._manager.register(wrapper or _Adapter(impl.plugin_name, impl.function, impl.argnames), f"{number}")
        self._wrappers = " or ".join(sorted(impl.plugin_name for impl in implementations if impl.wrapper))

    def fragments(self, node: Node, cluster: Cluster, secrets: JoinSecrets) -> tuple[NamedFragment, ...]:
        """Everybody's fragment for this node. Wrappers of the hook see all of them and may change, add or remove some."""
        answers = self._manager.hook.render_boot(node=node, cluster=cluster, secrets=secrets)
        return tuple(self._named(answer) for answer in answers if answer is not None)

    def _named(self, fragment: BootFragment) -> NamedFragment:
        """A fragment without a name was made by a wrapper."""
        return fragment if isinstance(fragment, NamedFragment) else name_fragment(self._wrappers, fragment)


class _Adapter:
    def __init__(self, name: str, function: Callable[..., Any], wanted: Sequence[str]) -> None:
        self._name, self._function, self._wanted = name, function, wanted

    @hookimpl
    def render_boot(self, node: Node, cluster: Cluster, secrets: JoinSecrets) -> NamedFragment | None:
        values: dict[str, Any] = {"node": node, "cluster": cluster, "secrets": secrets}
        fragment = self._function(*(values[name] for name in self._wanted))
        return None if fragment is None else name_fragment(self._name, fragment)
