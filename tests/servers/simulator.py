"""The vCenter simulator: built when its sources have changed, started for a test, looked into through its admin port.

    with Simulator(clone_time=0.2, guests=[Guest("consul-*", addresses=["127.0.9.1"]), Guest()]) as vcenter:
        ...  # vcenter.host, vcenter.port, vcenter.username, vcenter.password, vcenter.ca_file, vcenter.thumbprint
        vcenter.fail("CloneVM_Task", "w-prod-2", "InsufficientResourcesFault")
        assert vcenter.counts()["CloneVM_Task"] == 6

Its inventory has the names of VMware's own simulator: datacenter `DC0`, cluster `DC0_C0`, hosts `DC0_C0_H0` …, pools
`Resources` and `DC0_C0_RP1`, datastores `LocalDS_0` …, networks `VM Network` and `DC0_DVPG0`, folders below `/DC0/vm`.
"""

from __future__ import annotations

import hashlib
import json
import os
import select
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from servers.cache import locked
from servers.certificates import issue_certificate
from servers.debian import install

SOURCES = Path(__file__).parent.parent / "simulator"
STATUS_KEY = "guestinfo.kube-provision.status"
"""Where a node publishes its stage; `FINISHED` is what a node that is done has written there."""
FINISHED = json.dumps({"stage": "finish", "state": "done", "error": ""})


@dataclass(frozen=True)
class Template:
    """A template, by its path below the vm folder. Two paths may end in one name."""

    path: str = "ubuntu-24.04"
    cpu: int = 1
    memory_mib: int = 1024
    disk_gib: int = 10
    network: str = "VM Network"
    """Of its network card; empty: it has none."""
    mac_address: str = ""
    """Of its network card, chosen by hand, which clones inherit; empty: each has its own."""
    snapshot: str = "base"
    """Its current snapshot; empty: it has none."""
    earlier_snapshots: Sequence[str] = ()
    datacenter: str = ""
    """Empty: the first one."""
    version: str = "vmx-19"
    """Of its virtual hardware."""
    firmware: str = "bios"


@dataclass(frozen=True)
class Machine:
    """A machine that somebody else has made. `power_on`: it runs."""

    path: str
    power_on: bool = False
    extra_config: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Guest:
    """What happens inside of machines whose name fits the shell pattern. The first rule that fits is a machine's.

    `addresses` are those of its first network card; without any it gets the next free one of `network`; without that
    it never gets one. The guest tools report link-local addresses and a container bridge as well. `publishes` is
    extraConfig that the guest sets itself, some time after it has its address. Delays in seconds.
    """

    name: str = "*"
    addresses: Sequence[str] = ()
    network: str = "127.64.0.0/16"
    address_delay: float = 0.1
    publishes: Mapping[str, str] = field(default_factory=dict)
    publish_delay: float = 0.1
    others: Sequence[str] = ()
    """Of its further cards, one each."""
    before: Sequence[str] = ()
    """Further addresses, which it has from the start."""
    disconnected: bool = False
    """Its first card's cable is pulled."""


NEVER_AN_ADDRESS = {"addresses": (), "network": ""}
"""`Guest("w-*", **NEVER_AN_ADDRESS)`: powered on, and no address ever."""


@dataclass(frozen=True)
class Category:
    """A category of tags. `single`: a machine bears one of them at most. `types` of things that may bear them; none: all."""

    name: str
    tags: Sequence[str] = ()
    single: bool = False
    types: Sequence[str] = ()


@dataclass(frozen=True)
class LibraryItem:
    """An item of a content library. `eula`: it has a licence that must be accepted. `number`: of several libraries of that
    name."""

    library: str
    name: str
    type: str = "ovf"
    disk_gib: int = 10
    eula: bool = False
    number: int = 1


