"""The vCenter simulator does what the tests that stand on it believe, as seen by VMware's own client."""

from __future__ import annotations

import json
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
import urllib3
from pyVmomi import SoapStubAdapter, vim, vmodl
from servers.simulator import (
    NEVER_AN_ADDRESS,
    SOURCES,
    Category,
    Guest,
    Inventory,
    Machine,
    Simulator,
    Template,
    build_environment,
)

RACKS = Category("racks", ["rack"], types=["HostSystem"])
Collector = vmodl.query.PropertyCollector


@pytest.fixture(scope="module")
def vcenter() -> Iterator[Simulator]:
    guests = [
        Guest("named-*", addresses=["127.0.61.1"], publishes={"guestinfo.stage": "done"}),
        Guest("silent-*", **NEVER_AN_ADDRESS),
        Guest(network="127.65.0.0/16"),
    ]
    with Simulator(
        folders=["prod/nodes"],
        templates=[Template(), Template("prod/ubuntu-24.04")],
        machines=[Machine("prod/foreign", power_on=True, extra_config={"owner": "somebody"})],
        guests=guests,
        inventory=Inventory(datastores=2, tags=[Category("single", ["one", "other"], single=True), RACKS]),
    ) as simulator:
        yield simulator
        assert simulator.errors() == ""


@pytest.fixture
def client(vcenter: Simulator) -> Iterator[Client]:
    client = Client(vcenter)
    yield client
    client.close()
    vcenter.heal()


def connect(vcenter: Simulator, tls: ssl.SSLContext | None = None) -> Any:
    tls = tls or ssl.create_default_context(cafile=str(vcenter.ca_file))
    return SoapStubAdapter(host=vcenter.host, port=vcenter.port, sslContext=tls, version="vim.version.version8")


def log_in(stub: Any, user: str, password: str) -> Any:
    content = vim.ServiceInstance("ServiceInstance", stub).RetrieveContent()
    content.sessionManager.Login(user, password, None)
    return content


class Client:
    def __init__(self, vcenter: Simulator) -> None:
        self.stub = connect(vcenter)
        self.content = log_in(self.stub, vcenter.username, vcenter.password)
        self.template = self.find("/DC0/vm/ubuntu-24.04")
        self.folder = self.find("/DC0/vm/prod/nodes")
        self.pool = self.find("/DC0/host/DC0_C0").resourcePool

    def close(self) -> None:
        self.stub.DropConnections()

    def find(self, path: str) -> Any:
        return self.content.searchIndex.FindByInventoryPath(path)

    def clone(self, name: str, *, power_on: bool = False, location: Any = None, **config: Any) -> Any:
        location = location or vim.vm.RelocateSpec()
        location.pool = self.pool
        spec = vim.vm.CloneSpec(location=location, config=vim.vm.ConfigSpec(**config), powerOn=power_on)
        return self.template.CloneVM_Task(folder=self.folder, name=name, spec=spec)

    def made(self, name: str, **arguments: Any) -> Any:
        return succeed(self.clone(name, **arguments))

    def device(self, kind: type) -> Any:
        return next(device for device in self.template.config.hardware.device if isinstance(device, kind))


def wait(task: Any) -> Any:
    deadline = time.monotonic() + 60
    while task.info.state in ("queued", "running"):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return task.info


def succeed(task: Any) -> Any:
    info = wait(task)
    assert info.error is None
    return info.result


def option(key: str, value: str) -> Any:
    return vim.option.OptionValue(key=key, value=value)


