"""Operating-system drivers with one planted bug each, by the check that must find it; BUG stands for the driver."""

from __future__ import annotations

SUITE = """
import contextlib, os, socket, threading, time
import pytest
from dataclasses import replace
from kube_provision_core import *
from kube_provision_core.testing import OsContract
from kube_provision_sound_os.driver import COMPONENTS, SoundOs as Sound

BUG

class TestDriver(OsContract):
    known_components = frozenset(COMPONENTS)

    @pytest.fixture
    def make_driver(self):
        return lambda: Driver({})
"""

BUGS = {
    "test_constructor_does_no_io": """
        class Driver(Sound):
            def __init__(self, config):
                socket.getaddrinfo("localhost", 80)
        """,
    "test_os_packages_knows_what_the_core_asks_for": """
        class Driver(Sound):
            def os_packages(self, components, versions, repositories, extra):
                packages = super().os_packages(components, versions, repositories, extra)
                return {"names": packages.names, "files": packages.files, "steps": packages.steps}
        """,
    "test_os_packages_pins_an_exact_version": """
        class Driver(Sound):
            def os_packages(self, components, versions, repositories, extra):
                minors = {name: version.rpartition(".")[0] for name, version in versions.items()}
                return super().os_packages(components, minors, repositories, extra)
        """,
    "test_os_packages_takes_a_minor_version": """
        class Driver(Sound):
            def os_packages(self, components, versions, repositories, extra):
                return super().os_packages(components, {"kubeadm": "1.36.4"}, repositories, extra)
        """,
    "test_os_packages_uses_the_mirrors": """
        class Driver(Sound):
            def os_packages(self, components, versions, repositories, extra):
                return super().os_packages(components, versions, {}, extra)
        """,
    "test_os_packages_installs_the_extra_packages": """
        class Driver(Sound):
            def os_packages(self, components, versions, repositories, extra):
                return super().os_packages(components, versions, repositories, frozenset())
        """,
    "test_os_packages_refuses_an_unknown_component": """
        class Driver(Sound):
            def os_packages(self, components, versions, repositories, extra):
                return super().os_packages(components & COMPONENTS.keys(), versions, repositories, extra)
        """,
    "test_os_packages_is_a_function_of_its_arguments": """
        class Driver(Sound):
            def os_packages(self, components, versions, repositories, extra):
                packages = super().os_packages(components, versions, repositories, extra)
                return replace(packages, files=(*packages.files, File("/etc/when", str(time.monotonic()))))
        """,
    "test_every_step_installs_and_every_template_is_filled_in": """
        class Driver(Sound):
            def os_packages(self, components, versions, repositories, extra):
                packages = super().os_packages(components, versions, repositories, extra)
                return replace(packages, files=(*packages.files, File("/etc/release", "minor={{ minor }}")))
        """,
    "test_every_script_is_one_that_bash_can_read": """
        class Driver(Sound):
            def os_packages(self, components, versions, repositories, extra):
                packages = super().os_packages(components, versions, repositories, extra)
                return replace(packages, steps=(Step("odd", Stage.INSTALL, "if true; then echo"),))
        """,
    "test_render_boot_returns_a_filled_in_fragment": """
        class Driver(Sound):
            def render_boot(self, node, cluster):
                return BootFragment(steps=(Step("odd", Stage.PREPARE, f"release={None}"),))
        """,
    "test_what_lists_versions_is_one_line_that_bash_can_read": """
        class Driver(Sound):
            def os_packages(self, components, versions, repositories, extra):
                packages = super().os_packages(components, versions, repositories, extra)
                return replace(packages, list_versions="rpm --query 'kubeadm")
        """,
    "test_what_seals_a_template_comes_last_and_can_be_read": """
        class Driver(Sound):
            def seal_image(self):
                return (Step("odd", Stage.INSTALL, "true"),)
        """,
}
