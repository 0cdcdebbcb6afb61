"""Discovery drivers with one planted bug each, by the check that must find it; BUG stands for the driver."""

from __future__ import annotations

SUITE = """
import contextlib, logging, socket, time
import pytest
from dataclasses import replace
from kube_provision_core import *
from kube_provision_core.testing import DiscoveryContract, cluster_of
from kube_provision_sound_discovery.config import SoundDiscoveryConfig
from kube_provision_sound_discovery.driver import SoundDiscovery as Sound

BUG

class TestDriver(DiscoveryContract):
    @pytest.fixture
    def make_driver(self, tmp_path):
        keys = {"sound_discovery_server": "192.0.2.1", "sound_discovery_folder": tmp_path / "share"}
        config = SoundDiscoveryConfig.model_validate(keys)
        return lambda: Driver(dict.fromkeys(Role, config))

    @pytest.fixture
    def secrets(self):
        return ("a-token",)

    @pytest.fixture
    def live_cluster(self, tmp_path):
        (tmp_path / "share").mkdir()
        return cluster_of()

    @pytest.fixture
    def write_record(self, tmp_path):
        def write(cluster, text):
            (tmp_path / "share" / cluster.name).mkdir(exist_ok=True)
            (tmp_path / "share" / cluster.name / "record.json").write_text(text)
        return write
"""

BUGS = {
    "test_constructor_does_no_io": """
        class Driver(Sound):
            def __init__(self, config):
                super().__init__(config)
                with socket.socket() as probe:
                    probe.connect_ex(("127.0.0.1", 9))
        """,
    "test_says_whether_it_needs_a_machine": """
        class Driver(Sound):
            @property
            def address(self):
                return self._config.sound_discovery_server
        """,
    "test_every_node_gets_a_discovery_client": """
        class Driver(Sound):
            def render_boot(self, node, cluster):
                return BootFragment(files=super().render_boot(node, cluster).files[1:])
        """,
    "test_the_discovery_client_needs_nothing_but_the_standard_library": """
        class Driver(Sound):
            def render_boot(self, node, cluster):
                client, *others = super().render_boot(node, cluster).files
                return BootFragment(files=(replace(client, content=f"import requests\\n{client.content}"), *others))
        """,
    "test_render_boot_is_a_function_of_its_arguments": """
        class Driver(Sound):
            def render_boot(self, node, cluster):
                fragment = super().render_boot(node, cluster)
                return replace(fragment, files=(*fragment.files, File("/etc/when", str(time.monotonic()))))
        """,
    "test_every_template_is_filled_in": """
        class Driver(Sound):
            def render_boot(self, node, cluster):
                fragment = super().render_boot(node, cluster)
                return replace(fragment, files=(*fragment.files, File("/etc/server", "server={{ address }}")))
        """,
    "test_a_silent_service_is_not_taken_for_an_empty_one": """
        class Driver(Sound):
            def discover_masters(self, cluster):
                try:
                    return super().discover_masters(cluster)
                except DiscoveryError:
                    return Discovery(initialised=False)
        """,
    "test_an_unknown_cluster_is_absent": """
        class Driver(Sound):
            def discover_masters(self, cluster):
                return replace(super().discover_masters(cluster), initialised=True)
        """,
    "test_a_record_is_told": """
        class Driver(Sound):
            def discover_masters(self, cluster):
                return replace(super().discover_masters(cluster), initialising=None)
        """,
    "test_an_unreadable_record_is_not_taken_for_absent": """
        class Driver(Sound):
            def discover_masters(self, cluster):
                try:
                    return super().discover_masters(cluster)
                except DiscoveryError as error:
                    if "mounted" in str(error):
                        raise
                    return Discovery(initialised=False)
        """,
    "test_secrets_are_never_told": """
        class Driver(Sound):
            def discover_masters(self, cluster):
                logging.getLogger("driver").debug("asking with the token a-token")
                return super().discover_masters(cluster)
        """,
    "test_the_lock_is_held_by_one": """
        class Driver(Sound):
            def lock_cluster(self, cluster):
                return contextlib.nullcontext()
        """,
    "test_forgetting_what_is_unknown_is_no_failure": """
        class Driver(Sound):
            def forget_cluster(self, cluster):
                if not self._share(cluster).folder.exists():
                    raise DiscoveryError("there is no such cluster")
                return super().forget_cluster(cluster)
        """,
    "test_only_the_record_of_the_machine_that_is_gone_is_forgotten": """
        class Driver(Sound):
            def forget_initialising(self, cluster, node_name):
                (self._share(cluster).folder / "record.json").unlink(missing_ok=True)
                return True
        """,
    "test_an_initialised_cluster_is_forgotten_as_a_whole_only": """
        class Driver(Sound):
            def forget_cluster(self, cluster):
                return True
        """,
    "test_close_never_raises": """
        class Driver(Sound):
            def close(self):
                raise OSError("not connected")
        """,
}
