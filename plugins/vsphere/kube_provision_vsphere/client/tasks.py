"""vCenter's tasks: begin one, wait for its end together with everybody else who waits."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from typing import Any, TypeVar

from kube_provision_core import TargetError, tell

from .faults import explain
from .session import Session
from .vmomi import managed_id, vim
from .waiting import Awaited, Seen, Values, Waiting

T = TypeVar("T")

LIMIT = 3600.0
"""Seconds after which a task is no longer awaited. A clone of a large disk to a slow datastore takes many minutes."""

TASK_PATHS = ("info.state", "info.progress", "info.error", "info.result", "info.queueTime", "info.completeTime")


class _Teller:
    """Tells how far a task is in the row of the action that began it, from whichever thread looks."""

    def __init__(self, doing: str) -> None:
        self._what = doing.partition(": ")[2] or doing
        self._context = copy_context()
        self._told = ""

    def tell(self, values: Values) -> None:
        if text := _progress(values):
            text = f"{self._what}: {text}"
            if text != self._told:
                self._told = text
                self._context.run(tell, text)


def _progress(values: Values) -> str:
    if values.get("info.state") == vim.TaskInfo.State.queued:
        return "waits in vCenter's queue"
    done = values.get("info.progress")
    return f"{done} %" if done is not None else ""


class Tasks:
    """Runs tasks. Thread-safe."""

    def __init__(self, session: Session, waiting: Waiting) -> None:
        self._session, self.waiting = session, waiting
        self._shortest: dict[str, float] = {}
        """Seconds that the fastest task of a sort took, by vCenter's own clock."""

    def run(self, sort: str, doing: str, begin: Callable[[], Any]) -> Any:
        """The task's result. `begin` calls vCenter and returns the task. Raises `TargetError`."""
        return self.run_then(sort, doing, begin, lambda result: Seen(result))

    def of_machine(self, doing: str, machine: str, method: str, *arguments: Any) -> None:
        """Run a task that a method of a virtual machine begins. Raises `TargetError`."""
        self.run(method, doing, lambda: getattr(self._session.machine(machine), method)(*arguments))

    def run_then(self, sort: str, doing: str, begin: Callable[[], Any], then: Callable[[Any], Seen[T]]) -> T | None:
        """As `run`, but what comes after success is decided by `then`, which may name a next object to wait for."""
        task, teller = self._session.call(doing, lambda: managed_id(begin())), _Teller(doing)

        def judge(values: Values | None, waited: float) -> Seen[T] | None:
            seen = self._judge(sort, doing, then, values, waited)
            if seen is None:
                teller.tell(values or {})
            return seen

        return self.waiting.wait(Awaited("Task", task, judge, expected=self._shortest.get(sort, 0.0)))

    def _judge(
        self, sort: str, doing: str, then: Callable[[Any], Seen[T]], values: Values | None, waited: float
    ) -> Seen[T] | None:
        if values is None:
            raise TargetError(f"{doing}: vCenter has forgotten the task; the next run finds what came of it")
        match values.get("info.state"):
            case vim.TaskInfo.State.success:
                self._learn(sort, values)
                return then(values.get("info.result"))
            case vim.TaskInfo.State.error:
                raise explain(doing, values.get("info.error") or vim.fault.VimFault(), self._session.path)
        if waited > LIMIT:
            raise TargetError(f"{doing}: not done after {LIMIT / 60:.0f} minutes; look at the task in vCenter")
        return None

    def _learn(self, sort: str, values: Values) -> None:
        queued, completed = values.get("info.queueTime"), values.get("info.completeTime")
        if queued and completed:
            took = max((completed - queued).total_seconds(), 0.0)
            self._shortest[sort] = min(took, self._shortest.get(sort, took))
