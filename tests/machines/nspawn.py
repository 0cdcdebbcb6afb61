"""A host: a whole systemd on a disk of its own, in a network of its own, booted by cloud-init from a seed.

    host = Host("m-prod-1", tmp_path, image(), network.link("m-prod-1", "10.77.0.11"))
    host.insert_seed(boot.instance_id, boot.user_data)
    host.start()
    host.wait_until_booted()

It is to a test what a virtual machine is to a hypervisor: it can be powered on and off, cut off, and read from outside.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from machines.image import BOOKWORM, Image
from machines.network import GATEWAY6, INTERFACE, Link
from servers.process import ServerProcess

HERE = Path(__file__).parent
CHANNEL = "/media/channel"
"""Where a host sees the folder that it shares with whoever runs it."""
RESULT = "run/cloud-init/result.json"
BOOT_LIMIT = 90.0
STOP_LIMIT = 150.0
"""Seconds for going down: systemd gives everything 90, which an API server that waits for its etcd takes."""
CLEAN_LIMIT = 60.0
ENVIRONMENT = (
    "env",
    "-i",
    "HOME=/root",
    "LC_ALL=C.UTF-8",
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
)


class Host:
    """Off until it is started. `folder` holds its disk, and is the host's alone."""

    def __init__(self, name: str, folder: Path, image: Image, link: Link) -> None:
        self.name = name
        self.folder = folder / f"{name}-{secrets.token_hex(4)}"
        self.image = image
        self.link = link
        self.boots = 0
        """How often it was powered on."""
        for part in ("disk/upper", "disk/work", "disk/containerd", "disk/kubelet", "root", "seed", "channel"):
            (self.folder / part).mkdir(parents=True)
        self._process: ServerProcess | None = None

    @property
    def address(self) -> str:
        return self.link.address

    # --- from outside: power, media, cable ------------------------------------------------------------------------------

    def insert_seed(self, instance_id: str, user_data: str) -> None:
        """What a target delivers; may be done while the host is on."""
        interface = {
            "match": {"macaddress": self.link.mac},
            "set-name": INTERFACE,
            "addresses": [f"{self.link.address}/24", *([f"{self.link.ipv6}/64"] if self.link.ipv6 else [])],
            "routes": [
                {"to": "0.0.0.0/0", "via": self.link.gateway},
                *([{"to": "::/0", "via": GATEWAY6}] if self.link.ipv6 else []),
            ],
        }
        network = {"version": 2, "ethernets": {INTERFACE: interface}}
        metadata = {"instance-id": instance_id, "local-hostname": self.name}
        if self.image.release == BOOKWORM:  # its cloud-init finds no network-config in such a seed
            lines = (f"auto {INTERFACE}", f"iface {INTERFACE} inet static", f"address {self.link.address}/24")
            metadata["network-interfaces"] = "\n".join([*lines, f"gateway {self.link.gateway}", ""])
            if self.link.ipv6:  # and takes one family of an interface alone
                drop_in = self._own_file(f"etc/systemd/network/10-cloud-init-{INTERFACE}.network.d/ipv6.conf")
                drop_in.write_text(f"[Network]\nAddress={self.link.ipv6}/64\nGateway={GATEWAY6}\n")
        for name, content in (("meta-data", metadata), ("network-config", network)):
            (self.folder / "seed" / name).write_text(json.dumps(content))
        self.replace_user_data(user_data)

    def replace_user_data(self, user_data: str) -> None:
        """The rest of the seed stays, so that the host's next boot is no first one."""
        (self.folder / "seed/user-data").write_text(user_data)

    @property
    def user_data(self) -> str:
        """What the seed holds now."""
        return (self.folder / "seed/user-data").read_text()

    def install(self, path: str, program: str) -> None:
        """Have its template bring a program."""
        file = self._own_file(path)
        file.write_text(program)
        file.chmod(0o755)

    def _own_file(self, path: str) -> Path:
        file = self.folder / "disk/upper" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        return file

    def start(self) -> None:
        """Power it on. By a thread that lives as long as the host is to: it is ended with the thread that started it."""
        command = [
            *("nsenter", f"--net={self.link.namespace}"),
            *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
            *("sh", str(HERE / "launch.sh"), str(self.folder), self.image.lower, self.name),
        ]
        self.boots += 1
        self._process = ServerProcess(command, self.folder / "console")

    @property
    def on(self) -> bool:
        return self._process is not None and self._process.process.poll() is None

    def kill(self) -> None:
        """Pull the plug."""
        if self._process is not None:
            self._fall_silent()
            self._process.kill()
        self._clean()

    def stop(self) -> None:
        """Press the power button, and wait."""
        init = self._init()
        if init and self._process:
            os.kill(init, signal.SIGRTMIN + 4)  # systemd's own signal for it
            with suppress(subprocess.TimeoutExpired):
                self._process.process.wait(STOP_LIMIT)
        self.kill()

    def reboot(self) -> None:
        """Have the host reboot itself; it keeps its disk. Returns when it is going down."""
        before = self._init()
        self.run("systemctl", "reboot")
        self._until(lambda: self._init() != before, STOP_LIMIT, "goes down")

    def destroy(self) -> None:
        """Off, and its disk is gone."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- what it tells ------------------------------------------------------------------------------------------------

    def read_channel(self, name: str) -> Any:
        """The JSON document of that name in the folder that is shared; None if there is none."""
        try:
            return json.loads((self.folder / "channel" / name).read_text())
        except FileNotFoundError:
            return None

    def wait_until_booted(self, limit: float = BOOT_LIMIT) -> dict[str, Any]:
        """Wait until cloud-init has finished; its own account of it. What it starts may still run."""
        self._until(lambda: self._booted() is not None, limit, "boots")
        return self._booted() or {}

    def _booted(self) -> dict[str, Any] | None:
        init = self._init()
        with suppress(OSError, ValueError):
            found: dict[str, Any] = json.loads(Path(f"/proc/{init}/root/{RESULT}").read_text())
            return found
        return None

    # --- inside -------------------------------------------------------------------------------------------------------

    def run(self, *command: str, timeout: float = 60.0, check: bool = True, text: str | None = None) -> str:
        """Run a command on the host as root; its output. Raises `RuntimeError` with what it said if it fails."""
        done = subprocess.run(
            self.entering(*command), input=text, capture_output=True, text=True, timeout=timeout, check=False
        )
        if check and done.returncode != 0:
            raise RuntimeError(f"{self.name}: {' '.join(command)}: {done.returncode}: {done.stderr.strip()} {done.stdout}")
        return done.stdout

    def entering(self, *command: str) -> list[str]:
        """The command line that runs a command on the host. Raises `RuntimeError` if it is off."""
        init = self._init()
        if init is None:
            raise RuntimeError(f"{self.name} is off")
        spaces = ("--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd")
        return ["nsenter", f"--target={init}", *spaces, *ENVIRONMENT, *command]

    def signal(self, name: str, program: str) -> None:
        """Send a signal to every process of that program."""
        self.run("pkill", "--signal", name, "--full", rf"^(/\S*/)?{program} ")

    def succeeds(self, *command: str, timeout: float = 60.0) -> bool:
        with suppress(RuntimeError, subprocess.TimeoutExpired):
            self.run(*command, timeout=timeout)
            return True
        return False

    def path(self, inside: str) -> Path:
        """What the host has there, seen from outside; also its sockets. Raises `RuntimeError` if it is off."""
        init = self._init()
        if init is None:
            raise RuntimeError(f"{self.name} is off")
        return Path(f"/proc/{init}/root{inside}")

    def write(self, path: str, text: str) -> None:
        self.run("sh", "-c", 'mkdir -p "$(dirname "$1")" && cat >"$1"', "sh", path, text=text)

    def journal(self, *arguments: str, lines: int = 60) -> str:
        """The end of its journal, of all its boots; also while it is off."""
        folder = self.folder / "disk/upper/var/log/journal"
        command = ["journalctl", f"--directory={folder}", "--no-pager", f"--lines={lines}", "--output=short-precise"]
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=60, check=False)
        return done.stdout or done.stderr

    def _init(self) -> int | None:
        """The machine's id of the host's first process."""
        if not self.on or self._process is None:
            return None
        for pid in _descendants(self._process.pid):
            with suppress(OSError):
                numbers = next(
                    line.split()[1:] for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line[:6] == "NSpid:"
                )
                # Ours, the launcher's namespace's, the host's own: its first process has number 1 there.
                if len(numbers) >= 3 and numbers[-1] == "1" and numbers[-2] != "1":
                    return pid
        return None

    def _until(self, condition: Callable[[], bool], limit: float, what: str) -> None:
        deadline = time.monotonic() + limit
        while not condition():
            if time.monotonic() > deadline or not self.on:
                console = (self.folder / "console").read_text(errors="replace")[-1500:]
                raise TimeoutError(f"{self.name} {what} not within {limit:.0f} s:\n{console}\n{self.journal()}")
            time.sleep(0.1)

    def _fall_silent(self) -> None:
        """A machine without power answers nobody; its network's namespace would go on to refuse connections."""
        command = ["nsenter", f"--net={self.link.namespace}", "ip", "link", "set", INTERFACE, "down"]
        subprocess.run(command, capture_output=True, timeout=20, check=False)

    def _clean(self) -> None:
        command = ["unshare", "--mount", "sh", str(HERE / "clean.sh"), str(self.folder)]
        subprocess.run(command, capture_output=True, timeout=CLEAN_LIMIT, check=False)


def _descendants(pid: int) -> Iterator[int]:
    with suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            yield int(child)
            yield from _descendants(int(child))
