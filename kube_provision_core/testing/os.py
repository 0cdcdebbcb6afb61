"""What every operating-system driver promises, as checks."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from kube_provision_core import BootError, BootFragment, Cluster, Packages, Repository, Role, Stage, Step

from .guards import io_seen
from .samples import cluster_of, node_of

COMPONENTS = frozenset({"kubeadm", "container-runtime", "tcp-proxy"})
"""What the core itself asks for."""

UNFILLED = re.compile(r"\{\{|\{%|\bUndefined\b|\bNone\b")
"""Traces of a template that was not filled in."""


class OsContract:
    """Subclass it and override `make_driver`."""

    known_components: frozenset[str] = frozenset()
    """More components that the driver knows, such as `consul`."""

    @pytest.fixture
    def make_driver(self) -> Callable[[], Any]:
        """A function that constructs the driver. Override it."""
        raise NotImplementedError("override the fixture make_driver")

    @pytest.fixture
    def driver(self, make_driver: Callable[[], Any]) -> Any:
        return make_driver()

    @pytest.fixture
    def cluster(self) -> Cluster:
        return cluster_of("m-contract-1", "w-contract-1")

    def test_constructor_does_no_io(self, make_driver: Callable[[], Any]) -> None:
        with io_seen() as seen:
            make_driver()
        assert not seen, f"the constructor reached out into the world: {seen}"

    def test_os_packages_knows_what_the_core_asks_for(self, driver: Any) -> None:
        packages = self._packages(driver, COMPONENTS | self.known_components)
        assert isinstance(packages, Packages), f"os_packages returned a {type(packages).__name__}, not Packages"
        assert packages.names, "nothing would be installed"

    def test_os_packages_pins_an_exact_version(self, driver: Any) -> None:
        packages = self._packages(driver, COMPONENTS, {"kubeadm": "1.36.4"})
        assert any("1.36.4" in name for name in packages.names), f"no name is pinned to 1.36.4: {packages.names}"

    def test_os_packages_takes_a_minor_version(self, driver: Any) -> None:
        assert self._packages(driver, COMPONENTS, {"kubeadm": "1.35"}) != self._packages(
            driver, COMPONENTS, {"kubeadm": "1.36"}
        ), "1.35 and 1.36 would install the same"

    def test_os_packages_uses_the_mirrors(self, driver: Any) -> None:
        url = "http://mirror.example/kubernetes"
        packages = self._packages(driver, COMPONENTS, repositories={"kubernetes": Repository(url)})
        assert url in _text(packages), "the mirror of kubernetes is used nowhere"

    def test_os_packages_installs_the_extra_packages(self, driver: Any) -> None:
        assert "htop" in self._packages(driver, COMPONENTS, extra=frozenset({"htop"})).names

    def test_os_packages_refuses_an_unknown_component(self, driver: Any) -> None:
        with pytest.raises(BootError, match="no-such-component"):
            self._packages(driver, frozenset({"no-such-component"}))

    def test_os_packages_is_a_function_of_its_arguments(self, driver: Any) -> None:
        assert self._packages(driver, COMPONENTS) == self._packages(driver, COMPONENTS)

    def test_every_step_installs_and_every_template_is_filled_in(self, driver: Any) -> None:
        packages = self._packages(driver, COMPONENTS | self.known_components)
        assert all(step.stage in (Stage.PREPARE, Stage.INSTALL) for step in packages.steps)
        unfilled = UNFILLED.findall(_text(packages))
        assert not unfilled, f"a template was not filled in: {unfilled}"

    def test_every_script_is_one_that_bash_can_read(self, driver: Any, cluster: Cluster) -> None:
        parts = [self._packages(driver, COMPONENTS | self.known_components)]
        if hasattr(driver, "render_boot"):
            parts += [driver.render_boot(node=node_of("w-contract-1", role), cluster=cluster) for role in Role]
        for step in (step for part in parts if part for step in part.steps):
            _check_script(f"step {step.name}", step.script)

    def test_what_lists_versions_is_one_line_that_bash_can_read(self, driver: Any) -> None:
        listing = self._packages(driver, COMPONENTS | self.known_components).list_versions
        assert "\n" not in listing, "a template's record is made with one command"
        _check_script("list_versions", listing)

    def test_what_seals_a_template_comes_last_and_can_be_read(self, driver: Any) -> None:
        for step in driver.seal_image() if hasattr(driver, "seal_image") else ():
            assert isinstance(step, Step), f"seal_image returned a {type(step).__name__}, not a Step"
            assert step.stage is Stage.FINISH, f"step {step.name} is of stage {step.stage}"
            _check_script(f"step {step.name}", step.script)

    @pytest.mark.parametrize("role", Role)
    def test_render_boot_returns_a_filled_in_fragment(self, driver: Any, cluster: Cluster, role: Role) -> None:
        if not hasattr(driver, "render_boot"):
            pytest.skip("not offered: render_boot")
        fragment = driver.render_boot(node=node_of("w-contract-1", role), cluster=cluster)
        assert fragment is None or isinstance(fragment, BootFragment)
        unfilled = UNFILLED.findall(_text(fragment) if fragment else "")
        assert not unfilled, f"a template was not filled in: {unfilled}"

    def _packages(
        self,
        driver: Any,
        components: frozenset[str],
        versions: Mapping[str, str] | None = None,
        repositories: Mapping[str, Repository] | None = None,
        extra: frozenset[str] = frozenset(),
    ) -> Packages:
        packages: Packages = driver.os_packages(
            components=components,
            versions=versions or {"kubeadm": "1.36"},
            repositories=repositories or {},
            extra=extra,
        )
        return packages


def _check_script(name: str, script: str) -> None:
    checked = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, timeout=30, check=False)
    assert checked.returncode == 0, f"{name}: {checked.stderr}"
    unfilled = UNFILLED.findall(script)
    assert not unfilled, f"{name}: a template was not filled in: {unfilled}"


def _text(boot: Packages | BootFragment) -> str:
    contents = [file.content if isinstance(file.content, str) else "" for file in boot.files]
    return "\n".join([*contents, *(step.script for step in boot.steps)])
