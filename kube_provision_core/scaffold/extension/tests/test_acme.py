"""The contract suite of the extension, and what it promises beside."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from kube_provision_acme.config import AcmeConfig
from kube_provision_acme.contract import TestContract
from kube_provision_acme.driver import BANNER, GREETING, Acme
from kube_provision_core import BootFragment, Role, Stage, Step
from kube_provision_core.testing import cluster_of, node_of

__all__ = ["TestContract"]


def extension(**keys: object) -> Acme:
    return Acme(dict.fromkeys(Role, AcmeConfig.model_validate(keys)))


@pytest.mark.parametrize("role", Role)
def test_every_machine_is_greeted_by_its_name(role: Role) -> None:
    part = extension(acme_text="{name} is watched.").render_boot(node_of("x-1", role), cluster_of("x-1"))
    assert {file.path: file.content for file in part.files} == {GREETING: "x-1 is watched.\n"}


def test_braces_that_mean_nothing_stay() -> None:
    part = extension(acme_text="{0} {name").render_boot(node_of("x-1"), cluster_of("x-1"))
    assert part.files[0].content == "{0} {name\n"


def test_the_banner_names_the_steps_of_all() -> None:
    other = BootFragment(steps=(Step("other", Stage.INSTALL, "true"),))
    own = extension().render_boot(node_of("x-1"), cluster_of("x-1"))
    wrapper = extension().show_steps(node_of("x-1"))
    next(wrapper)
    with pytest.raises(StopIteration) as ended:
        wrapper.send([other, own])
    kept, changed = ended.value.value
    assert kept == other
    assert {file.path: file.content for file in changed.files}[BANNER] == "x-1: greeting, other\n"


@pytest.mark.parametrize("package", ["", "-y", "a b", "$(reboot)"])
def test_what_is_no_package_is_refused(package: str) -> None:
    with pytest.raises(ValidationError, match="acme_packages"):
        extension(acme_packages=[package])
