"""The contract's hooks as the core calls them: what each takes and answers, its specification alone says."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import pluggy

from ..contract import hookspecs
from ..contract.errors import PluginError

Asked = ParamSpec("Asked")
Answer = TypeVar("Answer")


class Hooks:
    """Every hook, to be called with arguments by name. Raises `PluginError` for an answer that is none.

    What plugins answer is of the right type by then: see `Plugins.register`.
    """

    def __init__(self, relay: pluggy.HookRelay) -> None:
        self._relay = relay
        self.provision_vm = self._needed(hookspecs.provision_vm)
        self.list_vms = self._needed(hookspecs.list_vms)
        self.preflight = self._every(hookspecs.preflight)
        self.render_grants = self._every(hookspecs.render_grants)
        self.arrange_vms = self._done(hookspecs.arrange_vms)
        self.start_vm = self._done(hookspecs.start_vm)
        self.scrub_boot = self._done(hookspecs.scrub_boot)
        self.deliver_task = self._done(hookspecs.deliver_task)
        self.restamp_vm = self._done(hookspecs.restamp_vm)
        self.task_limit = self._first(hookspecs.task_limit)
        self.destroy_vm = self._done(hookspecs.destroy_vm)
        self.os_packages = self._first(hookspecs.os_packages)
        self.trust_authorities = self._first(hookspecs.trust_authorities)
        self.upgrade_packages = self._first(hookspecs.upgrade_packages)
        self.list_templates = self._needed(hookspecs.list_templates)
        self.bake_image = self._done(hookspecs.bake_image)
        self.finish_image = self._done(hookspecs.finish_image)
        self.seal_image = self._every(hookspecs.seal_image)
        self.discover_masters = self._needed(hookspecs.discover_masters)
        self.lock_cluster = self._first(hookspecs.lock_cluster)
        self.admit_nodes = self._first(hookspecs.admit_nodes)
        self.keep_history_head = self._first(hookspecs.keep_history_head)
        self.history_head = self._first(hookspecs.history_head)
        self.forget_initialising = self._first(hookspecs.forget_initialising)
        self.forget_cluster = self._first(hookspecs.forget_cluster)
        self.discovery_notice = self._first(hookspecs.discovery_notice)

    def _first(self, spec: Callable[Asked, Answer]) -> Callable[Asked, Answer]:
        """The first answer that is not None; None where there is none."""
        caller: pluggy.HookCaller = getattr(self._relay, spec.__name__)

        def ask(*_: Asked.args, **arguments: Asked.kwargs) -> Answer:
            answer: Answer = caller(**arguments)
            return answer

        return ask

    def _every(self, spec: Callable[Asked, Answer | None]) -> Callable[Asked, list[Answer]]:
        """All answers that are not None."""
        caller: pluggy.HookCaller = getattr(self._relay, spec.__name__)

        def ask(*_: Asked.args, **arguments: Asked.kwargs) -> list[Answer]:
            answers: list[Answer] = caller(**arguments)
            return answers

        return ask

    def _needed(self, spec: Callable[Asked, Answer | None]) -> Callable[Asked, Answer]:
        """The first answer; None is no answer to what only a driver knows."""
        first = self._first(spec)

        def ask(*unnamed: Asked.args, **arguments: Asked.kwargs) -> Answer:
            answer = first(*unnamed, **arguments)
            if answer is None:
                raise PluginError(f"{self._asked(spec.__name__)} answers None to {spec.__name__}, which needs an answer")
            return answer

        return ask

    def _done(self, spec: Callable[Asked, bool | None]) -> Callable[Asked, None]:
        """True means done; whatever else was answered is not taken for it."""
        first = self._first(spec)

        def ask(*unnamed: Asked.args, **arguments: Asked.kwargs) -> None:
            answer = first(*unnamed, **arguments)
            if answer is not True:
                name = spec.__name__
                raise PluginError(f"{self._asked(name)} answers {answer} to {name}: only True says that it is done")

        return ask

    def _asked(self, name: str) -> str:
        """Who implements the hook."""
        caller: pluggy.HookCaller = getattr(self._relay, name)
        names = sorted({it.plugin_name for it in caller.get_hookimpls()})
        return f"plugin {' or '.join(names)}" if names else "no plugin"
