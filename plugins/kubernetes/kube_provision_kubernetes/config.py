"""What users of this discovery may configure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from ipaddress import IPv4Address

from pydantic import SecretStr, field_validator

from kube_provision_core import DriverConfig, OnNodeNetwork, option

from .tokens import new_seed


class KubernetesConfig(DriverConfig):
    """Keys for kubernetes."""

    kubernetes_seeds: tuple[OnNodeNetwork[IPv4Address], ...] = option(
        (), help="Addresses of masters that are static: every node asks them, beside those that a run has seen."
    )
    kubernetes_bind_interface: str | None = option(
        None,
        per_role=True,
        pattern=r"^[A-Za-z0-9._-]{1,15}$",
        example="eth1",
        help="Network interface whose address a node uses; unset: the one that the target names, else that of its route to "
        "a master.",
    )
    kubernetes_seed: SecretStr | None = option(
        None,
        shown=False,
        help="64 hexadecimal digits, of which the tokens are made that find the cluster. Made for a new cluster.",
    )

    @field_validator("kubernetes_seed")
    @classmethod
    def _is_seed(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.fullmatch(r"[0-9a-f]{64}", value.get_secret_value()):
            raise ValueError("no seed: 64 hexadecimal digits are needed, as `openssl rand -hex 32` prints them")
        return value

    def founding(self) -> Mapping[str, Callable[[], str]]:
        """Machines that are there already would know nothing of it."""
        return {} if self.kubernetes_seed else {"kubernetes_seed": new_seed}
