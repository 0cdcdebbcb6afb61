"""Whose a fragment is stays known, whatever wrappers do to it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace

import pytest

from kube_provision_core import BootFragment, Cluster, File, Node, hookimpl
from kube_provision_core.boot.relay import Relay
from kube_provision_core.folder.pki import JoinSecrets
from kube_provision_core.registry import Plugins


def plugin(fragment: BootFragment | None) -> object:
    class Plugin:
        @hookimpl
        def render_boot(self) -> BootFragment | None:
            return fragment

    return Plugin()


@pytest.fixture
def ask(
    manager: Plugins, make_node: Callable[..., Node], cluster: Cluster, secrets: JoinSecrets
) -> Callable[[], dict[str, list[str]]]:
    """Paths of the fragments by plugin."""

    def ask() -> dict[str, list[str]]:
        fragments = Relay(manager, {}).fragments(make_node(), cluster, secrets)
        return {fragment.plugin: [file.path for file in fragment.files] for fragment in fragments}

    return ask


def test_each_fragment_bears_its_plugins_name(manager: Plugins, ask: Callable[[], object]) -> None:
    manager.register(plugin(BootFragment(files=(File("/a", ""),))), "one")
    manager.register(plugin(None), "silent")
    manager.register(plugin(BootFragment(files=(File("/b", ""),))), "two")
    assert ask() == {"one": ["/a"], "two": ["/b"]}


def test_a_plugin_may_take_the_arguments_that_it_wants(manager: Plugins, ask: Callable[[], object]) -> None:
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


def test_a_wrapper_sees_all_fragments_and_changes_them(manager: Plugins, ask: Callable[[], object]) -> None:
    manager.register(plugin(BootFragment(files=(File("/a", ""),))), "one")
    manager.register(Rename("/x"), "wrapper")
    manager.register(plugin(BootFragment(files=(File("/b", ""),))), "two")
    assert ask() == {"one": ["/x/a"], "two": ["/x/b"]}


def test_wrappers_nest_as_they_were_registered(manager: Plugins, ask: Callable[[], object]) -> None:
    manager.register(plugin(BootFragment(files=(File("/a", ""),))), "one")
    manager.register(Rename("/inner"), "first")
    manager.register(Rename("/outer"), "second")
    assert ask() == {"one": ["/outer/inner/a"]}


def test_a_fragment_that_a_wrapper_adds_is_the_wrappers(manager: Plugins, ask: Callable[[], object]) -> None:
    class Add:
        @hookimpl(wrapper=True)
        def render_boot(self) -> Generator[None, list[BootFragment], list[BootFragment]]:
            fragments = yield
            return [*fragments, BootFragment(files=(File("/added", ""),))]

    manager.register(plugin(BootFragment()), "one")
    manager.register(Add(), "wrapper")
    assert ask() == {"one": [], "wrapper": ["/added"]}


class Key:
    """A part of the core: it puts the token that it is told into its fragment."""

    def render_boot(self, node: Node, cluster: Cluster, secrets: JoinSecrets) -> BootFragment:
        return BootFragment(files=(File(f"/{secrets.token}", ""),))


def test_parts_of_the_core_answer_beside_the_plugins_and_wrappers_see_them(
    manager: Plugins, make_node: Callable[..., Node], cluster: Cluster, secrets: JoinSecrets
) -> None:
    manager.register(plugin(BootFragment()), "one")
    manager.register(Rename("/x"), "wrapper")
    fragments = Relay(manager, {"key": Key()}).fragments(make_node(), cluster, secrets)
    files = {fragment.plugin: [file.path for file in fragment.files] for fragment in fragments}
    assert files == {"one": [], "key": [f"/x/{secrets.token}"]}


class Both:
    """It answers the hook and wraps it, too."""

    @hookimpl
    def render_boot(self) -> BootFragment:
        return BootFragment(files=(File("/own", ""),))

    @hookimpl(wrapper=True, specname="render_boot")
    def below(self) -> Generator[None, list[BootFragment], list[BootFragment]]:
        fragments = yield
        return [replace(it, files=tuple(replace(file, path=f"/x{file.path}") for file in it.files)) for it in fragments]


def test_a_class_may_answer_and_wrap(manager: Plugins, ask: Callable[[], object]) -> None:
    manager.register(plugin(BootFragment(files=(File("/a", ""),))), "one")
    manager.register(Both(), "both")
    assert ask() == {"one": ["/x/a"], "both": ["/x/own"]}
