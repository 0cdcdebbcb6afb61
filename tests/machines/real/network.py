"""A network plugin: gives a node's pods addresses of the node's own range, and routes to the other nodes'.

The node itself gets a bridge by the plugins that come with Kubernetes' packages; a route per node is enough where all
nodes are neighbours.
"""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

NODES = "https://localhost:8443/api/v1/nodes"
"""By the node's own way to the API servers: services lead nowhere before kube-proxy runs."""
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
PLUGINS = Path("/etc/cni/net.d/10-tests.conflist")
LOOK = 5.0
"""Seconds between two looks at the nodes."""
LIMIT = 10.0


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # a container's first process would not hear of it otherwise
    while True:
        try:
            _follow({node["metadata"]["name"]: node for node in _nodes()})
        except OSError as problem:
            print(problem)
        time.sleep(LOOK)


def _nodes() -> list[Any]:
    request = urllib.request.Request(NODES, headers={"Authorization": f"Bearer {(ACCOUNT / 'token').read_text()}"})
    trust = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    with urllib.request.urlopen(request, timeout=LIMIT, context=trust) as response:
        items: list[Any] = json.load(response)["items"]
    return items


def _follow(nodes: Mapping[str, Any]) -> None:
    me = os.environ["NODE"]
    ranges = {name: node["spec"]["podCIDRs"] for name, node in nodes.items() if "podCIDRs" in node["spec"]}
    if me in ranges and not PLUGINS.exists():
        _write(ranges[me])
    for name in ranges.keys() - {me}:
        for pods, address in zip(ranges[name], _addresses(nodes[name]), strict=False):
            subprocess.run(["ip", "route", "replace", pods, "via", address], check=False)


def _addresses(node: Any) -> list[str]:
    """In the order of its ranges of pods; none before its kubelet has told it."""
    return [entry["address"] for entry in node["status"].get("addresses", ()) if entry["type"] == "InternalIP"]


def _write(ranges: Sequence[str]) -> None:
    bridge = {
        "type": "bridge",
        "bridge": "pods",
        "isGateway": True,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": pods}] for pods in ranges],
            "routes": [{"dst": "::/0" if ":" in pods else "0.0.0.0/0"} for pods in ranges],
        },
    }
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    part = PLUGINS.with_suffix(".part")
    part.write_text(json.dumps({"cniVersion": "1.0.0", "name": "tests", "plugins": [bridge, ports]}))
    part.rename(PLUGINS)
    print(f"{os.environ['NODE']}: {', '.join(ranges)}")


if __name__ == "__main__":
    main()
