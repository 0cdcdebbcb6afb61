"""Which machines are made alike: those of a role, and where there are failure domains those of one of them."""

from __future__ import annotations

from dataclasses import dataclass

from kube_provision_core import Node, Role


@dataclass(frozen=True)
class Kind:
    role: Role
    domain: str = ""
    """Name of the failure domain; empty: none."""

    @classmethod
    def of(cls, node: Node) -> Kind:
        return cls(node.role, node.failure_domain.name if node.failure_domain else "")

    def __str__(self) -> str:
        return f"{self.role} in {self.domain}" if self.domain else str(self.role)
