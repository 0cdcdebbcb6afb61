"""The extension `company-ca`: every machine trusts the company's own authority, from before its first download of an image.

It adds a package, a file and a step, and knows nothing of what other plugins add.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from kube_provision_core import (
    NODE_CONFIG_DIR,
    BootError,
    BootFragment,
    DriverConfig,
    File,
    LocalFile,
    Node,
    Role,
    Stage,
    Step,
    hookimpl,
    option,
)

CERTIFICATE = f"{NODE_CONFIG_DIR}/company-ca.crt"


class CompanyCaConfig(DriverConfig):
    """Keys of an extension begin with its name."""

    company_ca_file: LocalFile = option(per_role=True, help="PEM file of the authority that machines shall trust.")


class CompanyCa:
    Config = CompanyCaConfig
    api_version = 1

    def __init__(self, config: Mapping[Role, CompanyCaConfig]) -> None:
        self._config = config

    @hookimpl
    def render_boot(self, node: Node) -> BootFragment:
        """After packages are installed, and before the container runtime starts: `company-ca` comes before `kubeadm`."""
        certificate = _read(self._config[node.role].company_ca_file)
        script = (resources.files(__package__) / "trust.sh").read_text()
        return BootFragment(
            packages=frozenset({"ca-certificates"}),
            files=(File(CERTIFICATE, certificate),),
            steps=(Step("trust", Stage.DISCOVER, script, timeout=60),),
        )


def _read(path: Path) -> str:
    text = path.read_text()
    if "BEGIN CERTIFICATE" not in text or "PRIVATE KEY" in text:
        raise BootError(f"company_ca_file: {path} is no file of certificates alone; name the authority's PEM file")
    return text
