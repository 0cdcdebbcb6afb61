"""What people are told to do about a machine: words and command lines, the same wherever they are shown."""

from __future__ import annotations

from .model import NodeStatus


def destroy_command(cluster: str, *names: str) -> str:
    return " ".join(["kube-provision destroy --name", cluster, *(f"--node {name}" for name in names)])


def replace_command(cluster: str, name: str) -> str:
    return f"{destroy_command(cluster, name)}, then provision again"


def why_command(cluster: str, name: str) -> str:
    return f"kube-provision why {name} --name {cluster}"


def advice(status: NodeStatus, cluster: str, name: str) -> str:
    """What helps a machine that is stuck; empty where nobody knows."""
    replace = f"replace it: {replace_command(cluster, name)}" if status.replace else ""
    return "; ".join(filter(None, [status.advice, replace]))


def trouble(status: NodeStatus, cluster: str, name: str) -> str:
    """Why a machine is not further, and what helps, in a line."""
    helps = advice(status, cluster, name)
    return f"stage {status.stage}: {status.reason}{f'. What helps: {helps}' if helps else ''}"
