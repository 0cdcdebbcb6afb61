"""The kubelet: runs the static pods of its host, each as a unit of its own, and tells the API server that it lives.

Like the real one it does not run before it is configured, and what it has started outlives it.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
import time
from contextlib import suppress
from http.client import HTTPException
from typing import Any

import yaml
from machines.standins.api import NODES, connect
from machines.standins.faults import StandInError
from machines.standins.places import ADMIN, IDENTITY, KUBELET, MANIFESTS

TICK = 0.5
HEARTBEAT = 3.0
CONTROL_PLANE = "node-role.kubernetes.io/control-plane"


def main() -> None:
    if not IDENTITY.exists():
        sys.exit(f"failed to load kubelet config file, path: {IDENTITY}")
    identity = yaml.safe_load(IDENTITY.read_text())
    threading.Thread(target=_beat, args=(identity,), daemon=True).start()
    while True:
        begin = time.monotonic()
        _reconcile()
        time.sleep(max(TICK, 4 * (time.monotonic() - begin)))  # where processors are emulated, others need them more


# --- static pods ----------------------------------------------------------------------------------------------------


def unit_of(pod: str) -> str:
    return f"pod-{pod}.service"


def _reconcile() -> None:
    wanted = {path.stem: path.read_text() for path in MANIFESTS.glob("*.yaml")}
    running = _running()
    for unit in running.keys() - {unit_of(pod) for pod in wanted}:
        _systemctl("stop", unit)
    for pod, manifest in wanted.items():
        digest = hashlib.sha256(manifest.encode()).hexdigest()[:12]
        if running.get(unit_of(pod)) != digest:
            if unit_of(pod) in running:
                _systemctl("stop", unit_of(pod))
            _start(pod, yaml.safe_load(manifest), digest)


def _running() -> dict[str, str]:
    """Units of static pods, and of which manifest they are."""
    listed = _systemctl("list-units", "--all", "--plain", "--no-legend", "pod-*.service")
    return {line.split()[0]: line.split()[-1] for line in listed.splitlines()}


def _start(pod: str, manifest: dict[str, Any], digest: str) -> None:
    (container,) = manifest["spec"]["containers"]
    environment = [f"--setenv={entry['name']}={entry['value']}" for entry in container.get("env", ())]
    properties = ["--property=Restart=always", "--property=RestartSec=1", "--property=StartLimitIntervalSec=0"]
    command = ["systemd-run", "--quiet", "--collect", f"--unit={unit_of(pod)}", f"--description={digest}"]
    subprocess.run([*command, *properties, *environment, *container["command"]], check=False, timeout=30)


def _systemctl(*arguments: str) -> str:
    done = subprocess.run(["systemctl", *arguments], capture_output=True, text=True, timeout=60, check=False)
    return done.stdout


# --- the node -------------------------------------------------------------------------------------------------------


def _beat(identity: dict[str, Any]) -> None:
    """Registers the node once: one that was deleted while its kubelet runs stays deleted."""
    registered = False
    while True:
        with suppress(OSError, HTTPException, StandInError):
            if KUBELET.exists():
                registered = _tell(identity, registered)
        time.sleep(HEARTBEAT)


def _tell(identity: dict[str, Any], registered: bool) -> bool:
    """Register the node, or say that it still lives; whether it is registered."""
    api = connect(KUBELET)
    status, node = api.call("GET", f"{NODES}/{identity['name']}")
    if status == 404 and not registered:
        api.expect("POST", NODES, _node(identity), patience=0)
    elif status == 200:
        api.expect("PUT", f"{NODES}/{identity['name']}", node | {"status": _node(identity)["status"]}, patience=0)
    return registered or status in (200, 404)


def _node(identity: dict[str, Any]) -> dict[str, Any]:
    labels = {"kubernetes.io/hostname": identity["name"]}
    if ADMIN.exists():
        labels[CONTROL_PLANE] = ""
    ready = {"type": "Ready", "status": "True", "lastHeartbeatTime": str(time.time())}
    addresses = [
        {"type": "InternalIP", "address": identity["address"]},
        {"type": "Hostname", "address": identity["name"]},
    ]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": identity["name"], "labels": labels},
        "status": {"addresses": addresses, "conditions": [ready]},
    }


if __name__ == "__main__":
    main()
