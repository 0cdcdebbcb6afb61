"""The kubelet: runs the static pods of its host, each as a unit of its own, and tells the API server that it lives.

Like the real one it does not run before it is configured, and what it has started outlives it.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import threading
import time
from contextlib import suppress
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml
from machines.standins import mirror, preflight
from machines.standins.api import NODES, Api, connect
from machines.standins.faults import StandInError
from machines.standins.places import ADMIN, KUBELET, KUBELET_CONFIG, KUBELET_FLAGS, MANIFESTS
from machines.standins.release import VARIABLE, own

TICK = 0.5
HEARTBEAT = 3.0
HURRY = 1.0
"""Between two words of a kubelet whose pods are about to begin."""
HEALTH_PORT = 10248
CONTROL_PLANE = "node-role.kubernetes.io/control-plane"


def main() -> None:
    arguments = argparse.ArgumentParser(prog="kubelet", allow_abbrev=False)
    arguments.add_argument("--version", action="version", version=f"Kubernetes {own()}")
    arguments.parse_args()
    if not KUBELET_CONFIG.exists():
        sys.exit(f"failed to load kubelet config file, path: {KUBELET_CONFIG}")
    if (found := yaml.safe_load(KUBELET_CONFIG.read_text())).get("kind") != "KubeletConfiguration":
        sys.exit(f"failed to load kubelet config file, path: {KUBELET_CONFIG}, error: no kind {found.get('kind')!r}")
    options = _options(KUBELET_FLAGS.read_text())
    settings = found | _settings(options.get("config-dir", ""))
    refuse_swap(settings)
    identity = _identity(options, settings)
    health = ThreadingHTTPServer(("127.0.0.1", HEALTH_PORT), _Health)
    threading.Thread(target=health.serve_forever, daemon=True).start()
    running: dict[str, str] = {}
    threading.Thread(target=_beat, args=(identity, running), daemon=True).start()
    while True:
        begin = time.monotonic()
        _reconcile(running)
        time.sleep(max(TICK, 4 * (time.monotonic() - begin)))  # where processors are emulated, others need them more


class _Health(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/healthz" else 404)
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class's name
        """Quiet."""


def refuse_swap(settings: dict[str, Any]) -> None:
    """Ends the program with the real one's words."""
    if settings.get("failSwapOn", True) and (found := preflight.swaps()):
        why = "running with swap on is not supported, please disable swap or set --fail-swap-on flag to false"
        sys.exit(f'"command failed" err="failed to run Kubelet: {why}. /proc/swaps contained: {found}"')


def _options(flags: str) -> dict[str, str]:
    """Of the environment file that kubeadm writes."""
    return dict(option.lstrip("-").split("=", 1) for option in shlex.split(flags.partition("=")[2].strip('"\n ')))


def _identity(options: dict[str, str], settings: dict[str, Any]) -> dict[str, str]:
    """Name and addresses of the node, and how many pods it takes."""
    pods = settings.get("maxPods", 110)
    return {"name": options["hostname-override"], "addresses": options["node-ip"], "pods": str(pods)}


def _settings(folder: str) -> dict[str, Any]:
    """What drop-ins say, in the order of their names."""
    found: dict[str, Any] = {}
    for path in sorted(Path(folder).glob("*.conf")) if folder else ():
        settings = yaml.safe_load(path.read_text())
        if settings.get("kind") != "KubeletConfiguration":
            sys.exit(f"failed to merge kubelet configs: {path}: no kind KubeletConfiguration")
        found |= settings
    return found


# --- static pods ----------------------------------------------------------------------------------------------------


def unit_of(pod: str) -> str:
    return f"pod-{pod}.service"


def _reconcile(running: dict[str, str]) -> None:
    """Bring about what manifests say; `running` is what they say of the pods that run."""
    wanted = _manifests()
    units = _units()
    for unit in units.keys() - {unit_of(pod) for pod in wanted}:
        _systemctl("stop", unit)
    for pod in running.keys() - wanted.keys():
        del running[pod]
    for pod, manifest in wanted.items():
        digest = mirror.digest(manifest)
        if units.get(unit_of(pod)) != digest:
            if unit_of(pod) in units:
                _systemctl("stop", unit_of(pod))
            _start(pod, yaml.safe_load(manifest), digest)
        running[pod] = manifest


def _manifests() -> dict[str, str]:
    """By name. One that is moved away meanwhile is seen without at the next look."""
    found = {}
    for path in MANIFESTS.glob("*.yaml"):
        with suppress(FileNotFoundError):
            found[path.stem] = path.read_text()
    return found


def _units() -> dict[str, str]:
    """Units of static pods, and of which manifest they are."""
    listed = _systemctl("list-units", "--all", "--plain", "--no-legend", "pod-*.service")
    return {line.split()[0]: line.split()[-1] for line in listed.splitlines()}


def _start(pod: str, manifest: dict[str, Any], digest: str) -> None:
    (container,) = manifest["spec"]["containers"]
    properties = ["--property=Restart=always", "--property=RestartSec=1", "--property=StartLimitIntervalSec=0"]
    release = f"--setenv={VARIABLE}={container['image'].rpartition(':')[2]}"
    command = ["systemd-run", "--quiet", "--collect", f"--unit={unit_of(pod)}", f"--description={digest}", release]
    subprocess.run([*command, *properties, *container["command"]], check=False, timeout=30)


def _systemctl(*arguments: str) -> str:
    done = subprocess.run(["systemctl", *arguments], capture_output=True, text=True, timeout=60, check=False)
    return done.stdout


# --- the node -------------------------------------------------------------------------------------------------------


def _beat(identity: dict[str, Any], running: dict[str, str]) -> None:
    """Registers the node once: one that was deleted while its kubelet runs stays deleted."""
    registered, shown = False, mirror.Shown()
    while True:
        settled = False
        with suppress(OSError, HTTPException, StandInError):
            if KUBELET.exists():
                api = connect(KUBELET)
                registered = _tell(api, identity, registered)
                settled = shown.update(api, identity["name"], dict(running))
        time.sleep(HEARTBEAT if settled else HURRY)


def _tell(api: Api, identity: dict[str, Any], registered: bool) -> bool:
    """Register the node, or say that it still lives; whether it is registered."""
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
        *({"type": "InternalIP", "address": address} for address in identity["addresses"].split(",")),
        {"type": "Hostname", "address": identity["name"]},
    ]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": identity["name"], "labels": labels},
        "status": {
            "addresses": addresses,
            "capacity": {"pods": identity["pods"]},
            "conditions": [ready],
            "nodeInfo": {"kubeletVersion": str(own())},
        },
    }


if __name__ == "__main__":
    main()
