"""How a distribution joins this program, in the words of whatever has installed it."""

from __future__ import annotations

import sys
from pathlib import Path


def install(distribution: str) -> str:
    """The command. uv is told all that there should be, so that it needs more than this one name."""
    if _made_by("uv-receipt.toml"):
        return f"uv tool install kube-provision, with all else that it should have, --with {distribution}"
    if _made_by("pipx_metadata.json"):
        return f"pipx inject kube-provision {distribution}"
    return f"pip install {distribution}"


def repair(distribution: str) -> str:
    """The command that installs anew what is there."""
    if _made_by("uv-receipt.toml"):
        return "uv tool install --reinstall kube-provision"
    if _made_by("pipx_metadata.json"):
        return f"pipx inject --force kube-provision {distribution}"
    return f"pip install --force-reinstall {distribution}"


def _made_by(receipt: str) -> bool:
    """Whether the environment holds what only one of these programs writes into its own."""
    return Path(sys.prefix, receipt).is_file()
