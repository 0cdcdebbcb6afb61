"""Two guests that really boot, in one story: the wire, the way out and in, status, scrub, reboot, power-off.

The tests run in their order and share the guests; each one says one thing about them.
"""

from __future__ import annotations

import http.server
import re
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from servers.guest import FINISHED, guest_boot, guest_template
from servers.qemu import CLUSTER, end_processes, node

from kube_provision_core import Role, Vm
from kube_provision_qemu import processes, qmp
from kube_provision_qemu.config import QemuConfig
from kube_provision_qemu.driver import Qemu
from kube_provision_qemu.power import Bounds

pytestmark = pytest.mark.integration

SECRET = "the-authority's-key"
SERVER, WORKER = node("consul-home", Role.DISCOVERY, 0), node("w-home-1")
TASK = b"sealed \x00\xff\n" + bytes(range(256)) * 4000 + b"\n\n"
"""Nearly a mebibyte, of every byte that there is."""


@dataclass
class Guests:
    driver: Qemu

    def vm(self, name: str) -> Vm:
        return next(vm for vm in self.driver.list_vms(cluster=CLUSTER) if vm.name == name)

    def get(self, path: str, port: int = 8500, name: str = SERVER.name) -> str:
        return self.fetch(path, port, name).decode()

    def fetch(self, path: str, port: int = 8500, name: str = SERVER.name) -> bytes:
        """What the guest answers this host. Proxies of the environment are passed by."""
        endpoint = self.vm(name).reach[port]
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://{endpoint.host}:{endpoint.port}/{path}", timeout=60) as answer:
            return bytes(answer.read())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("guests")
    yield folder
    end_processes(folder / "vms")


@pytest.fixture(scope="module")
def template(folder: Path) -> Path:
    return guest_template(folder)


@pytest.fixture(scope="module")
def guests(folder: Path, template: Path) -> Guests:
    keys = {"template": template, "vm_dir": folder / "vms", "qemu_accelerator": "tcg"}
    networks = {SERVER.role: _networks("10.9.0.10"), WORKER.role: _networks("10.9.0.11")[::-1]}
    guests = Guests(Qemu({role: QemuConfig.model_validate({**keys, "networks": networks.get(role)}) for role in Role}))
    guests.driver.bounds = Bounds(powerdown=60, agent=0.1, quit=5)
    for machine in (SERVER, WORKER):
        guests.driver.provision_vm(node=machine, boot=guest_boot(guests.driver, machine, SECRET))
    wait_for(lambda: all(vm.status == FINISHED for vm in guests.driver.list_vms(cluster=CLUSTER)), 40)
    return guests


def _networks(storage: str) -> list[dict[str, Any]]:
    san = {"name": "san", "role": "storage", "static_ip": {"addresses": [f"{storage}/24"]}, "mtu": 9000}
    return [san, {"name": "cluster", "role": "node"}]


def wait_for(happens: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < deadline, f"nothing after {seconds} s"
        time.sleep(0.25)


def test_status_is_read_from_the_outside(guests: Guests) -> None:
    assert [vm.status for vm in guests.driver.list_vms(cluster=CLUSTER)] == [FINISHED, FINISHED]


def test_this_host_reaches_each_machine_by_ports_of_its_own(guests: Guests) -> None:
    assert guests.get("name").strip() == SERVER.name
    assert guests.get("name", 22, WORKER.name).strip() == WORKER.name


def test_machines_reach_each_other(guests: Guests) -> None:
    address = guests.vm(WORKER.name).address
    assert guests.get(f"cgi-bin/fetch?{address}:22/name").strip() == WORKER.name


def test_machines_reach_each_other_in_a_further_network(guests: Guests) -> None:
    assert guests.get("cgi-bin/fetch?10.9.0.11:22/name").strip() == WORKER.name


@pytest.mark.parametrize(
    ("name", "port", "san", "own"), [(SERVER.name, 8500, "eth0", "eth1"), (WORKER.name, 22, "eth1", "eth0")]
)
def test_cards_are_those_of_the_networks_in_their_order(guests: Guests, name: str, port: int, san: str, own: str) -> None:
    said = guests.get("cgi-bin/network", port, name)
    assert re.search(rf"{san}: .* mtu 9000 ", said)
    assert re.search(rf"inet 10\.9\.0\.1[01]/24 .*{san}", said)
    assert re.search(rf"inet 10\.0\.2\.(10|21)/24 .*{own}", said)
    assert re.search(rf"default via 10\.0\.2\.2 dev {own}", said)


def test_large_packets_pass_in_a_network_that_has_them(guests: Guests) -> None:
    """Larger than a segment of 1500 bytes: the wire carries it whole, or the task comes back wrong."""
    guests.driver.deliver_task(vm=guests.vm(WORKER.name), task=TASK)
    assert guests.fetch("cgi-bin/fetch?10.9.0.11:22/cgi-bin/task") == TASK
    guests.driver.deliver_task(vm=guests.vm(WORKER.name), task=None)


def test_machines_reach_out(guests: Guests) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Hello) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        said = guests.get(f"cgi-bin/fetch?10.0.2.2:{server.server_port}/")
        server.shutdown()
    assert said == "hello from the host"


