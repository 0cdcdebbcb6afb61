"""Plugins as pluggy has them: whatever their hooks answer is looked at, here alone, before anybody works with it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import cache, wraps
from types import GenericAlias
from typing import Any, NoReturn, get_type_hints

import pluggy

from ..contract import hookspecs
from ..contract.errors import PluginError
from ..contract.hookspecs import PROJECT
from .faults import fault
from .hooks import Hooks


class Checked:
    """A plugin's hooks and nothing else of it."""

    def __init__(self, manager: pluggy.PluginManager, plugin: object, name: str) -> None:
        self.plugin = plugin
        for attribute in dir(plugin):
            options = manager.parse_hookimpl_opts(plugin, attribute)
            if options is not None:
                hook = options.get("specname") or attribute
                function = _checked(getattr(plugin, attribute), options, f"plugin {name}", hook)
                setattr(function, f"{PROJECT}_impl", options)
                setattr(self, attribute, function)


class Plugins(pluggy.PluginManager):
    """Pluggy's manager of plugins, with the contract's hooks and no plugin yet."""

    def __init__(self) -> None:
        super().__init__(PROJECT)
        self.add_hookspecs(hookspecs)
        self.ask = Hooks(self.hook)

    def register(self, plugin: object, name: str | None = None) -> str | None:
        """From now on an answer of its that is none raises `PluginError` with plugin, hook and value, in one line."""
        name = name or type(plugin).__name__
        return super().register(Checked(self, plugin, name), name)

    def driver(self, name: str) -> Any:
        """The plugin that was registered under that name; None where there is none."""
        registered = self.get_plugin(name)
        return registered.plugin if isinstance(registered, Checked) else registered


def _checked(function: Callable[..., Any], options: Any, who: str, hook: str) -> Callable[..., Any]:
    if options["wrapper"]:
        return _wrapping(function, f"{who}: its wrapper of {hook} returns", hook)
    return _answering(function, f"{who}: {hook} answers", hook)


@cache
def _answer(hook: str) -> Any:
    """What a plugin is to answer; known when the first one does, since most are never asked."""
    spec = getattr(hookspecs, hook, None)
    return get_type_hints(spec, include_extras=True)["return"] if spec else Any


def _answers(hook: str) -> Any:
    """What all of them answer together, which a wrapper is given."""
    spec = getattr(hookspecs, hook, None)
    all_count = spec is not None and not getattr(spec, f"{PROJECT}_spec")["firstresult"]
    return GenericAlias(list, (_answer(hook),)) if all_count else _answer(hook)


def _answering(function: Callable[..., Any], what: str, hook: str) -> Callable[..., Any]:
    @wraps(function)
    def answering(*arguments: Any) -> Any:
        answer = function(*arguments)
        found = fault(answer, _answer(hook))
        return _refuse(what, found) if found else answer

    return answering


def _wrapping(function: Callable[..., Any], what: str, hook: str) -> Callable[..., Any]:
    @wraps(function)
    def wrapping(*arguments: Any) -> Generator[None, Any, Any]:
        watched = _Watched(function(*arguments))
        answer = yield from watched
        if answer is None and watched.given is not None:
            _refuse(what, f"None in place of the answer that it was given, which is a {type(watched.given).__name__}")
        found = fault(answer, _answers(hook))
        return _refuse(what, found) if found else answer

    return wrapping


class _Watched(Generator[None, Any, Any]):
    """Remembers what a wrapper was given."""

    def __init__(self, wrapper: Generator[None, Any, Any]) -> None:
        self._wrapper, self.given = wrapper, None

    def send(self, value: Any) -> None:
        self.given = value
        return self._wrapper.send(value)

    def throw(self, *error: Any) -> None:
        return self._wrapper.throw(*error)


def _refuse(what: str, found: str) -> NoReturn:
    raise PluginError(f"{what} {found}; its author must mend it")