def test_a_clone_is_made_as_its_specification_says(client: Client, vcenter: Simulator) -> None:
    disk = client.device(vim.vm.device.VirtualDisk)
    card = client.device(vim.vm.device.VirtualEthernetCard)
    second = vim.vm.device.VirtualDisk.FlatVer2BackingInfo(diskMode="persistent", thinProvisioned=True)
    port = vim.vm.device.VirtualEthernetCard.NetworkBackingInfo(deviceName="VM Network")
    changes = [
        ("edit", None, vim.vm.device.VirtualDisk(key=disk.key, backing=disk.backing, capacityInKB=20 << 20)),
        (
            "add",
            "create",
            vim.vm.device.VirtualDisk(
                key=-1, controllerKey=disk.controllerKey, unitNumber=1, backing=second, capacityInKB=5 << 20
            ),
        ),
        ("edit", None, vim.vm.device.VirtualVmxnet3(key=card.key, backing=port)),
    ]
    specs = [
        vim.vm.device.VirtualDeviceSpec(operation=verb, fileOperation=file, device=device) for verb, file, device in changes
    ]
    client.made(
        "whole",
        power_on=True,
        location=vim.vm.RelocateSpec(datastore=client.find("/DC0/datastore/LocalDS_1")),
        numCPUs=4,
        memoryMB=8192,
        annotation="ours",
        extraConfig=[option("guestinfo.userdata", "x" * 60000)],
        deviceChange=specs,
    )

    vm = vcenter.vm("whole")
    assert (vm["path"], vm["power"], vm["annotation"]) == ("/DC0/vm/prod/nodes/whole", "poweredOn", "ours")
    assert (vm["cpu"], vm["memory_mib"], vm["datastores"]) == (4, 8192, ["LocalDS_1"])
    assert [disk["gib"] for disk in vm["disks"]] == [20, 5]
    assert vm["disks"][0]["file"] == "[LocalDS_1] whole/whole.vmdk", "not the template's, which the edit names"
    assert vm["extra_config"]["guestinfo.userdata"] == "x" * 60000


def test_clones_do_not_share_their_hardware(client: Client) -> None:
    cards = [
        next(d for d in client.made(name).config.hardware.device if isinstance(d, vim.vm.device.VirtualEthernetCard))
        for name in ("twin-1", "twin-2")
    ]
    assert cards[0].macAddress != cards[1].macAddress


def test_a_clone_takes_its_time_and_can_be_cancelled(client: Client, vcenter: Simulator) -> None:
    with Simulator(clone_time=30) as slow:
        other = Client(slow)
        other.folder = other.find("/DC0/vm")
        task = other.clone("never")
        assert task.info.state in ("queued", "running")
        task.CancelTask()
        assert isinstance(wait(task).error, vmodl.fault.RequestCanceled)
        assert slow.machine_names() == []
        other.close()


def test_a_name_is_taken_once_per_folder(client: Client) -> None:
    first = client.made("single")
    error = wait(client.clone("single")).error
    assert isinstance(error, vim.fault.DuplicateName)
    assert error.object == first


def test_an_unknown_network_fails_the_task_and_leaves_nothing(client: Client, vcenter: Simulator) -> None:
    card = client.device(vim.vm.device.VirtualEthernetCard)
    port = vim.vm.device.VirtualEthernetCard.NetworkBackingInfo(deviceName="nowhere")
    change = vim.vm.device.VirtualDeviceSpec(
        operation="edit", device=vim.vm.device.VirtualVmxnet3(key=card.key, backing=port)
    )
    assert wait(client.clone("unplugged", deviceChange=[change])).error is not None
    assert "unplugged" not in vcenter.machine_names()


def test_a_disk_only_grows(client: Client) -> None:
    disk = client.device(vim.vm.device.VirtualDisk)
    change = vim.vm.device.VirtualDeviceSpec(
        operation="edit",
        device=vim.vm.device.VirtualDisk(key=disk.key, backing=disk.backing, capacityInKB=1 << 20),
    )
    assert isinstance(wait(client.clone("shrunk", deviceChange=[change])).error, vim.fault.InvalidDeviceSpec)


def test_a_linked_clone_needs_the_template_s_snapshot(client: Client, vcenter: Simulator) -> None:
    def linked(name: str, snapshot: Any) -> Any:
        location = vim.vm.RelocateSpec(pool=client.pool, diskMoveType="createNewChildDiskBacking")
        spec = vim.vm.CloneSpec(location=location, snapshot=snapshot)
        return client.template.CloneVM_Task(folder=client.folder, name=name, spec=spec)

    assert wait(linked("parentless", None)).error is not None
    succeed(linked("child", client.template.snapshot.currentSnapshot))
    assert vcenter.vm("child")["disks"] == [{"gib": 10, "linked": True, "file": "[LocalDS_0] child/child.vmdk"}]


