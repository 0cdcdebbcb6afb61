"""As much of kubectl as the demo needs: list nodes, with nothing but a kubeconfig."""

from __future__ import annotations

import json
import ssl
import tempfile
import urllib.request
from base64 import b64decode
from pathlib import Path
from typing import Any

import yaml


def get_nodes(kubeconfig: Path) -> list[str]:
    """One line a node. Raises `OSError` if the API server cannot be asked, or refuses."""
    document = yaml.safe_load(kubeconfig.read_text())
    cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
    handlers = [urllib.request.HTTPSHandler(context=_context(cluster, user)), urllib.request.ProxyHandler({})]
    with urllib.request.build_opener(*handlers).open(cluster["server"] + "/api/v1/nodes", timeout=10) as response:
        return [_line(node) for node in json.load(response)["items"]]


def _context(cluster: dict[str, str], user: dict[str, str]) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=b64decode(cluster["certificate-authority-data"]).decode())
    with tempfile.NamedTemporaryFile() as pair:
        pair.write(b64decode(user["client-certificate-data"]) + b64decode(user["client-key-data"]))
        pair.flush()
        context.load_cert_chain(pair.name)
    return context


def _line(node: dict[str, Any]) -> str:
    master = "node-role.kubernetes.io/control-plane" in node["metadata"]["labels"]
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"]["conditions"])
    address = node["status"]["addresses"][0]["address"]
    return f"{node['metadata']['name']:12}{'master' if master else 'worker':8}{'Ready' if ready else 'NotReady':10}{address}"
