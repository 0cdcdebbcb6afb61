"""A real Consul on a loopback address of its own.

    with ConsulServer("127.0.9.1") as consul:
        consul.request("PUT", "/v1/kv/a", b"1")

Debian 12 and later have no Consul; Debian 11's runs there. It comes from the mirror that this machine already uses.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from servers.cache import locked
from servers.debian import mirrors
from servers.process import ServerProcess

from kube_provision_consul import layout
from kube_provision_consul.node.closed import closed_configuration, tls_files
from kube_provision_consul.node.server import server_configuration
from kube_provision_consul.seed import Seed

RELEASE = "bullseye"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
HTTP_PORT = 8500
VERSION = (1, 8)
"""Of the Consul that tests run."""


class ConsulServer:
    """One server that is its own leader, with every port on `address`. Started by `with`, or by `start` and `close`.

    `encrypt` is a gossip key (base64). `join` makes it join others instead of leading; `server=False` makes it an agent.
    `seed`: a server that is closed, as the one that is provisioned for the cluster with that seed; `closing`: or on the way
    there.
    """

    def __init__(
        self,
        address: str,
        *,
        encrypt: str = "",
        join: Sequence[str] = (),
        server: bool = True,
        name: str = "",
        seed: str = "",
        closing: bool = False,
    ) -> None:
        self.address = address
        self._seed = Seed(seed) if seed else None
        self._closing = closing
        self.url = f"http://{address}:{HTTP_PORT}"
        self._config = {
            "node_name": name or f"consul-{address.replace('.', '-')}",
            "bind_addr": address,
            "client_addr": address,
            "server": server,
            "retry_join": list(join),
            "performance": {"raft_multiplier": 1},
            "disable_update_check": True,
            "log_level": "warn",
        }
        if encrypt:
            self._config["encrypt"] = encrypt
        if server and not join:
            self._config["bootstrap_expect"] = 1
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self._process: ServerProcess | None = None
        self._folder: Path | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def start(self) -> None:
        """Start it, or start it again on its old data, and wait until it has a leader."""
        program = consul_binary()
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="consul-"))
        config = self._folder / "config.json"
        config.write_text(json.dumps(self._config | self._closed() | {"data_dir": str(self._folder / "data")}))
        environment = {"PATH": os.environ["PATH"], "GOMAXPROCS": "1"}
        command = [str(program), "agent", f"-config-file={config}"]
        self._process = ServerProcess(command, self._folder / "log", environment)
        self._process.wait_until(self._ready)

    def _closed(self) -> dict[str, Any]:
        if self._seed is None or self._folder is None:
            return {}
        own = self._seed.certificate(layout.server_name("dc1"), server=True)
        identity = asdict(own) | {"token": self._seed.management, "closing": self._closing}
        return closed_parts(identity, self._folder, self.address)

    def stop(self) -> None:
        """End it at once and keep its data, as a power cut would. Idempotent."""
        if self._process is not None:
            self._process.kill()

    def wipe(self) -> None:
        """Forget everything; call it while stopped. The next start is that of an empty, re-created server."""
        if self._folder is not None:
            shutil.rmtree(self._folder / "data", ignore_errors=True)

    def close(self) -> None:
        self.stop()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def request(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """One call of the HTTP API, as the administrator. Raises `urllib.error.HTTPError` for what is no success."""
        headers = {"X-Consul-Token": self._seed.management} if self._seed else {}
        request = urllib.request.Request(self.url + path, data=body, headers=headers, method=method)
        with self._opener.open(request, timeout=60) as response:
            answer: bytes = response.read()
        return answer

    def _ready(self) -> bool:
        """With a leader, and its catalog knows its own health, so that sessions can be made."""
        try:
            leader: str = json.loads(self.request("GET", "/v1/status/leader"))
            checks = self.request("GET", f"/v1/health/node/{self._config['node_name']}?consistent")
            if self._seed:
                self.request("GET", "/v1/acl/policies")  # ACLs begin some seconds later
        except OSError:
            return False
        return bool(leader) and b'"passing"' in checks


def closed_parts(identity: Mapping[str, Any], folder: Path, server: str) -> dict[str, Any]:
    """What the machine itself adds to its agent's configuration."""
    contents = tls_files(identity)
    files = {name: folder / f"{name}.pem" for name in contents}
    folder.mkdir(parents=True, exist_ok=True)
    for name, file in files.items():
        file.write_text(contents[name])
    told = closed_configuration(identity, files, VERSION)
    if not server:
        return told
    more = server_configuration(server, identity["token"], VERSION, closing=identity.get("closing", False))
    acl = told["acl"] | more["acl"] | {"tokens": told["acl"]["tokens"] | more["acl"]["tokens"]}
    return told | more | {"acl": acl}


def consul_binary() -> Path:
    """The Consul program, fetched once. Raises `RuntimeError` where there is no apt, or no mirror that has it."""
    with locked("consul") as cache:
        folder = cache / f"consul-{RELEASE}"
        program = folder / "usr/bin/consul"
        if not program.exists():
            _fetch(folder)
    return program


def _fetch(folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent) as work:
        problems = []
        for mirror in mirrors():
            try:
                package = _download(mirror, Path(work))
            except subprocess.CalledProcessError as problem:
                problems.append(f"{mirror}: {problem.stderr.strip()}")
                continue
            unpacked = Path(work) / "unpacked"
            _run("dpkg-deb", "-x", str(package), str(unpacked))
            shutil.rmtree(folder, ignore_errors=True)
            unpacked.rename(folder)
            return
    raise RuntimeError("no Debian mirror of this machine has Consul:\n" + "\n".join(problems))


def _download(mirror: str, work: Path) -> Path:
    """Let apt fetch and verify the package, with sources and state of its own: the machine's stay as they are."""
    for folder in ("lists/partial", "cache/archives/partial"):
        (work / folder).mkdir(parents=True, exist_ok=True)
    sources = work / "sources.list"
    sources.write_text(f"deb [signed-by={KEYRING}] {mirror} {RELEASE} main\n")
    settings = {
        "Dir::Etc::SourceList": str(sources),
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State::Lists": str(work / "lists"),
        "Dir::State::Status": "/dev/null",
        "Dir::Cache": str(work / "cache"),
        "APT::Sandbox::User": "",
        "Acquire::Languages": "none",
    }
    options = [f"-o{key}={value}" for key, value in settings.items()]
    _run("apt-get", *options, "update", cwd=work)
    _run("apt-get", *options, "download", "consul", cwd=work)
    return next(work.glob("consul_*.deb"))


def _run(*command: str, cwd: Path | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=600, check=True)
    return done.stdout
