"""A driver as a run has it: connected by pluggy, its hooks called by the contract's names and arguments."""

from __future__ import annotations

from functools import cached_property, partial
from typing import Any

import pluggy

from ..registry import Plugins, answers, register


class Connected:
    """What is no hook is asked of the driver itself."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def offers(self, hook: str) -> bool:
        """Whether the driver answers the hook; wrapping it is no answer."""
        return answers(self.manager, hook)

    @cached_property
    def manager(self) -> Plugins:
        """Raises `PluginError` where hooks do not fit the contract, as a run does."""
        manager = Plugins()
        register(manager, "contract", self.driver, f"the driver {type(self.driver).__name__}")
        return manager

    def __getattr__(self, name: str) -> Any:
        hook = getattr(self.manager.hook, name, None)
        return getattr(self.driver, name) if hook is None else partial(_ask, hook)

    def __repr__(self) -> str:
        return repr(self.driver)


def _ask(hook: pluggy.HookCaller, **arguments: Any) -> Any:
    """The answer of the only plugin that is asked; None where it does not answer."""
    answer = hook(**arguments)
    if hook.spec is not None and hook.spec.opts["firstresult"]:
        return answer
    assert isinstance(answer, list), f"a wrapper of {hook.name} returned a {type(answer).__name__}, not a list"
    assert len(answer) <= 1, f"a wrapper of {hook.name} made {len(answer)} answers of one"
    return answer[0] if answer else None
