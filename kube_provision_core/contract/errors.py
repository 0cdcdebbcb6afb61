"""Expected failures: one base, one subclass per domain. Their text is the one line that a user reads.

The text says what happened, where (file and line, node, object) and what to do. It never holds a secret. A failure that
is not one of these is a bug and keeps its traceback.
"""

from __future__ import annotations

from typing import ClassVar


class KubeProvisionError(Exception):
    """Base of every expected failure; a plugin raises one of the subclasses below."""

    exit_code: ClassVar[int] = 3
    retryable: bool = False
    """Running the same again may succeed by itself: somebody did not answer, or something is not so yet.

    Usually its class says so; False on one error, or in a class of a driver's own, is for who answers that it will not, such
    as of a password that is wrong.
    """


class ConfigError(KubeProvisionError):
    """Bad input: a flag, a key, a file. Nothing has been touched."""

    exit_code = 2
    retryable = False

    def __init__(self, *problems: str) -> None:
        """Each problem is one line; all problems of a run's input are told at once."""
        super().__init__("\n".join(problems))
        self.problems = problems


class UnreadyError(ConfigError):
    """Nodes that have to be Ready first are not, so far. Nothing has been touched."""

    retryable = True


class PluginError(KubeProvisionError):
    """A driver that is missing, broken, claimed twice or does not answer a hook that is needed."""

    exit_code = 2


class TargetError(KubeProvisionError):
    """The hypervisor, or the way to it."""

    exit_code = 3
    retryable = True


class BootError(KubeProvisionError):
    """Boot data that cannot be rendered, merged or delivered."""

    exit_code = 2


class DiscoveryError(KubeProvisionError):
    """The discovery service cannot be asked, so that nothing can be known."""

    exit_code = 3
    retryable = True


class ControlPlaneError(KubeProvisionError):
    """The living cluster's API cannot be asked, or refuses."""

    exit_code = 3
    retryable = True


class FolderError(KubeProvisionError):
    """The cluster's folder of secrets is missing, damaged, in use or open to others."""

    exit_code = 2


class StateError(FolderError):
    """The store that keeps clusters' folders cannot be asked, or does not do as it should. What it has is as it was."""

    exit_code = 3
    retryable = True


class BusyError(FolderError, DiscoveryError):
    """Another run is at work on the cluster, and holds its lock, here or in discovery: what is refused now is not later."""

    retryable = True


class BackupError(KubeProvisionError):
    """A backup that cannot be read with the keys given, is damaged, does not fit, or cannot be written."""

    exit_code = 2
