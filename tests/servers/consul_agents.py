"""Real Consul agents on loopback addresses: a server and as many clients as a test wants, one address each."""

from __future__ import annotations

import base64
import json
import os
import secrets
import time
from collections.abc import Callable, Mapping
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from servers.consul import consul_binary
from servers.process import ServerProcess

CLUSTER_ID = "id-1"
"""Whose agents these are, as those of a cluster say of themselves."""

QUICK: Mapping[str, Any] = {
    "log_level": "WARN",
    "disable_update_check": True,
    "node_meta": {"kube-provision-cluster-id": CLUSTER_ID},
    "retry_interval": "1s",
    "ports": {"dns": -1},
    "performance": {"raft_multiplier": 1},
    "gossip_lan": {"gossip_interval": "50ms"},  # its probes stay patient: who is only slow is not gone, nor are its locks
}


def unused_network() -> str:
    """The first three numbers of a loopback network that no other test process uses: Consul's ports are fixed."""
    number = 2 + os.getpid() * 7 % 60000 + secrets.randbelow(5000)
    return f"127.{100 + number // 250 % 100}.{number % 250 + 1}"


class ConsulAgent:
    """One agent. Its HTTP interface is at `address`:8500, and is asked with `token`."""

    def __init__(self, folder: Path, address: str, configuration: Mapping[str, Any], token: str = "") -> None:
        self.folder, self.token = folder, token
        self.address = address
        self.http = f"{address}:8500"
        folder.mkdir(parents=True, exist_ok=True)
        own = {"data_dir": str(folder / "data"), "bind_addr": address, "client_addr": address}
        self._file = folder / "agent.json"
        self._file.write_text(json.dumps({**QUICK, **configuration, **own}))
        self._process: ServerProcess | None = None

    def start(self, timeout: float = 120.0) -> ConsulAgent:
        """Start it, and wait until it knows a server that leads."""
        self.launch().wait_until(self.has_leader, timeout)
        return self

    def launch(self) -> ServerProcess:
        """Start it, and wait for nothing."""
        command = [str(consul_binary()), "agent", f"-config-file={self._file}"]
        self._process = ServerProcess(command, self.folder / "consul.log")
        return self._process

    def stop(self) -> None:
        if self._process:
            self._process.stop()

    def kill(self) -> None:
        if self._process:
            self._process.kill()

    def __enter__(self) -> ConsulAgent:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()

    def has_leader(self) -> bool:
        """A leader is known, and this agent's own health check is: a session needs it."""
        try:
            return bool(self.ask("GET", "/v1/status/leader")) and self.knows_itself()
        except (OSError, HTTPException, ValueError):
            return False

    def knows_itself(self) -> bool:
        name = self.ask("GET", "/v1/agent/self")["Config"]["NodeName"]
        return any(check["CheckID"] == "serfHealth" for check in self.ask("GET", f"/v1/health/node/{name}"))

    def ask(self, method: str, path: str, body: object = None, token: str | None = None) -> Any:
        """The JSON answer to one request; None for 404. `token`: another one than its own."""
        connection = self.connect()
        headers = {"X-Consul-Token": self.token if token is None else token}
        text = None if body is None else body if isinstance(body, str) else json.dumps(body)
        try:
            connection.request(method, path, text, headers)
            response = connection.getresponse()
            text = response.read().decode()
        finally:
            connection.close()
        if response.status == 404:
            return None
        if response.status != 200:
            raise ValueError(f"{method} {path}: {response.status} {text}")
        return json.loads(text) if text else None

    def connect(self) -> HTTPConnection:
        return HTTPConnection(self.address, 8500, timeout=60)

    def put(self, key: str, value: object) -> None:
        assert self.ask("PUT", f"/v1/kv/{key}", value) is True

    def get(self, key: str) -> Any:
        """The JSON value of a key; None if there is no such key."""
        entries = self.ask("GET", f"/v1/kv/{key}?consistent")
        return json.loads(base64.b64decode(entries[0]["Value"])) if entries else None

    def end_sessions(self) -> int:
        """End every session, as Consul does when their time limits pass; how many there were."""
        sessions = self.ask("GET", "/v1/session/list")
        for session in sessions:
            self.ask("PUT", f"/v1/session/destroy/{session['ID']}")
        return len(sessions)

    def add_master(
        self, cluster: str, name: str, address: str, *, service_address: str | None = None, cluster_id: str = CLUSTER_ID
    ) -> None:
        """Put a healthy master into the catalog, as if its own agent had."""
        service = {
            "Service": f"kube-provision-{cluster}",
            "Address": address if service_address is None else service_address,
        }
        check = {"Name": "API server is ready", "Status": "passing", "ServiceID": service["Service"]}
        node = {"Node": name, "Address": address, "NodeMeta": {"kube-provision-cluster-id": cluster_id}}
        self.ask("PUT", "/v1/catalog/register", {**node, "Service": service, "Check": check})

    def remove_node(self, name: str) -> None:
        self.ask("PUT", "/v1/catalog/deregister", {"Node": name})


def consul_server(folder: Path, address: str, name: str = "consul", **extra: Any) -> ConsulAgent:
    return ConsulAgent(folder, address, {"server": True, "bootstrap_expect": 1, "node_name": name, **extra})


def consul_client(folder: Path, address: str, server: str, name: str, **extra: Any) -> ConsulAgent:
    return ConsulAgent(folder, address, {"node_name": name, "retry_join": [server], **extra})


def eventually(condition: Callable[[], object], timeout: float = 60.0, interval: float = 0.05) -> bool:
    """Whether `condition` comes true in time."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(interval)
    return True
