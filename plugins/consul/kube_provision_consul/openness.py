"""What `status` says of a Consul that is provisioned and open, as an earlier version has made it, or while it is closed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kube_provision_core import Role

from . import layout

OPEN = (
    "this cluster's Consul is open, as an earlier version has made it: whoever reaches its port 8500, pods too, may change"
    " the record, the lock and the list of masters. The Consul plugin's README says how it is closed, and what helps until"
    " then"
)
UNANSWERED = (
    "consul_closing: where this cluster's Consul is still the open one, it does not answer HTTPS. Remove its machine and run"
    " again, which makes the one that lets machines become known"
)
CLOSED = "consul_closing: this cluster's Consul is closed. Take the key out of the configuration"


def standing(told: Sequence[Mapping[str, Any]], *, closing: bool) -> str:
    """Of a Consul with a seed. `told`: the nodes that it names to who has no token; none where it is closed."""
    if not told:
        return CLOSED if closing else ""
    roles = {it["Node"]: (it.get("Meta") or {}).get(layout.ROLE_META) for it in told}
    without = sorted(it["Node"] for it in told if layout.CLOSED_META not in (it.get("Meta") or {}))
    servers = sorted(name for name, role in roles.items() if role == Role.DISCOVERY)
    still = "this cluster's Consul is being closed, and still takes whoever reaches it"
    if without:
        return f"{still}: {', '.join(without)} have no token yet. Make them anew: kube-provision replace {' '.join(without)}"
    removed = " ".join(f"--node {name}" for name in servers)
    return (
        f"{still}. Every machine has a token: take consul_closing out of the configuration, then kube-provision destroy"
        f" {removed}, and run again"
    )