class _Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello from the host")

    def log_message(self, *words: object) -> None:
        """Quiet."""


def test_machines_reach_each_other_again_after_the_switch_was_killed(guests: Guests, folder: Path) -> None:
    processes.kill(folder / "vms/networks/home/switch.pid")
    address = guests.vm(WORKER.name).address
    assert guests.get(f"cgi-bin/fetch?{address}:22/name").strip() == WORKER.name


def test_this_host_reaches_machines_by_the_same_ports_after_the_router_was_killed(guests: Guests, folder: Path) -> None:
    before = guests.vm(SERVER.name).reach
    processes.kill(folder / "vms/networks/home/pid")
    assert guests.get("name").strip() == SERVER.name
    assert guests.vm(SERVER.name).reach == before


def test_a_running_machine_no_longer_finds_secrets_in_a_scrubbed_seed(guests: Guests) -> None:
    assert SECRET in guests.get("cgi-bin/seed")
    guests.driver.scrub_boot(vm=guests.vm(SERVER.name))
    assert guests.get("cgi-bin/seed").strip() == "#cloud-config"


def test_a_running_machine_receives_what_is_delivered_and_nothing_once_it_is_taken_away(guests: Guests) -> None:
    assert guests.get("cgi-bin/task") == ""
    for task in (TASK, b"another, and shorter\n"):
        guests.driver.deliver_task(vm=guests.vm(SERVER.name), task=task)
        assert guests.fetch("cgi-bin/task") == task
    guests.driver.deliver_task(vm=guests.vm(SERVER.name), task=None)
    assert guests.get("cgi-bin/task") == ""


def test_a_task_of_another_machine_stays_unseen(guests: Guests) -> None:
    guests.driver.deliver_task(vm=guests.vm(WORKER.name), task=TASK)
    assert guests.get("cgi-bin/task") == ""


def test_half_a_task_is_none(guests: Guests, folder: Path) -> None:
    """A host that was killed, or that writes just now."""
    guests.driver.deliver_task(vm=guests.vm(SERVER.name), task=TASK)
    with (folder / "vms/machines" / SERVER.name / "seed.iso").open("r+b") as seed:
        seed.seek(-100_000, 2)
        seed.write(b"half")
    said = guests.fetch("cgi-bin/task")
    assert said == b"receive failed\n"


def test_a_scrubbed_machine_keeps_its_name_and_address_over_a_reboot(guests: Guests, folder: Path) -> None:
    machine = folder / "vms/machines" / SERVER.name
    console = (machine / "console.log").stat().st_size
    with qmp.session(machine / "qmp.sock") as session:
        session.execute("system_reset")
    wait_for(lambda: (machine / "console.log").stat().st_size > console, 60)
    wait_for(lambda: _answers(guests), 60)
    assert guests.get("name").strip() == SERVER.name


def test_what_was_delivered_while_it_booted_is_received_afterwards(guests: Guests, folder: Path) -> None:
    machine = guests.vm(SERVER.name)
    processes.kill(Path(machine.id) / "pid")
    guests.driver.deliver_task(vm=machine, task=TASK)
    guests.driver.start_vm(vm=machine)
    wait_for(lambda: _answers(guests), 60)
    wait_for(lambda: guests.fetch("cgi-bin/task") == TASK)


def _answers(guests: Guests) -> bool:
    try:
        return bool(guests.get("name"))
    except OSError:
        return False


def test_the_power_button_powers_a_machine_off(guests: Guests, folder: Path) -> None:
    machine = guests.vm(WORKER.name)
    console = Path(machine.id) / "console.log"
    with console.open() as log:
        guests.driver.destroy_vm(vm=machine)
        assert "button pressed" in log.read()