def test_a_file_that_an_edit_names_is_taken_literally_where_that_is_wished() -> None:
    with Simulator(folders=["prod/nodes"], inventory=Inventory(takes_files_literally=True)) as vcenter:
        client = Client(vcenter)
        disk = client.device(vim.vm.device.VirtualDisk)
        grown = vim.vm.device.VirtualDisk(key=disk.key, backing=disk.backing, capacityInKB=20 << 20)
        client.made("sharer", deviceChange=[vim.vm.device.VirtualDeviceSpec(operation="edit", device=grown)])
        client.close()
        assert vcenter.vm("sharer")["disks"][0]["file"] == "[LocalDS_0] ubuntu-24.04/ubuntu-24.04.vmdk"


def test_a_machine_goes_with_all_disks_that_are_attached_to_it_or_to_its_snapshots(
    client: Client, vcenter: Simulator
) -> None:
    before = vcenter.disks()
    vm = client.made("full")
    kept, in_snapshot, attached = (f"[LocalDS_0] {name}.vmdk" for name in ("full/kept", "fcd/in-snapshot", "fcd/attached"))
    for file in (kept, in_snapshot):
        vcenter.attach("full", file)
    vcenter.take_snapshot("full")
    vcenter.attach("full", attached)
    assert set(vcenter.disks()) - set(before) >= {kept, in_snapshot, attached}
    succeed(vm.Destroy_Task())
    assert vcenter.disks() == before
    vm = client.made("full")
    vcenter.attach("full", kept, first_class=False)
    (device,) = [device for device in vm.config.hardware.device if getattr(device.backing, "fileName", None) == kept]
    remove = vim.vm.device.VirtualDeviceSpec(operation="remove", device=device)
    succeed(vm.ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=[remove])))
    succeed(vm.Destroy_Task())
    assert set(vcenter.disks()) - set(before) == {kept}


def test_extra_config_is_replaced_and_an_empty_value_deletes(client: Client, vcenter: Simulator) -> None:
    vm = client.made("scrubbed", extraConfig=[option("a", "1"), option("b", "1")])
    succeed(vm.ReconfigVM_Task(vim.vm.ConfigSpec(extraConfig=[option("a", "2"), option("b", "")])))
    assert {k: v for k, v in vcenter.vm("scrubbed")["extra_config"].items() if k in "ab"} == {"a": "2"}


def test_a_guest_reports_its_address_beside_those_that_are_none(client: Client) -> None:
    vm = client.made("named-1", power_on=True)
    card = next(d for d in vm.config.hardware.device if isinstance(d, vim.vm.device.VirtualEthernetCard))
    deadline = time.monotonic() + 60
    while not vm.guest.net and time.monotonic() < deadline:
        time.sleep(0.02)
    ours = next(nic for nic in vm.guest.net if nic.deviceConfigId == card.key)
    assert ours.macAddress == card.macAddress
    addresses = [entry.ipAddress for entry in ours.ipConfig.ipAddress]
    assert addresses[0].startswith("fe80::")
    assert addresses[1:] == ["127.0.61.1"]
    assert vm.guest.ipAddress == "127.0.61.1"


def test_a_guest_publishes_what_it_was_told(client: Client, vcenter: Simulator) -> None:
    client.made("named-2", power_on=True)
    deadline = time.monotonic() + 60
    while "guestinfo.stage" not in vcenter.vm("named-2")["extra_config"] and time.monotonic() < deadline:
        time.sleep(0.02)
    assert vcenter.vm("named-2")["extra_config"]["guestinfo.stage"] == "done"


def test_a_guest_may_never_get_an_address(client: Client, vcenter: Simulator) -> None:
    client.made("silent-1", power_on=True)
    time.sleep(0.3)
    assert [a for a in vcenter.vm("silent-1")["addresses"] if not a.startswith(("fe80", "172.17"))] == []


def test_power_off_takes_the_addresses_and_a_running_machine_is_not_destroyed(client: Client, vcenter: Simulator) -> None:
    vm = client.made("mortal", power_on=True)
    assert isinstance(wait(vm.Destroy_Task()).error, vim.fault.InvalidPowerState)
    succeed(vm.PowerOffVM_Task())
    assert vcenter.vm("mortal")["addresses"] == []
    succeed(vm.Destroy_Task())
    assert "mortal" not in vcenter.machine_names()


