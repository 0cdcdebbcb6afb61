"""Debian's containerd, for what its client says about images. It runs no containers."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from servers.debian import unpacked
from servers.process import ServerProcess

CONFIGURATION = """\
version = 2
root = "{folder}/root"
state = "{folder}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "{folder}/containerd.sock"
[ttrpc]
address = "{folder}/ttrpc.sock"
"""


@contextmanager
def containerd() -> Iterator[dict[str, str]]:
    """A running one; what the environment of its client, `ctr`, needs besides."""
    programs = unpacked("containerd") / "usr/bin"
    with tempfile.TemporaryDirectory(prefix="containerd-") as name:
        folder = Path(name)
        configuration = folder / "config.toml"
        configuration.write_text(CONFIGURATION.format(folder=folder))
        server = ServerProcess([str(programs / "containerd"), "--config", str(configuration)], folder / "log")
        try:
            server.wait_until((folder / "containerd.sock").exists)
            yield {"CONTAINERD_ADDRESS": str(folder / "containerd.sock"), "CTR": str(programs / "ctr")}
        finally:
            server.stop()
