"""What people are told to do about a machine: words and command lines, the same wherever they are shown."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace

from ..contract.machines import Role
from ..contract.status import NodeStatus
from .observe import Observation

VERSION = "--k8s-version"


@dataclass(frozen=True)
class Remedies:
    """Advice about one cluster. Its command lines work when they are pasted where the run was started."""

    cluster: str
    options: tuple[str, ...] = ()
    """The command line's that lead to the cluster's configuration and folder, without secrets."""
    only_master: str = ""
    """Name of the master without which the cluster has none; empty where others are left, and where nobody has looked."""
    replaceable: frozenset[str] = frozenset()
    """Machines that `replace` makes anew while the cluster goes on."""
    restoring: bool = False
    """The cluster is being restored and does not live yet: whatever else makes machines would make another one."""
    masters_only: bool = False
    """They alone are restored: workers are those of before, and are to stay."""
    archive: str = ""
    """The backup that is restored from, as the command line names it; empty: nobody has said which."""
    unwritten: bool = False
    """The configuration is a backup's, which lies nowhere before a restoration begins: no option leads to it."""

    def of(self, seen: Observation, *, lives: bool, restoring: bool = False, masters_only: bool = False) -> Remedies:
        """Advice about the cluster as it was observed.

        `lives`: it is known to be initialised. `restoring`: its folder says that it is being restored. `masters_only`: and
        that nothing else of it is.
        """
        members = {name for name, vm in seen.ours.items() if vm.stamp and vm.stamp.role is not Role.DISCOVERY}
        replaceable = frozenset(members - {seen.only_master} if lives else ())
        return replace(
            self,
            only_master=seen.only_master,
            replaceable=replaceable,
            restoring=restoring and not lives,
            masters_only=masters_only,
        )

    def destroy(self, *names: str) -> str:
        """Of these machines; without any, of the whole cluster."""
        return self._command("destroy", "--name", self.cluster, *(word for name in names for word in ("--node", name)))

    def remove(self, name: str) -> str:
        """Of this machine; with its last master a cluster goes, and `destroy --node` refuses that."""
        return self.destroy() if name == self.only_master else self.destroy(name)

    def replace(self, name: str) -> str:
        """What makes it anew; never a command that is refused: `replace` wants a cluster that goes on without it."""
        if name in self.replaceable:
            return self._command("replace", name, "--name", self.cluster)
        if self.restoring:
            return self.restore_anew()
        which = " (it is the only master: the whole cluster goes with it)" if name == self.only_master else ""
        return f"{self.remove(name)}, then provision again{which}"

    def replace_drifted(self) -> str:
        """What makes all machines anew that were made from another configuration, one after another."""
        return self._command("replace", "--drifted", "--name", self.cluster)

    def restore_anew(self) -> str:
        """From the same backup, without anything that an earlier run has made of it."""
        return self._command(*self._restore, "--abandon-old", "--name", self.cluster, self._archive)

    def restore(self) -> str:
        """From the same backup, with what an earlier run has made of it."""
        return self._command(*self._restore, "--name", self.cluster, self._archive)

    def verify(self) -> str:
        """What tries the backup, and reaches no cluster."""
        return shlex.join(["kube-provision", "backup", "--verify", self._archive])

    @property
    def _archive(self) -> str:
        return self.archive or "FILE"

    @property
    def _restore(self) -> tuple[str, ...]:
        return ("restore", "--masters-only") if self.masters_only else ("restore",)

    def provision(self) -> str:
        return self._command("provision", "--name", self.cluster)

    def backup(self) -> str:
        return self._command("backup", "--name", self.cluster, "FILE")

    def upgrade(self, version: str) -> str:
        """To this version, in place of one that the command line names."""
        named = self.options.index(VERSION) if VERSION in self.options else len(self.options)
        others = replace(self, options=(*self.options[:named], *self.options[named + 2 :]))
        return others._command("upgrade", "--name", self.cluster, VERSION, version)

    def bake(self) -> str:
        return self._command("bake")

    def why(self, name: str) -> str:
        return self._command("why", name, "--name", self.cluster)

    def advice(self, status: NodeStatus, name: str) -> str:
        """What helps a machine that is stuck; empty where nobody knows."""
        anew = f"replace it: {self.replace(name)}" if status.replace else ""
        return "; ".join(filter(None, [status.advice, anew]))

    def trouble(self, status: NodeStatus, name: str) -> str:
        """Why a machine is not further, and what helps, in a line: the same for rows, reports, `plan` and `status`."""
        helps = self.advice(status, name)
        more = "" if status.replace else f". More: {self.why(name)}"
        return f"stage {status.stage}: {status.reason}{f'. What helps: {helps}' if helps else ''}{more}"

    def _command(self, verb: str, *words: str) -> str:
        """A restoration finds what was not written in its backup."""
        command = shlex.join(["kube-provision", verb, *words, *self.options])
        lacks = self.unwritten and verb != "restore"
        return f"{command}, with the configuration that it was made with" if lacks else command
