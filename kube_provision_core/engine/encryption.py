"""Actions about the keys that Secrets are encrypted with at rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..folder.encryption import Stage
from .plan import OfCluster


@dataclass(frozen=True, kw_only=True)
class TurnKeys(OfCluster):
    """Write down how far the keys are on their way: what is made or broken off from now on goes by that."""

    stage: Stage

    @property
    def verb(self) -> str:
        return f"keys-{self.stage}"

    @property
    def details(self) -> Mapping[str, object]:
        return {"stage": self.stage.value}


class RewriteSecrets(OfCluster):
    """Have every Secret written anew by API servers of which each writes with the new key."""

    verb = "rewrite-secrets"
