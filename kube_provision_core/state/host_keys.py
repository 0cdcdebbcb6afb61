"""Whether an SFTP server is the one that it is taken for: as ssh does, by the files of known hosts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import fsspec
from paramiko import HostKeys, MissingHostKeyPolicy, PKey, SSHClient, SSHException

_KNOWN = (Path("~/.ssh/known_hosts"), Path("/etc/ssh/ssh_known_hosts"))


class KnownHosts(MissingHostKeyPolicy):  # type: ignore[misc]
    """Believes whom the user's or the host's file knows. The client itself knows nobody."""

    def missing_host_key(self, client: SSHClient, hostname: str, key: PKey) -> None:
        """Raises `SSHException`, before anything is said of who asks."""
        known = HostKeys()
        for path in (path.expanduser() for path in _KNOWN):
            if path.exists():
                known.load(str(path))
        if not known.check(hostname, key):
            shown = f"{hostname} shows a key of type {key.get_name()}"
            if key.get_name() in (known.lookup(hostname) or {}):
                raise SSHException(f"{shown}, and ~/.ssh/known_hosts has another one: somebody may be in between")
            raise SSHException(f"{shown} that ~/.ssh/known_hosts does not have: connect once by sftp, and compare it there")


def settings() -> Mapping[str, object]:
    """For fsspec, which by itself believes everybody. None where its own settings say whom."""
    said = any("host_key_policy" in fsspec.config.conf.get(scheme, {}) for scheme in ("sftp", "ssh"))
    return {} if said else {"host_key_policy": KnownHosts()}
