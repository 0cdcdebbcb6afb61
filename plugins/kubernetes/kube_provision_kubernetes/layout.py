"""Where things are: on nodes, and in the cluster's API."""

from __future__ import annotations

from kube_provision_core import NODE_CONFIG_DIR

from .node import RIGHTS, TOKEN

CLIENT_DATA = f"{NODE_CONFIG_DIR}/discovery.json"
TOKEN_FILE = f"{NODE_CONFIG_DIR}/{TOKEN}"
RIGHTS_FILE = f"{NODE_CONFIG_DIR}/{RIGHTS}"

NAMESPACE = "kube-provision"
PORT = 6443


def run_lease(cluster: str) -> str:
    """Another one than masters take before they join."""
    return f"run-{cluster}"


def join_lease(cluster: str) -> str:
    return f"join-{cluster}"


def history(cluster: str) -> str:
    return f"history-{cluster}"


def masters(cluster: str) -> str:
    return f"masters-{cluster}"
