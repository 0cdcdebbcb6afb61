"""What tokens must be allowed: right by right, and as policies that are ready to be applied to an existing Consul."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from kube_provision_core import Cluster, Node, Role

from . import layout
from .node.api import rule
from .node.rights import ITSELF, OURS, Ask, token, wanted
from .seed import Seed

_SCRIPT = """\
# For the administrator of Consul, with the command `consul` and a token that may write ACLs: the policies that
# kube-provision needs for the cluster {cluster}. Running it again brings them up to date.
set -eu
policy() {{
    rules=$(cat)
    if consul acl policy read -name "$1" >/dev/null 2>&1; then do=update; else do=create; fi
    consul acl policy $do -name "$1" -rules "$rules"
}}
"""
_TOKENS = """
# A token for each, or one for all, which is consul_token in kube-provision's configuration; those of masters and workers
# may stand under masters: and workers:
#   consul acl token create -policy-name NAME
"""


class Right(NamedTuple):
    """One rule of a policy: `node_prefix "m-prod-" { policy = "write" }`."""

    kind: str
    name: str
    access: str
    why: str

    @property
    def rule(self) -> str:
        return rule(self.kind, self.name, self.access)


def of_operator(cluster: str, names: Iterable[str]) -> tuple[Right, ...]:
    """Of the operator's token. `names`: of the cluster's machines."""
    return (
        Right("key_prefix", layout.prefix(cluster), "write", "the record of initialisation; destroy deletes it"),
        Right("key", layout.run_lock_key(cluster), "write", "one run at a time"),
        Right("session_prefix", "", "write", "holds that lock, by the server that is asked, whatever its name"),
        Right("service", layout.service_name(cluster), "read", "the healthy masters"),
        *(
            Right("node_prefix", prefix, "write", "whose names these are; machines that are gone leave the catalog")
            for prefix in _prefixes(frozenset(names))
        ),
        Right("operator", "", "write", "they leave the gossip, too"),
    )


def of_node(node: Node, names: Iterable[str]) -> tuple[Right, ...]:
    """Of a master's or a worker's token, which its agent uses for itself, too. `names`: as for the operator's."""
    own = _prefix(node.name)
    return _of(node.role, node.stamp.cluster, "_prefix", own, [it for it in _prefixes(frozenset(names)) if it != own])


def of_machine(role: Role, cluster: str, name: str) -> tuple[Right, ...]:
    """Of the token of one machine alone, in a Consul that is provisioned, where all machines are the cluster's."""
    seen = Right("node_prefix", "", "read", "masters are shown with their machines, or not at all")
    return (*_of(role, cluster, "", name, ()), seen)


def _of(role: Role, cluster: str, kind: str, own: str, others: Iterable[str]) -> tuple[Right, ...]:
    """`kind`: whether `own` is a name, or what names begin with, as `others` are."""
    known = Right(f"node{kind}", own, "write", "an agent makes itself known")
    if role is not Role.MASTER:
        return (
            known,
            Right("service", layout.service_name(cluster), "read", "the healthy masters"),
            *(
                Right("node_prefix", prefix, "read", "they are shown with their machines, or not at all")
                for prefix in others
            ),
        )
    return (
        known,
        Right("service", layout.service_name(cluster), "write", "masters register there"),
        Right("key_prefix", layout.prefix(cluster), "write", "the record of initialisation, and the masters' lock"),
        Right(f"session{kind}", own, "write", "holds that lock"),
    )


def grants(seed: Seed, cluster: Cluster) -> dict[str, Any]:
    """What gives the cluster's machines their rights: see `node.rights.grant`."""
    roles = [role for role in Role if role is not Role.DISCOVERY]
    return {
        "seed": seed.of_tokens,
        "rights": {role.value: [list(it[:3]) for it in of_machine(role, cluster.name, ITSELF)] for role in roles},
        "machines": {role.value: sorted(it for it, its in cluster.nodes.items() if its.kind is role) for role in roles},
    }


def revoke(ask: Ask, grants: Mapping[str, Any]) -> None:
    """No machine but these has any right. No server does so: one that boots may know less than the others by then."""
    names = {OURS + name: token(grants["seed"], name).accessor for name, _ in wanted(grants)}
    accessors = set(names.values())
    for it in ask("GET", "/v1/acl/tokens", ""):
        if it["Description"].startswith(OURS) and it["AccessorID"] not in accessors:
            ask("DELETE", f"/v1/acl/token/{it['AccessorID']}", "")
    for it in ask("GET", "/v1/acl/policies", ""):
        if it["Name"].startswith(OURS) and it["Name"] not in names:
            ask("DELETE", f"/v1/acl/policy/{it['ID']}", "")


def unless_leaving(rights: Iterable[Right]) -> list[Right]:
    """Those of an operator who takes no machine away."""
    kept = (right for right in rights if right.kind != "operator")
    return [right._replace(access="read") if right.kind == "node_prefix" else right for right in kept]


def to_see(rights: Iterable[Right]) -> list[Right]:
    """Those without which machines and masters are left out of an answer."""
    return [right._replace(access="read") for right in rights if right.kind in ("service", "node_prefix")]


def script(nodes: Sequence[Node]) -> str:
    """Shell that makes the policies of a cluster, one each for the operator, its masters and its workers."""
    cluster = nodes[0].stamp.cluster
    names = [node.name for node in nodes]
    policies = {"operator": of_operator(cluster, names)}
    policies |= {f"{node.role.value}s": of_node(node, names) for node in nodes}
    texts = [_policy(f"kube-provision-{cluster}-{who}", rights) for who, rights in policies.items()]
    return "\n".join([_SCRIPT.format(cluster=cluster), *texts]) + _TOKENS


def lacking(rights: Iterable[Right], whose: str) -> str:
    """The line that says what is missing."""
    rules = ", ".join(right.rule for right in rights)
    return f"{whose} lacks {rules}: `kube-provision plugins grants` prints its policy"


def _policy(name: str, rights: Sequence[Right]) -> str:
    rules = "".join(f"# {right.why}\n{right.rule}\n" for right in rights)
    return f"policy {name} <<'END'\n{rules}END\n"


@lru_cache(maxsize=16)
def _prefixes(names: frozenset[str]) -> tuple[str, ...]:
    """Asked for once more by every machine's boot data."""
    return tuple(sorted(set(map(_prefix, names))))


def _prefix(name: str) -> str:
    """What the names of all machines of a role begin with: they come and go, rules stay."""
    return name.rstrip("0123456789")