def test_faults_happen_where_and_as_often_as_asked(client: Client, vcenter: Simulator) -> None:
    vcenter.fail("CloneVM_Task", "bad-*", "NoPermission", fields={"privilegeId": "VirtualMachine.Clone"}, times=1)
    vcenter.fail("CloneVM_Task", "bad-*", "InsufficientMemoryResourcesFault", fields={"requested": 7})
    with pytest.raises(vim.fault.NoPermission) as refusal:
        client.clone("bad-1")
    assert refusal.value.privilegeId == "VirtualMachine.Clone"
    assert wait(client.clone("bad-1")).error.requested == 7
    client.made("good-1")


def test_a_fault_that_does_not_exist_is_refused(vcenter: Simulator) -> None:
    with pytest.raises(ValueError, match="no fault is called"):
        vcenter.fail("CloneVM_Task", "x", "Nonsense")


def test_an_expired_session_may_read_nothing(client: Client, vcenter: Simulator) -> None:
    vcenter.expire_sessions()
    with pytest.raises(vim.fault.NotAuthenticated):
        _ = client.template.name
    assert vcenter.sessions() == 0


def test_a_wrong_password_is_refused(vcenter: Simulator) -> None:
    stub = connect(vcenter)
    with pytest.raises(vim.fault.InvalidLogin):
        log_in(stub, vcenter.username, "wrong")
    stub.DropConnections()


def test_its_certificate_is_verified_by_its_own_authority_only(vcenter: Simulator) -> None:
    stub = connect(vcenter, ssl.create_default_context())
    with pytest.raises(ssl.SSLCertVerificationError):
        log_in(stub, vcenter.username, vcenter.password)


def test_one_wait_sees_all_tasks(client: Client) -> None:
    with ThreadPoolExecutor(4) as threads:
        tasks = list(threads.map(client.clone, [f"many-{i}" for i in range(12)]))
    collector = client.content.propertyCollector
    objects = [Collector.ObjectSpec(obj=task) for task in tasks]
    properties = [Collector.PropertySpec(type=vim.Task, pathSet=["info.state"])]
    collector.CreateFilter(Collector.FilterSpec(objectSet=objects, propSet=properties), True)
    states: dict[str, str] = {}
    version, deadline = "", time.monotonic() + 60
    while set(states.values()) != {"success"} and time.monotonic() < deadline:
        update = collector.WaitForUpdatesEx(version, Collector.WaitOptions(maxWaitSeconds=1))
        version = update.version if update else version
        for change in update.filterSet[0].objectSet if update else ():
            states[str(change.obj)] = change.changeSet[0].val
    assert list(states.values()) == ["success"] * 12


def test_single_keys_of_extra_config_can_be_read(client: Client) -> None:
    vm = client.made("keyed", extraConfig=[option("guestinfo.a.b", "1")])
    path = 'config.extraConfig["guestinfo.a.b"].value'
    spec = Collector.FilterSpec(
        objectSet=[Collector.ObjectSpec(obj=vm)],
        propSet=[Collector.PropertySpec(type=vim.VirtualMachine, pathSet=["name", path])],
    )
    result = client.content.propertyCollector.RetrievePropertiesEx([spec], Collector.RetrieveOptions())
    assert {p.name: p.val for p in result.objects[0].propSet} == {"name": "keyed", path: "1"}


def test_a_property_that_is_not_set_is_none(client: Client) -> None:
    assert client.made("plain").snapshot is None


def test_large_answers_come_in_pages(client: Client) -> None:
    vms = [
        client.find("/DC0/vm/ubuntu-24.04"),
        client.find("/DC0/vm/prod/ubuntu-24.04"),
        client.find("/DC0/vm/prod/foreign"),
    ]
    spec = Collector.FilterSpec(
        objectSet=[Collector.ObjectSpec(obj=vm) for vm in vms],
        propSet=[Collector.PropertySpec(type=vim.VirtualMachine, pathSet=["name"])],
    )
    collector = client.content.propertyCollector
    first = collector.RetrievePropertiesEx([spec], Collector.RetrieveOptions(maxObjects=2))
    rest = collector.ContinueRetrievePropertiesEx(first.token)
    assert [len(first.objects), len(rest.objects), rest.token] == [2, 1, None]


