"""A cluster on one machine: an operator who has QEMU and a baked template, and no way to the internet.

with Home(tmp_path, baked_template()) as home:
    run = home.run("provision", "--wait")
    home.ssh("m-home-1", "cat /etc/hostname")
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from machines.images import served_archive
from machines.lab import Run
from machines.network import Network
from machines.template import BakedTemplate
from servers.debian import install
from servers.provisioned_consul import ask
from servers.qemu import end_processes

from kube_provision_core.folder.store import Folder
from kube_provision_qemu import files, qmp

PROGRAM = Path(sys.executable).with_name("kube-provision")
RUN_LIMIT = 2100.0
NAME = "home"
USER = "ann"
SSH, CONSUL = 22, 8501
IMAGE = "site.example/app:1"
DATA_VOLUMES = (
    {"size": 1, "mount": "/var/lib/etcd"},
    {"size": 1, "mount": "/srv/data"},
    {"size": 2, "mount": "/srv/fast", "format": "xfs"},
)
SWAP_GIB = 1
_SSH_OPTIONS = (
    *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"),
    *("-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "ConnectTimeout=60"),
    # A login takes seconds of an emulated processor, so later ones go through the first one's connection.
    *("-o", "ControlMaster=auto", "-o", "ControlPersist=120"),
)


class Home:
    """Open while the context is: it and all its machines then stand in a network of their own that leads nowhere."""

    def __init__(self, folder: Path, template: BakedTemplate) -> None:
        self.folder, self.template = folder, template
        self._stack = ExitStack()
        self.archive, self.served = "", list[str]()
        """An archive with one image that the template lacks, and what was asked for of its server."""
        self._sockets = ""
        self._reach: dict[str, dict[int, str]] = {}

    def __enter__(self) -> Self:
        install("openssh-client")
        key = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", USER, "-f", str(self._key))
        subprocess.run(key, check=True, timeout=20)
        with ExitStack() as stack:
            self._sockets = stack.enter_context(tempfile.TemporaryDirectory(prefix="ssh-", dir="/tmp"))
            stack.enter_context(Network())
            self.archive, self.served = stack.enter_context(served_archive(self.folder, [IMAGE]))
            stack.callback(end_processes, self.vm_dir)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    # --- the program --------------------------------------------------------------------------------------------------

    @property
    def config(self) -> Path:
        """What this operator adds to the configuration that the template was baked with."""
        path = self.folder / "config.yml"
        users = [{"name": USER, "ssh_keys": [self._key.with_suffix(".pub").read_text().strip()]}]
        roles = {
            "masters": {
                "count": 1,
                "mem": 2,
                "networks": _networks("10.9.0.11"),
                "data_volumes": DATA_VOLUMES,
                "swap": SWAP_GIB,
            },
            "workers": {"count": 0},
            # Its card on the cluster's own wire is the second one.
            "consul": {"mem": 1, "networks": sorted(_networks("10.9.0.10"), key=lambda card: card["role"] != "storage")},
        }
        quick = {"ssh_genkeytypes": ["ed25519"]}  # an RSA key takes a minute of an emulated processor
        keys = {
            "name": NAME,
            "vm_dir": str(self.vm_dir),
            "users": users,
            "cloud_init": quick,
            "image_archives": self.archive,
        }
        path.write_text(json.dumps(keys | roles))
        return path

    def run(self, command: str, *arguments: str) -> Run:
        options = [*self.template.options, "--config", str(self.config), "--state", str(self.state)]
        line = [str(PROGRAM), command, *options, *arguments]
        done = subprocess.run(
            line,
            env=os.environ | {"NO_COLOR": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=RUN_LIMIT,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Run(done.returncode, done.stdout, done.stderr)

    def status(self) -> dict[str, dict[str, Any]]:
        """What the program says of each machine."""
        nodes = self.run("status", "--output", "json").data["nodes"]
        return {node["name"]: node for node in nodes}

    # --- places -------------------------------------------------------------------------------------------------------

    @property
    def vm_dir(self) -> Path:
        return self.folder / "vms"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def _key(self) -> Path:
        return self.folder / "id"

    @property
    def secrets(self) -> Folder:
        found = Folder.open(self.state, NAME)
        assert found
        return found

    def machine(self, name: str) -> Path:
        """The machine's folder."""
        return self.vm_dir / "machines" / name

    def console(self, name: str) -> str:
        """The end of what a machine said on its serial port."""
        log = self.machine(name) / "console.log"
        return f"{name}:\n{log.read_text(errors='replace')[-800:]}\n" if log.exists() else ""

    # --- machines -----------------------------------------------------------------------------------------------------

    def reach(self, name: str, port: int) -> str:
        """Where this host reaches a machine's port, as `status` says it: `127.0.0.1:20123`. It stays the same."""
        if name not in self._reach:
            told = self.status()[name]["reach"]
            self._reach[name] = {at["port"]: f"{at['host']}:{at['host_port']}" for at in told}
        return self._reach[name][port]

    def ssh(self, name: str, command: str, given: str = "", *, limit: float = 180.0) -> str:
        """What a shell command of root's prints on a machine; `given` on its stdin."""
        host, _, port = self.reach(name, SSH).partition(":")
        line = [
            "ssh",
            *_SSH_OPTIONS,
            "-i",
            str(self._key),
            "-p",
            port,
            f"{USER}@{host}",
            f"sudo sh -c {shlex.quote(command)}",
        ]
        done = subprocess.run(line, input=given, capture_output=True, text=True, timeout=limit, check=False)
        assert done.returncode == 0, f"{name}: {command}: {done.returncode}: {done.stderr}"
        return done.stdout

    def consul(self, path: str) -> Any:
        """What the discovery machine's Consul answers this host; None where it does not."""
        host, _, port = self.reach(f"consul-{NAME}", CONSUL).partition(":")
        return ask(self.secrets, host, "GET", f"/v1/{path}", port=int(port))

    def power_off(self, *names: str, limit: float = 120.0) -> None:
        """Press the power buttons of machines, all at once."""
        for name in names:
            with qmp.session(self.machine(name) / "qmp.sock") as session:
                session.execute("system_powerdown")
        deadline = time.monotonic() + limit
        while running := [name for name in names if files.holder(self.machine(name) / "pid") is not None]:
            assert time.monotonic() < deadline, f"{running} still run after {limit:.0f} s"
            time.sleep(0.2)


def _networks(storage: str) -> list[dict[str, Any]]:
    """Three cards: on the cluster's own wire, on one that carries large packets, and one without an address."""
    san = {"name": "san", "role": "storage", "static_ip": {"addresses": [f"{storage}/24"]}, "mtu": 9000}
    return [{"name": "cluster", "role": "node", "mtu": 1400}, san, {"name": "pods", "role": "none"}]
