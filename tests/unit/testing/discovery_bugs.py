"""Discovery drivers with one planted bug each, by the check that must find it; BUG stands for the driver."""

from __future__ import annotations

SUITE = """
import contextlib, logging, socket, time
import pytest
from dataclasses import replace
from kube_provision_core import *
from kube_provision_core.testing import DiscoveryContract, client_of, cluster_of
from kube_provision_sound_discovery.config import SoundDiscoveryConfig
from kube_provision_sound_discovery.driver import SoundDiscovery as Sound

def given(old, new, driver=Sound):
    # The driver, with something else in what it gives to machines.
    class Driver(driver):
        def render_boot(self, node, cluster):
            client, *others = super().render_boot(node, cluster).files
            assert old in client.content
            return BootFragment(files=(replace(client, content=client.content.replace(old, new)), *others))
    return Driver

BUG

class TestDriver(DiscoveryContract):
    @pytest.fixture
    def make_driver(self, tmp_path):
        share = tmp_path / "share"
        places = {"sound_discovery_folder": share, "sound_discovery_mount": str(share)}
        config = SoundDiscoveryConfig.model_validate({"sound_discovery_server": "127.0.0.1", **places})
        return lambda: Driver(dict.fromkeys(Role, config))

    @pytest.fixture
    def secrets(self):
        return ("a-token",)

    @pytest.fixture
    def live_cluster(self, tmp_path):
        (tmp_path / "share").mkdir()
        return cluster_of(address="127.0.0.1")

    @pytest.fixture
    def make_client(self, make_driver, tmp_path):
        return lambda node: client_of(make_driver(), node, tmp_path)

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
    "test_secrets_are_delivered_in_secret_files_only": """
        class Driver(Sound):
            def render_boot(self, node, cluster):
                fragment = super().render_boot(node, cluster)
                return replace(fragment, files=(*fragment.files, File("/etc/kube-provision/token", "a-token")))
        """,
    "test_a_failure_under_the_lock_goes_through_and_frees_it": """
        class Driver(Sound):
            @contextlib.contextmanager
            def lock_cluster(self, cluster):
                try:
                    with super().lock_cluster(cluster):
                        yield
                except OSError as problem:
                    raise DiscoveryError(str(problem)) from problem
        """,
    "test_forgetting_a_cluster_leaves_others": """
        import shutil
        class Driver(Sound):
            def forget_cluster(self, cluster):
                for folder in self._config.sound_discovery_folder.glob(f"{cluster.name}*"):
                    shutil.rmtree(folder)
                return True
        """,
    "test_a_node_is_connected_without_asking_anybody": """
        Driver = given("    told = json", "    socket.getaddrinfo('localhost', 80)\\n    told = json")
        """,
    "test_a_silent_service_is_unavailable_to_nodes": """
        Driver = given("raise UnavailableError(", "raise OSError(")
        """,
    "test_a_node_knows_its_address": """
        Driver = given("return str(probe.getsockname()[0])", "return self.name")
        """,
    "test_the_record_is_created_once": """
        Driver = given("write_record(content, None)", "write_record(content, None) in (True, False)")
        """,
    "test_the_record_is_replaced_only_while_it_is_the_one_that_was_read": """
        Driver = given("(content, version)", "(content, self.read_record().version)")
        """,
    "test_both_sides_know_one_record": """
        Driver = given("record.json", "claim.json")
        """,
    "test_an_unreadable_record_is_unavailable_to_nodes": """
        Driver = given("except FileNotFoundError", "except (FileNotFoundError, ValueError)")
        """,
    "test_the_nodes_lock_is_held_by_one_who_is_named": """
        Driver = given("busy = True", "engaged = True")
        """,
    "test_a_failure_under_the_nodes_lock_goes_through_and_frees_it": """
        Driver = given("            yield\\n\\n    def register", "                yield\\n\\n    def register")
        """,
    "test_nodes_take_their_lock_while_a_run_holds_its_own": """
        Driver = given('held("join"', 'held("run"')
        """,
    "test_masters_are_told_at_once_to_who_knows_none_yet": """
        Driver = given("return new, addresses", "return '', addresses")
        """,
    "test_masters_are_told_again_when_the_time_is_over": """
        Driver = given("left <= 0:", "left <= 60:")
        """,
    "test_a_master_that_is_silent_is_told_to_nobody": """
        Driver = given("if answer.result()]", "]")
        """,
    "test_a_master_that_is_ready_is_told_to_both_sides": """
        class Driver(Sound):
            def discover_masters(self, cluster):
                return super().discover_masters(replace(cluster, reach={}))
        """,
}
