"""What plugins ask of the operating system is known to both, or refused by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from kube_provision_core import BootError, Component, PluginError
from kube_provision_core.boot.components import components, versions
from kube_provision_core.boot.relay import NamedFragment


def asking(*names: str, plugin: str = "site", **pins: str) -> NamedFragment:
    return NamedFragment(plugin=plugin, components=frozenset(names), versions=pins)


def test_all_that_is_asked_for_is_asked_once() -> None:
    asked = components([asking(Component.KUBEADM), asking("kubeadm", "consul"), asking()])
    assert asked == {Component.KUBEADM, Component.CONSUL}
    assert all(isinstance(name, Component) for name in asked)


@pytest.mark.parametrize("ask", [components, versions])
def test_what_is_no_component_is_refused_with_the_plugin_and_what_there_is(
    ask: Callable[[Iterable[NamedFragment]], object],
) -> None:
    with pytest.raises(PluginError) as caught:
        ask([asking("consul"), asking("kubeadmin", kubeadmin="1.36")])
    (line,) = str(caught.value).splitlines()
    assert line.startswith(
        "plugin site asks for the component 'kubeadmin', and there is none of that name; there are kubeadm, "
    )


def test_two_pins_of_one_component_name_both_plugins() -> None:
    fragments = (asking(plugin="b", consul="2"), asking(plugin="a", consul="1", kubeadm="3"))
    with pytest.raises(BootError, match=r"component consul: plugin a pins 1, plugin b pins 2"):
        versions(fragments)
    assert versions(fragments[1:]) == {"consul": "1", "kubeadm": "3"}