def test_a_rule_keeps_machines_apart_and_forgets_the_destroyed(client: Client, vcenter: Simulator) -> None:
    vms = [client.made(f"apart-{i}") for i in (1, 2)]
    rule = vim.cluster.AntiAffinityRuleSpec(name="apart", enabled=True, vm=vms)
    spec = vim.cluster.ConfigSpecEx(rulesSpec=[vim.cluster.RuleSpec(operation="add", info=rule)])
    succeed(client.find("/DC0/host/DC0_C0").ReconfigureComputeResource_Task(spec, True))
    succeed(vms[1].Destroy_Task())
    assert vcenter.clusters()["DC0_C0"]["rules"] == [
        {"name": "apart", "kind": "anti-affinity", "enabled": True, "mandatory": False, "vms": ["apart-1"]}
    ]


@pytest.fixture
def rest(vcenter: Simulator) -> Callable[..., tuple[int, Any]]:
    """A function that calls the REST API, logged in: status and what it answers."""
    pool = urllib3.HTTPSConnectionPool(vcenter.host, vcenter.port, ca_certs=str(vcenter.ca_file), retries=False)

    def call(method: str, path: str, body: Any = None, user: str = vcenter.username, **headers: str) -> tuple[int, Any]:
        basic = urllib3.make_headers(basic_auth=f"{user}:{vcenter.password}") if path == "session" else {}
        content = None if body is None else json.dumps(body).encode()
        answer = pool.urlopen(method, f"/rest/com/vmware/cis/{path}", content, {**basic, **headers})
        return answer.status, json.loads(answer.data)

    key = call("POST", "session")[1]["value"]
    return partial(call, **{"vmware-api-session-id": key})


def test_the_rest_api_has_sessions_of_its_own(rest: Callable[..., tuple[int, Any]], vcenter: Simulator) -> None:
    assert rest("GET", "tagging/category", **{"vmware-api-session-id": "none"})[0] == 401
    assert rest("POST", "session", user="nobody")[0] == 401
    assert rest("GET", "tagging/category")[0] == 200
    vcenter.expire_sessions()
    status, answer = rest("GET", "tagging/category")
    assert (status, answer["type"]) == (401, "com.vmware.vapi.std.errors.unauthenticated")


def test_a_tag_is_attached_where_its_category_lets_it(rest: Callable[..., tuple[int, Any]], vcenter: Simulator) -> None:
    named = {}
    for kind in ("category", "tag"):
        documents = [
            rest("GET", f"tagging/{kind}/id:{item}")[1]["value"] for item in rest("GET", f"tagging/{kind}")[1]["value"]
        ]
        named |= {it["name"]: it["id"] for it in documents}
    machine, gone = {"type": "VirtualMachine", "id": vcenter.vm("foreign")["id"]}, {"type": "VirtualMachine", "id": "vm-0"}

    def change(tag: str, *objects: Any, verb: str = "attach", way: str = "to") -> tuple[int, list[str]]:
        path = f"tagging/tag-association/id:{named[tag]}?~action={verb}-tag-{way}-multiple-objects"
        status, answer = rest("POST", path, {"object_ids": objects})
        told = answer["value"]["error_messages"]
        assert answer["value"]["success"] is not bool(told)
        return status, [one["default_message"] for one in told]

    assert change("one", machine, gone) == (200, ["Tagging object VirtualMachine:vm-0 not found"])
    assert change("one", machine) == (200, [])
    assert change("other", machine) == (200, ["Tagging cardinality violation"])
    assert change("rack", machine) == (200, ["Tags of category racks are not for VirtualMachine"])
    assert vcenter.vm("foreign")["tags"] == ["single/one"]
    assert change("one", machine, verb="detach", way="from") == (200, [])
    assert change("other", machine) == (200, [])
    assert vcenter.vm("foreign")["tags"] == ["single/other"]
    assert rest("GET", "tagging/tag/id:none")[0] == 404


def test_calls_are_counted(client: Client, vcenter: Simulator) -> None:
    vcenter.reset_counts()
    client.find("/DC0/vm")
    assert vcenter.counts() == {"FindByInventoryPath": 1}


def test_it_ends_with_the_program_that_started_it() -> None:
    with Simulator() as vcenter:
        assert vcenter._process.stdin is not None
        vcenter._process.stdin.close()
        assert vcenter._process.wait(60) == 0


def test_its_sources_are_formatted_and_vetted() -> None:
    assert subprocess.run(["gofmt", "-l", "."], cwd=SOURCES, capture_output=True, check=True).stdout == b""
    subprocess.run(["go", "vet", "."], cwd=SOURCES, env=build_environment(), check=True)
