"""With which key a cluster encrypts Secrets at rest, as its folder has it. Keys are told by their names alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..engine.session import Session

OFF = "off"


@dataclass(frozen=True)
class Keys:
    cluster: str
    key: str = ""
    """Empty where Secrets are not encrypted."""
    next: str = ""
    """That will take its place."""
    stage: str = OFF
    """How far that is; see `folder.encryption.Stage`."""


def encryption(session: Session) -> Keys:
    """Nobody is asked. A cluster without a folder has no key yet."""
    folder = session.folder
    if not (folder.saved and folder.encryption):
        return Keys(folder.name)
    held = folder.encryption
    return Keys(folder.name, held.key.name, held.next.name, held.stage.value)
