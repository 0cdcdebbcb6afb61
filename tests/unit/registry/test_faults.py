"""What plugins answer is looked at by the contract's own annotations."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from kube_provision_core import (
    Boot,
    BootFragment,
    Cluster,
    DriverConfig,
    File,
    Machine,
    Node,
    Packages,
    PluginError,
    Power,
    Role,
    Stage,
    Stamp,
    Step,
    TargetError,
    Unit,
    Vm,
    hookimpl,
)
from kube_provision_core.registry import Plugins
from kube_provision_core.registry.faults import fault

CLUSTER = Cluster("prod", "id", "1.36", frozenset())
VM = Vm("w-1", "1", Power.ON, None)
STEP = Step("a-step", Stage.INSTALL, "true")
NODE = Node("w-1", Role.WORKER, 1, Machine(2, 4), Stamp("prod", "id", Role.WORKER, "spec"))
BOOT = Boot("w-1", "w-1", "#cloud-config\n{}\n")


# --- values and annotations -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Inner:
    count: int
    secret: str = field(default="", repr=False)


@dataclass(frozen=True)
class Outer:
    inner: tuple[Inner, ...] = ()
    table: Mapping[str, int] = field(default_factory=dict)


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (1, int),
        (1, float),
        (None, int | None),
        (["a"], Sequence[str]),
        (("a", "b"), Sequence[str]),
        ((), tuple[str, ...]),
        (("a", 1), tuple[str, int]),
        (frozenset({"a"}), frozenset[str]),
        (b"x", str | bytes),
        (Role.MASTER, Role),
        (Outer((Inner(1),), {"a": 2}), Outer),
        (nullcontext(), AbstractContextManager[None]),
        ({"a": [1, {}]}, Mapping[str, Any]),
    ],
)
def test_what_an_annotation_says_is_found_right(value: object, hint: object) -> None:
    assert fault(value, hint) == ""


@pytest.mark.parametrize(
    ("value", "hint", "told"),
    [
        ("10.0.0.1", tuple[str, ...], "'10.0.0.1' is a str, where tuple[str, …] is expected"),
        ("ab", Sequence[str], "'ab' is a str, where Sequence[str] is expected"),
        (True, int, "True is a bool, where int is expected"),
        (1, bool, "1 is an int, where bool is expected"),
        (None, Inner, "None, where Inner is expected"),
        ({"count": 1}, Inner | None, "a dict, where Inner is expected"),
        (1.5, str | bytes, "a float, where str or bytes is expected"),
        (["a", 2], Sequence[str], "[1]: 2 is an int, where str is expected"),
        (("a",), tuple[str, int], "('a',) is a tuple, where tuple[str, int] is expected"),
        ((it for it in ()), Sequence[str], "a generator, where Sequence[str] is expected"),
        ({"a": "1"}, Mapping[str, int], "['a']: '1' is a str, where int is expected"),
        (Outer((Inner(1), Inner("2"))), Outer, "inner[1].count: '2' is a str, where int is expected"),  # type: ignore[arg-type]
    ],
)
def test_what_is_wrong_is_told_with_its_place(value: object, hint: object, told: str) -> None:
    assert fault(value, hint) == told


def test_what_may_be_secret_is_never_shown() -> None:
    assert "hunter2" not in fault(Inner(1, ["hunter2"]), Inner)  # type: ignore[arg-type]
    assert "hunter2" not in fault({"content": "hunter2"}, BootFragment)
    assert "hunter2" not in fault(BootFragment(files=("hunter2",)), BootFragment)  # type: ignore[arg-type]


def test_a_long_value_is_cut() -> None:
    assert len(fault("x" * 5000, tuple[str, ...])) < 200


# --- plugins --------------------------------------------------------------------------------------------------------


def answering(hook: str, answer: object) -> object:
    """A plugin that answers one hook, whatever is asked."""

    def method(self: object) -> object:
        return answer

    return type("Moon", (), {hook: hookimpl(method), "Config": DriverConfig})()


def refused(plugin: object, ask: Callable[[Plugins], object], *others: object) -> str:
    plugins = Plugins()
    for number, other in enumerate(others):
        plugins.register(other, f"other-{number}")
    plugins.register(plugin, "moon")
    with pytest.raises(PluginError) as caught:
        ask(plugins)
    text = str(caught.value)
    assert "\n" not in text
    return text


def list_vms(plugins: Plugins) -> object:
    return plugins.ask.list_vms(cluster=CLUSTER)


def provision_vm(plugins: Plugins) -> object:
    return plugins.ask.provision_vm(node=NODE, boot=BOOT)


def destroy_vm(plugins: Plugins) -> object:
    plugins.ask.destroy_vm(vm=VM)
    return None


def deliver_task(plugins: Plugins) -> object:
    plugins.ask.deliver_task(vm=VM, task=b"sealed")
    return None


def task_limit(plugins: Plugins) -> object:
    return plugins.ask.task_limit()


def render_boot(plugins: Plugins) -> object:
    return plugins.hook.render_boot(node=NODE, cluster=CLUSTER)


def os_packages(plugins: Plugins) -> object:
    return plugins.ask.os_packages(components=frozenset(), versions={}, repositories={}, extra=frozenset())


def preflight(plugins: Plugins) -> object:
    return plugins.ask.preflight(machines=[])


def discover_masters(plugins: Plugins) -> object:
    return plugins.ask.discover_masters(cluster=CLUSTER)


def lock_cluster(plugins: Plugins) -> object:
    return plugins.ask.lock_cluster(cluster=CLUSTER)


def part(**parts: Any) -> BootFragment:
    return BootFragment(**parts)


@pytest.mark.parametrize(
    ("ask", "answer", "told"),
    [
        (list_vms, [replace(VM, addresses="10.0.0.1")], "[0].addresses: '10.0.0.1' is a str"),
        (list_vms, [replace(VM, power="on")], "[0].power: 'on' is a str, where Power is expected"),
        (list_vms, [replace(VM, status={"state": "done"})], "[0].status: a dict, where NodeStatus is expected"),
        (list_vms, [replace(VM, reach={"22": 1})], "[0].reach['22']: '22' is a str, where int is expected"),
        (list_vms, (vm for vm in (VM,)), "a generator, where Sequence[Vm] is expected"),
        (list_vms, [None], "[0]: None, where Vm is expected"),
        (provision_vm, "vm-12", "a str, where Vm is expected"),
        (list_vms, [replace(VM, task="a task")], "[0].task: 'a task' is not 16 hex digits, or nothing where no task waits"),
        (list_vms, [replace(VM, task=None)], "[0].task: None, where str is expected"),
        (task_limit, "48 KiB", "'48 KiB' is a str, where int is expected"),
        (deliver_task, "waits", "'waits' is a str, where bool is expected"),
        (destroy_vm, "gone", "'gone' is a str, where bool is expected"),
        (preflight, "no such folder", "'no such folder' is a str, where Sequence[str] is expected"),
        (render_boot, {"files": []}, "a dict, where BootFragment is expected"),
        (render_boot, part(packages="htop"), "packages: 'htop' is a str, where frozenset[str] is expected"),
        (render_boot, part(components=["kubeadm"]), "components: ['kubeadm'] is a list, where frozenset[Component]"),
        (render_boot, part(files=(File("/a", "", mode="0644"),)), "files[0].mode: '0644' is a str, where int is expected"),
        (render_boot, part(files=(File("/a", "", mode=0o100644),)), "files[0].mode: 33188 is not permissions such as 0o644"),
        (render_boot, part(files=(File("/a", {"b": 1}),)), "files[0].content: its type is wrong"),
        (render_boot, part(files=(File("/a", "", owner="root"),)), "files[0].owner: 'root' is not user:group"),
        (render_boot, part(files=[File("/a", "")]), "files: a list, where tuple[File, …] is expected"),
        (render_boot, part(steps=(replace(STEP, name="My Step"),)), "steps[0].name: 'My Step' is not lower-case letters"),
        (render_boot, part(steps=(replace(STEP, stage="install"),)), "steps[0].stage: 'install' is a str, where Stage"),
        (render_boot, part(steps=(replace(STEP, attempts=0),)), "steps[0].attempts: 0 is not 1 or more"),
        (render_boot, part(steps=(replace(STEP, after="packages"),)), "steps[0].after: 'packages' is not plugin/step"),
        (render_boot, part(units=(Unit("acme", ""),)), "units[0].name: 'acme' is not a systemd unit's name"),
        (render_boot, part(versions={"kubeadm": 1.36}), "versions['kubeadm']: 1.36 is a float, where str is expected"),
        (os_packages, Packages("kubeadm"), "names: 'kubeadm' is a str, where tuple[str, …] is expected"),
        (os_packages, ["kubeadm"], "a list, where Packages is expected"),
        (discover_masters, True, "a bool, where Discovery is expected"),
        (lock_cluster, True, "a bool, where AbstractContextManager"),
    ],
)
def test_an_answer_of_a_wrong_type_is_a_line_that_names_plugin_hook_and_value(
    ask: Callable[[Plugins], object], answer: object, told: str
) -> None:
    text = refused(answering(ask.__name__, answer), ask)
    assert text.startswith(f"plugin moon: {ask.__name__} answers {told}"), text


@pytest.mark.parametrize("ask", [list_vms, provision_vm, discover_masters])
def test_none_is_no_answer_to_what_only_the_driver_knows(ask: Callable[[Plugins], object]) -> None:
    assert refused(answering(ask.__name__, None), ask).startswith(f"plugin moon answers None to {ask.__name__}")


@pytest.mark.parametrize("ask", [destroy_vm, deliver_task])
@pytest.mark.parametrize("answer", [None, False])
def test_only_true_says_that_something_is_done(answer: object, ask: Callable[[Plugins], object]) -> None:
    assert refused(answering(ask.__name__, answer), ask) == (
        f"plugin moon answers {answer} to {ask.__name__}: only True says that it is done"
    )


def test_a_target_without_a_road_for_tasks_has_no_limit_either() -> None:
    assert task_limit(Plugins()) is None


def test_an_expected_error_goes_through_as_it_is() -> None:
    class Moon:
        @hookimpl
        def list_vms(self) -> Sequence[Vm]:
            raise TargetError("down")

    plugins = Plugins()
    plugins.register(Moon(), "moon")
    with pytest.raises(TargetError, match="down"):
        list_vms(plugins)


# --- wrappers -------------------------------------------------------------------------------------------------------


def wrapping(hook: str, change: Callable[[Any], object]) -> object:
    def method(self: object) -> Generator[None, Any, object]:
        return change((yield))

    return type("Moon", (), {hook: hookimpl(wrapper=True)(method)})()


@pytest.mark.parametrize(
    ("ask", "answer", "change", "told"),
    [
        (list_vms, [VM], lambda answer: None, "None in place of the answer that it was given, which is a list"),
        (render_boot, part(), lambda answer: None, "None in place of the answer that it was given, which is a list"),
        (os_packages, Packages(()), lambda answer: None, "None in place of the answer that it was given"),
        (render_boot, part(), lambda answer: answer[0], "a BootFragment, where list[BootFragment or None] is expected"),
        (render_boot, part(), lambda answer: [{"files": ()}], "[0]: a dict, where BootFragment is expected"),
        (os_packages, Packages(()), lambda answer: replace(answer, names="htop"), "names: 'htop' is a str"),
        (list_vms, [VM], lambda answer: iter(answer), "a list_iterator, where Sequence[Vm] is expected"),
    ],
)
def test_what_a_wrapper_returns_is_looked_at_as_an_answer_is(
    ask: Callable[[Plugins], object], answer: object, change: Callable[[Any], object], told: str
) -> None:
    text = refused(wrapping(ask.__name__, change), ask, answering(ask.__name__, answer))
    assert text.startswith(f"plugin moon: its wrapper of {ask.__name__} returns {told}"), text


def test_a_wrapper_may_return_none_where_nobody_answered() -> None:
    plugins = Plugins()
    plugins.register(wrapping("lock_cluster", lambda answer: answer), "moon")
    assert lock_cluster(plugins) is None


def test_a_wrapper_may_catch_what_was_raised_below_it() -> None:
    class Calm:
        @hookimpl(wrapper=True)
        def list_vms(self) -> Generator[None, Sequence[Vm], Sequence[Vm]]:
            try:
                return (yield)
            except TargetError:
                return [VM]

    class Moon:
        @hookimpl
        def list_vms(self) -> Sequence[Vm]:
            raise TargetError("down")

    plugins = Plugins()
    plugins.register(Moon(), "moon")
    plugins.register(Calm(), "calm")
    assert plugins.ask.list_vms(cluster=CLUSTER) == [VM]


class Both:
    """It answers a hook and wraps it, too."""

    @hookimpl
    def render_boot(self, node: Node) -> BootFragment:
        return BootFragment(packages=frozenset({"own"}))

    @hookimpl(wrapper=True, specname="render_boot")
    def count(self) -> Generator[None, list[BootFragment], list[BootFragment]]:
        fragments = yield
        return [*fragments, BootFragment(packages=frozenset({f"saw-{len(fragments)}"}))]


def test_a_class_may_answer_and_wrap_one_hook() -> None:
    plugins = Plugins()
    plugins.register(answering("render_boot", part()), "other")
    plugins.register(Both(), "both")
    answers = plugins.hook.render_boot(node=NODE, cluster=CLUSTER)
    assert frozenset().union(*(answer.packages for answer in answers)) == {"own", "saw-2"}


def test_a_marked_static_method_is_a_hook() -> None:
    class Moon:
        @hookimpl
        @staticmethod
        def list_vms(cluster: Cluster) -> Sequence[Vm]:
            return [replace(VM, where=cluster.name)]

    plugins = Plugins()
    plugins.register(Moon(), "moon")
    assert plugins.ask.list_vms(cluster=CLUSTER)[0].where == "prod"
