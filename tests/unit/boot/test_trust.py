"""A site's own authorities are trusted before anything is fetched."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from kube_provision_core import Boot, Image, Node, Packages, PluginError, Role, hookimpl

Render = Callable[..., Boot]
SYSTEMS = ["centos", "debian", "ubuntu"]


def steps(rendered: Boot) -> list[str]:
    (listed,) = (json.loads(str(file.content)) for file in rendered.files if file.path.endswith("/steps.json"))
    return [f"{step['plugin']}/{step['name']}" for step in listed]


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("role", Role)
def test_every_machine_trusts_it_before_all_but_the_clock(
    render: Render, make_node: Callable[..., Node], authority: str, role: Role, system: str
) -> None:
    rendered = render(
        make_node(role),
        os=system,
        trusted_ca=authority,
        ntp_servers=["10.0.0.1"],
        pre_commands=["curl https://site.example"],
    )
    assert steps(rendered)[:3] == ["clock/synchronised", "trust/authorities", "trust/container-runtime"]


def test_each_certificate_is_a_file_of_its_own(render: Render, content: Callable[[Boot, str], str], authority: str) -> None:
    rendered = render(trusted_ca=authority * 2)
    for number in (1, 2):
        assert content(rendered, f"/etc/kube-provision/trusted/kube-provision-{number}.crt") == authority


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_template_trusts_it_before_it_is_installed(bake: Callable[..., Image], authority: str, system: str) -> None:
    image = bake(os=system, trusted_ca=authority)
    assert image.script.index("/trusted/kube-provision-1.crt 0644") < image.script.index(f"prepare {system}/authorities")
    fetching = [f"install {system}/packages", f"prepare {system}/kernel-modules"]
    assert all(
        image.script.index(f"prepare {system}/authorities") < image.script.index(step)
        for step in fetching
        if step in image.script
    )
    assert image.spec != bake(os=system).spec


class Mute:
    """A system that has never heard of it."""

    Config: Any = None

    @hookimpl
    def os_packages(self) -> Packages:
        return Packages(names=("x",))


def test_a_system_that_cannot_is_named(render: Render, authority: str) -> None:
    with pytest.raises(PluginError, match="os driver ubuntu does not answer trust_authorities"):
        render(trusted_ca=authority, plugins={"ubuntu": Mute()})


def test_where_none_is_configured_nothing_is_asked(render: Render) -> None:
    assert not [step for step in steps(render()) if step.startswith("trust/")]