@dataclass(frozen=True)
class Inventory:
    """How many of each there are: clusters and portgroups per datacenter, hosts and pools per cluster."""

    datacenters: int = 1
    clusters: int = 1
    hosts: int = 3
    pools: int = 1
    datastores: int = 1
    portgroups: int = 1
    drs: bool = True
    """It chooses hosts; without it a clone must name one."""
    datastore_cluster: str = ""
    """Name of a datastore cluster that holds all datastores."""
    vm_groups: Sequence[str] = ()
    """Names of DRS groups of machines, empty ones, of every cluster."""
    switches: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Further distributed switches with their port groups. Names that begin with `NSX-` may be there twice."""
    opaque: Sequence[str] = ()
    """Names of networks that are another maker's."""
    vapps: Sequence[str] = ()
    """Names of vApps, of the first cluster."""
    takes_files_literally: bool = False
    """A clone whose specification edits a disk gets the file that is named there, the template's, as no vCenter does."""
    policies: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Storage policies, each with the names of datastores that satisfy it; `vSAN Default Storage Policy` is there too, and
    satisfied by all."""
    alone: Mapping[str, str] = field(default_factory=dict)
    """Names, or ids, of datastores and networks that one cluster alone reaches, with its name; empty: none does."""
    tags: Sequence[Category] = ()
    items: Sequence[LibraryItem] = ()
    """Of content libraries."""
    upload_to: str = ""
    """Where disks of an import go; empty: vCenter itself; `host`: a host whose certificate nobody has signed; `impostor`:
    one that presents another certificate than vCenter names."""


class Simulator:
    """A vCenter on loopback, from `with` to its end. Times in seconds.

    `denied`: patterns of privileges that the account lacks. `clone_ignores`: parts of a clone's specification that the
    server leaves undone: "size", "power", "instance" (it gives the clone an identity of its own choice). `upload_time`: from
    the last byte of an import's disk to the answer. `lease_timeout`: after which an import ends of which nothing is heard.
    """

    username = "administrator@vsphere.local"
    password = "s3cret <&> pass"
    datacenter = "DC0"
    cluster = "DC0_C0"
    datastore = "LocalDS_0"
    network = "VM Network"
    portgroup = "DC0_DVPG0"

    def __init__(
        self,
        *,
        templates: Sequence[Template] = (Template(),),
        machines: Sequence[Machine] = (),
        guests: Sequence[Guest] = (Guest(),),
        folders: Sequence[str] = (),
        inventory: Inventory = Inventory(),
        call_delay: float = 0.0,
        clone_time: float = 0.05,
        task_time: float = 0.02,
        upload_time: float = 0.0,
        lease_timeout: int = 300,
        session_timeout: float = 0.0,
        page_size: int = 0,
        denied: Sequence[str] = (),
        clone_ignores: Sequence[str] = (),
        listen: str = "127.0.0.1:0",
    ) -> None:
        self._config: dict[str, Any] = asdict(inventory) | {
            "templates": [asdict(template) for template in templates],
            "machines": [asdict(machine) for machine in machines],
            "guests": [asdict(guest) for guest in guests],
            "folders": list(folders),
            "call_delay": call_delay,
            "clone_time": clone_time,
            "task_time": task_time,
            "upload_time": upload_time,
            "lease_timeout": lease_timeout,
            "session_timeout": session_timeout,
            "page_size": page_size,
            "denied": list(denied),
            "clone_ignores": list(clone_ignores),
            "listen": listen,
            "username": self.username,
            "password": self.password,
        }
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def __enter__(self) -> Self:
        program = build()
        self._folder = Path(tempfile.mkdtemp(prefix="simulator-"))
        try:
            self._start(program)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def _start(self, program: Path) -> None:
        tls = issue_certificate(self._folder)
        self.ca_file, self.thumbprint = tls.ca_file, tls.thumbprint
        self._errors = self._folder / "errors.log"
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                [program],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={"TMPDIR": str(self._folder), "PATH": os.environ["PATH"]},
                start_new_session=True,  # Ctrl-C in a terminal is for the test, not for its servers
            )
        files = {"certificate": str(tls.certificate), "key": str(tls.key)}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(self._config | files).encode() + b"\n")
        self._process.stdin.flush()
        ready = self._read_ready(60.0)
        self.url: str = ready["url"]
        self.pid: int = ready["pid"]
        self._admin: str = ready["admin"]
        self.host, self.port = urlsplit(self.url).hostname or "", urlsplit(self.url).port or 0

    def _read_ready(self, timeout: float) -> dict[str, Any]:
        output = self._process.stdout
        assert output is not None
        line = output.readline() if select.select([output], [], [], timeout)[0] else b""
        if not line:
            raise RuntimeError(f"the simulator does not start: {self.errors()}")
        ready: dict[str, Any] = json.loads(line)
        return ready

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if hasattr(self, "_process"):
            self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def address(self) -> str:
        """`host:port`, as `vcenter_hostname` takes it."""
        return f"{self.host}:{self.port}"

    @property
    def keys(self) -> dict[str, str]:
        """What a configuration says of machines that are made here, but for the password."""
        return {
            "target": "vsphere",
            "vcenter_hostname": self.address,
            "vcenter_username": self.username,
            "vcenter_ca_file": str(self.ca_file),
            "datacenter": self.datacenter,
            "cluster": self.cluster,
            "datastore": self.datastore,
            "network": self.network,
            "template": "ubuntu-24.04",
        }

    def kill(self) -> None:
        """End the server at once, as a crash would. Idempotent."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(60)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def errors(self) -> str:
        """What the server wrote to stderr: crashes of the library. Empty when all is well."""
        return self._errors.read_text(errors="replace")

    # --- looking behind the scenes ---------------------------------------------------------------------------------

    def counts(self) -> dict[str, int]:
        """Calls of the API so far, by method; of the REST API by VMware's names, such as `Tag.list`."""
        counts: dict[str, int] = self._ask("/counts")
        return counts

    def reset_counts(self) -> None:
        self._ask("/reset", {})

    def vms(self) -> dict[str, dict[str, Any]]:
        """Every machine and template, by inventory path; `tests/simulator/dump.go` names the fields."""
        return {vm["path"]: vm for vm in self._ask("/vms")}

    def vm(self, name: str) -> dict[str, Any]:
        """The one machine of that name. Raises `LookupError` if there is none, or more than one."""
        found = [vm for vm in self.vms().values() if vm["name"] == name]
        if len(found) != 1:
            raise LookupError(f"{len(found)} machines are called {name}")
        return found[0]

    def machine_names(self) -> list[str]:
        """Names of all machines that are no templates, sorted."""
        return sorted(vm["name"] for vm in self.vms().values() if not vm["template"])

    def clusters(self) -> dict[str, dict[str, Any]]:
        """DRS rules (`rules`: name, kind, enabled, vms) and groups (`groups`: name → vms) by cluster name."""
        return {cluster["name"]: cluster for cluster in self._ask("/clusters")}

    def sessions(self) -> int:
        """Sessions that are logged in, of both APIs."""
        count: int = self._ask("/sessions")
        return count

    def expire_sessions(self) -> None:
        """End every session, as an idle timeout would."""
        self._ask("/expire-sessions", {})

    def fail(
        self,
        method: str,
        name: str = "*",
        fault: str = "InsufficientResourcesFault",
        *,
        fields: Mapping[str, Any] | None = None,
        message: str = "",
        when: str | None = None,
        times: int = 0,
    ) -> None:
        """Let `method` fail for machines (or other objects) whose name fits the pattern, `times` times; 0: always.

        `when`: "call" answers the call with the fault, "task" lets its task fail. By default permissions and logins fail
        in the call and all else in the task, where the method has one.
        """
        if when is None:
            in_call = fault in ("NoPermission", "NotAuthenticated", "InvalidLogin") or not method.endswith("_Task")
            when = "call" if in_call else "task"
        if when == "task" and method == "ReconfigureComputeResource_Task":
            when = "call"  # the library's own, whose task is over at once
        rule = {"method": method, "name": name, "fault": fault, "message": message, "when": when, "times": times}
        self._ask("/faults", rule | ({"fields": dict(fields)} if fields else {}))

    def trouble(self, kind: str, method: str = "*", name: str = "*", *, times: int = 1) -> None:
        """Let calls go wrong on their way: `503`, `reset` (vCenter never hears of it), `lost` (the connection breaks before
        the answer comes), `garbage` (an answer that nobody can read), `nothing` (an empty one). `times` 0: always."""
        self._ask("/faults", {"method": method, "name": name, "fault": kind, "when": "wire", "times": times})

    def heal(self) -> None:
        """Forget every `fail`."""
        self._ask("/faults", method="DELETE")

    def set_guests(self, *guests: Guest) -> None:
        """Replace the rules for machines that are powered on from now on."""
        self._ask("/guests", [asdict(guest) for guest in guests])

    def publish(self, name: str, extra_config: Mapping[str, str]) -> None:
        """Set extraConfig of a machine as its guest, or somebody else, would. An empty value deletes a key."""
        self._ask("/extra-config", {"path": name, "extra_config": dict(extra_config)})

    def create(self, machine: Machine) -> None:
        """Make a machine as somebody else would."""
        self._ask("/machines", asdict(machine))

    def copy(self, name: str, path: str, *, linked: bool = False) -> None:
        """Clone a machine as somebody else would; `linked`: below its current snapshot. The copy is off."""
        self._ask("/copy", {"machine": name, "path": path, "linked": linked})

    def attach(self, name: str, file: str = "[LocalDS_0] fcd/volume.vmdk", *, first_class: bool = True) -> str:
        """Attach a disk to a machine as somebody else would: a storage driver (`first_class`), or a person. It is made if it
        is not there. Its file."""
        self._ask("/attach", {"machine": name, "file": file, "first_class": first_class})
        return file

    def disks(self) -> list[str]:
        """Files of all disks that exist, attached or not."""
        found: list[str] = self._ask("/disks")
        return found

    def take_snapshot(self, name: str) -> None:
        """As a backup program does."""
        self._ask("/snapshot", {"path": name})

    def destroy(self, name: str) -> None:
        """Remove a machine as somebody else would."""
        self._ask("/destroy", {"path": name})

    def _ask(self, path: str, body: Any = None, method: str | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._admin + path, data=data, method=method)
        try:
            with self._opener.open(request, timeout=120) as response:
                return json.load(response)
        except urllib.error.HTTPError as refusal:
            raise ValueError(refusal.read().decode()) from refusal


def build() -> Path:
    """The simulator program, built once for each state of its sources; about a minute the first time."""
    install("golang-go", "golang-github-vmware-govmomi-dev")
    digest = hashlib.sha256()
    for source in sorted(SOURCES.glob("*.go")):
        digest.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    name = f"simulator-{digest.hexdigest()[:16]}"
    with locked("simulator") as cache:
        program = cache / name
        if not program.exists():
            _compile(program)
    return program


def build_environment() -> dict[str, str]:
    """For the `go` command: only libraries from Debian, nothing from the network."""
    return os.environ | {"GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOFLAGS": "", "CGO_ENABLED": "0"}


def _compile(program: Path) -> None:
    unfinished = program.with_suffix(".new")
    command = ["go", "build", "-o", str(unfinished), "."]
    done = subprocess.run(
        command, cwd=SOURCES, env=build_environment(), capture_output=True, text=True, timeout=900, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"the simulator does not build:\n{done.stderr}")
    unfinished.replace(program)
