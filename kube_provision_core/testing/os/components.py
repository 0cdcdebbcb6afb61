"""Components in the system's own words: all that are asked for, as they were asked for, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from types import MappingProxyType

import pytest

from ... import BootError, Component, Packages
from ..connected import Connected
from ..fixtures import DriverChecks
from ..fragments import flaws
from ..guards import io_seen
from .fixtures import CORE, OsFixtures, ask

_PROGRAMS = ("kubeadm", "kubectl", "kubelet")
_EMPTY_ALLOWED: frozenset[str] = frozenset({Component.TIME_SYNC})
"""cloud-init may bring its own."""


class ComponentChecks(DriverChecks, OsFixtures):
    def test_os_packages_knows_what_the_core_asks_for(self, driver: Connected) -> None:
        packages = ask(driver)
        assert packages.names, "nothing would be installed"
        assert not flaws(packages), flaws(packages)

    def test_os_packages_answers_with_names(self, driver: Connected) -> None:
        names = ask(driver).names
        assert isinstance(names, tuple), f"`names` is a {type(names).__name__}, not a tuple"
        assert all(isinstance(name, str) and name and name == "".join(name.split()) for name in names), f"{names}"
        assert len(set(names)) == len(names), f"names are given twice: {names}"

    def test_os_packages_knows_what_targets_and_discovery_ask_for(self, driver: Connected) -> None:
        for component in sorted(self.known_components - _EMPTY_ALLOWED):
            assert ask(driver, frozenset({component}), {}).names, f"nothing would be installed for {component}"
        ask(driver, CORE | self.known_components)

    def test_kubeadm_comes_with_what_it_needs(self, driver: Connected) -> None:
        names = ask(driver, frozenset({"kubeadm"})).names
        for wanted in (*_PROGRAMS, "conntrack", "openssl"):
            assert any(name.startswith(wanted) for name in names), f"{wanted} is missing: {names}"

    def test_kubeadm_comes_alone_where_a_cluster_is_upgraded(self, driver: Connected) -> None:
        whole, alone = (ask(driver, frozenset({name}), {"kubeadm": "1.36.4"}) for name in ("kubeadm", "kubeadm-alone"))
        wanted = tuple(name for name in whole.names if name.startswith("kubeadm"))
        assert alone.names == wanted, f"it is {alone.names}, and the whole component has {wanted}"
        assert alone.files == whole.files, "it comes from another repository, or is held otherwise"

    def test_the_proxy_can_pass_on_tcp(self, driver: Connected) -> None:
        names = ask(driver, frozenset({"tcp-proxy"}), {}).names
        assert any(name.startswith("nginx") and "mod" not in name for name in names), f"there is no nginx: {names}"
        assert self.nginx_brings_stream or any("stream" in name for name in names), "nginx has no stream module"

    def test_os_packages_installs_what_is_asked_for_alone(self, driver: Connected) -> None:
        consul = ask(driver, frozenset({"consul"}), {})
        assert not [name for name in consul.names if name.startswith((*_PROGRAMS, "containerd", "nginx"))]
        assert not [file.path for file in consul.files if "kubernetes" in str(file.content)]
        assert ask(driver, frozenset(), {}).names == ()

    def test_components_do_not_stand_in_each_others_way(self, driver: Connected) -> None:
        together = set(ask(driver, CORE | self.known_components).names)
        for component in sorted(CORE | self.known_components):
            assert set(ask(driver, frozenset({component})).names) <= together, f"{component} is not whole beside the others"

    @pytest.mark.parametrize("program", _PROGRAMS)
    def test_os_packages_pins_an_exact_version(self, driver: Connected, program: str) -> None:
        pin = _pin(ask(driver, versions={"kubeadm": "1.36.4"}), program)
        assert "1.36.4" in pin, f"{program} is not pinned to 1.36.4: {pin!r}"
        assert not any(fnmatchcase(other, pin) for other in ("1.36.40-1.1", "1.36.41", "11.36.4-1.1")), f"{pin} is loose"

    def test_os_packages_pins_any_revision_of_a_version(self, driver: Connected) -> None:
        """Upstream's packages are rebuilt, and not always called -1.1."""
        pin = _pin(ask(driver, versions={"kubeadm": "1.36.4"}), "kubeadm")
        assert all(fnmatchcase(found, pin) for found in ("1.36.4-1.1", "1.36.4-2.1", "1.36.4-150500.1.1")) or pin == "1.36.4"

    @pytest.mark.parametrize("program", _PROGRAMS)
    def test_os_packages_takes_a_minor_version(self, driver: Connected, program: str) -> None:
        pin = _pin(ask(driver, versions={"kubeadm": "1.36"}), program)
        assert pin.startswith("1.36"), f"{program} is not pinned to 1.36: {pin!r}"
        assert fnmatchcase("1.36.12-1.1", pin), f"{pin} is no patch of 1.36 but one"
        assert not any(fnmatchcase(other, pin) for other in ("1.360.1-1.1", "1.37.0-1.1", "1.3.6-1.1")), f"{pin} is loose"

    def test_os_packages_pins_other_components_too(self, driver: Connected) -> None:
        if "consul" in self.known_components:
            names = ask(driver, frozenset({"consul"}), {"consul": "1.21.3"}).names
            assert any("1.21.3" in name for name in names), f"consul is not pinned to 1.21.3: {names}"

    def test_os_packages_names_the_extra_packages(self, driver: Connected) -> None:
        assert {"htop", "jq"} <= set(ask(driver, extra=frozenset({"htop", "jq"})).names)

    @pytest.mark.parametrize("name", ["--assume-no", "-y", "a b", "$(id)", "x;reboot", "x\ny"])
    def test_what_is_no_name_of_a_package_is_refused(self, driver: Connected, name: str) -> None:
        with pytest.raises(BootError):
            ask(driver, extra=frozenset({name}))

    def test_os_packages_refuses_an_unknown_component(self, driver: Connected) -> None:
        with pytest.raises(BootError, match="no-such-component"):
            ask(driver, frozenset({"no-such-component"}))
        with pytest.raises(BootError, match="no-such-component"):
            ask(driver, CORE | {"no-such-component"})

    def test_os_packages_is_a_function_of_its_arguments(self, driver: Connected) -> None:
        first = ask(driver, versions={"kubeadm": "1.36.4"})
        ask(driver, CORE | self.known_components, {"kubeadm": "1.35"}, extra=frozenset({"htop"}))
        assert ask(driver, versions={"kubeadm": "1.36.4"}) == first, "what it answers depends on what it was asked before"

    def test_os_packages_changes_nothing(self, driver: Connected) -> None:
        versions: Mapping[str, str] = MappingProxyType({"kubeadm": "1.36"})
        ask(driver, versions=versions)
        with io_seen() as seen:
            ask(driver, versions=versions)
        assert not seen, f"it reached out into the world: {seen}"

    def test_a_template_tells_the_versions_of_all_that_was_asked_for(self, driver: Connected) -> None:
        packages = ask(driver, versions={"kubeadm": "1.36.4"})
        plain = [name for name in packages.names if "1.36.4" not in name] + list(_PROGRAMS)
        missing = [name for name in plain if name not in packages.list_versions]
        assert not missing, f"nothing is told of {missing}"


def _pin(packages: Packages, program: str) -> str:
    """The pattern of versions that a name is followed by; empty where there is none."""
    (name,) = [name for name in packages.names if name.startswith(program)]
    return name.removeprefix(program).lstrip("=-_ ")
