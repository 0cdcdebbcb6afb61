"""States in stores, and whom they are for."""

from __future__ import annotations

from pathlib import Path

import pyrage

from kube_provision_core.backup import Keys, Recipients
from kube_provision_core.state import SealedState

ONE, OTHER = (pyrage.x25519.Identity.generate() for _ in range(2))


def recipients(*keys: pyrage.x25519.Identity) -> Recipients:
    return Recipients(tuple(str(key.to_public()) for key in keys))


def sealed(url: str, home: Path, *, opens: pyrage.x25519.Identity = ONE, to: Recipients | None = None) -> SealedState:
    """As one operator has it whose folders lie at `home`."""
    return SealedState(url, home, to or recipients(ONE), Keys((opens,)))
