"""Whose a fragment is stays known, whatever wrappers do to it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace

import pluggy
import pytest

from kube_provision_core import BootFragment, Cluster, File, Node, hookimpl
from kube_provision_core.boot import relay


def plugin(fragment: BootFragment | None) -> object:
    class Plugin:
        @hookimpl
        def render_boot(self) -> BootFragment | None:
            return fragment

    return Plugin()


@pytest.fixture
def ask(
    manager: pluggy.PluginManager, make_node: Callable[..., Node], cluster: Cluster
) -> Callable[[], dict[str, list[str]]]:
    """Paths of the fragments by plugin."""

    def ask() -> dict[str, list[str]]:
        fragments = relay.fragments(manager, make_node(), cluster)
        return {fragment.plugin: [file.path for file in fragment.files] for fragment in fragments}

    return ask


def test_each_fragment_bears_its_plugins_name(manager: pluggy.PluginManager, ask: Callable[[], object]) -> None:
    manager.register(plugin(BootFragment(files=(File("/a", ""),))), "one")
    manager.register(plugin(None), "silent")
    manager.register(plugin(BootFragment(files=(File("/b", ""),))), "two")
    assert ask() == {"one": ["/a"], "two": ["/b"]}


def test_a_plugin_may_take_the_arguments_that_it_wants(manager: pluggy.PluginManager, ask: Callable[[], object]) -> None:
    class OnlyCluster:
        @hookimpl
        def render_boot(self, cluster: Cluster) -> BootFragment:
            return BootFragment(files=(File(f"/{cluster.name}", ""),))

    manager.register(OnlyCluster(), "one")
    assert ask() == {"one": ["/prod"]}


class Rename:
    """Puts every file of every plugin below another folder."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    @hookimpl(wrapper=True)
    def render_boot(self) -> Generator[None, list[BootFragment], list[BootFragment]]:
        fragments = yield
        return [
            replace(fragment, files=tuple(replace(file, path=f"{self._folder}{file.path}") for file in fragment.files))
            for fragment in fragments
        ]


def test_a_wrapper_sees_all_fragments_and_changes_them(manager: pluggy.PluginManager, ask: Callable[[], object]) -> None:
    manager.register(plugin(BootFragment(files=(File("/a", ""),))), "one")
    manager.register(Rename("/x"), "wrapper")
    manager.register(plugin(BootFragment(files=(File("/b", ""),))), "two")
    assert ask() == {"one": ["/x/a"], "two": ["/x/b"]}


def test_wrappers_nest_as_they_were_registered(manager: pluggy.PluginManager, ask: Callable[[], object]) -> None:
    manager.register(plugin(BootFragment(files=(File("/a", ""),))), "one")
    manager.register(Rename("/inner"), "first")
    manager.register(Rename("/outer"), "second")
    assert ask() == {"one": ["/outer/inner/a"]}


def test_a_fragment_that_a_wrapper_adds_is_the_wrappers(manager: pluggy.PluginManager, ask: Callable[[], object]) -> None:
    class Add:
        @hookimpl(wrapper=True)
        def render_boot(self) -> Generator[None, list[BootFragment], list[BootFragment]]:
            fragments = yield
            return [*fragments, BootFragment(files=(File("/added", ""),))]

    manager.register(plugin(BootFragment()), "one")
    manager.register(Add(), "wrapper")
    assert ask() == {"one": [], "wrapper": ["/added"]}


def test_a_plugin_that_takes_anothers_place_is_asked_instead(
    manager: pluggy.PluginManager, ask: Callable[[], object]
) -> None:
    manager.register(plugin(BootFragment(files=(File("/old", ""),))), "one")
    ask()
    manager.unregister(name="one")
    manager.register(plugin(BootFragment(files=(File("/new", ""),))), "one")
    assert ask() == {"one": ["/new"]}
