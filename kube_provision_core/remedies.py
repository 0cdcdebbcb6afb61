"""What people are told to do about a machine: words and command lines, the same wherever they are shown."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from .model import NodeStatus


@dataclass(frozen=True)
class Remedies:
    """Advice about one cluster. Its command lines work when they are pasted where the run was started."""

    cluster: str
    options: tuple[str, ...] = ()
    """The command line's that lead to the cluster's configuration and folder, without secrets."""

    def destroy(self, *names: str) -> str:
        """Of these machines; without any, of the whole cluster."""
        return self._command("destroy", "--name", self.cluster, *(word for name in names for word in ("--node", name)))

    def replace(self, name: str) -> str:
        return f"{self.destroy(name)}, then provision again"

    def why(self, name: str) -> str:
        return self._command("why", name, "--name", self.cluster)

    def advice(self, status: NodeStatus, name: str) -> str:
        """What helps a machine that is stuck; empty where nobody knows."""
        replace = f"replace it: {self.replace(name)}" if status.replace else ""
        return "; ".join(filter(None, [status.advice, replace]))

    def trouble(self, status: NodeStatus, name: str) -> str:
        """Why a machine is not further, and what helps, in a line."""
        helps = self.advice(status, name)
        return f"stage {status.stage}: {status.reason}{f'. What helps: {helps}' if helps else ''}"

    def _command(self, *words: str) -> str:
        return shlex.join(["kube-provision", *words, *self.options])
