"""Who asks the API, by bootstrap tokens that are made of the folder's seed; what each may; as objects of the API's."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import string
from collections.abc import Iterator
from enum import StrEnum
from typing import Any

from kube_provision_core import Role

from . import layout

_ALPHABET = string.ascii_lowercase + string.digits
_ID, _SECRET = 6, 16
"""Characters, as Kubernetes wants them."""
_RBAC = "rbac.authorization.k8s.io"
_READ = ["get", "list", "watch"]
_WRITE = [*_READ, "create", "update", "patch"]


class Asker(StrEnum):
    """The last part of the group of who asks."""

    WORKERS = "workers"
    MASTERS = "masters"
    OPERATORS = "operators"

    @property
    def group(self) -> str:
        return f"system:bootstrappers:kube-provision:{self.value}"


_MAY = {
    Asker.WORKERS: {"configmaps": _READ},
    Asker.MASTERS: {"configmaps": _WRITE, "leases": _WRITE},
    Asker.OPERATORS: {"configmaps": [*_WRITE, "delete"], "leases": [*_WRITE, "delete"]},
}
"""In our namespace, where nothing else is."""
_API_GROUPS = {"configmaps": "", "leases": "coordination.k8s.io"}


def new_seed() -> str:
    return secrets.token_hex(32)


def asker_of(role: Role) -> Asker:
    return Asker.MASTERS if role.kind is Role.MASTER else Asker.WORKERS


def token(seed: str, asker: Asker) -> str:
    """`id.secret`; the id is public. One does not lead to another, nor to the seed."""
    return f"{_words(seed, asker, 'id', _ID)}.{_words(seed, asker, 'secret', _SECRET)}"


def _words(seed: str, asker: Asker, part: str, length: int) -> str:
    """Of 36 characters each, from so large a number that none is likelier than another by anything one could notice."""
    number = int.from_bytes(hmac.digest(bytes.fromhex(seed), f"{asker.value} {part}".encode(), hashlib.sha256))
    found = []
    for _ in range(length):
        number, index = divmod(number, len(_ALPHABET))
        found.append(_ALPHABET[index])
    return "".join(found)


def rights(seed: str) -> list[dict[str, Any]]:
    """All that the first master has to make: a namespace, three tokens, and what each of them may."""
    return [_object("v1", "Namespace", layout.NAMESPACE), *_tokens(seed), *_granted()]


def _tokens(seed: str) -> Iterator[dict[str, Any]]:
    for asker in Asker:
        identity, _, secret = token(seed, asker).partition(".")
        told = {
            "description": f"kube-provision: how {asker.value} find the cluster. It has no end, and joins nothing",
            "token-id": identity,
            "token-secret": secret,
            "usage-bootstrap-authentication": "true",
            "auth-extra-groups": asker.group,
        }
        named = _object("v1", "Secret", f"bootstrap-token-{identity}", "kube-system")
        yield named | {"type": "bootstrap.kubernetes.io/token", "stringData": told}


def _granted() -> Iterator[dict[str, Any]]:
    for asker in Asker:
        rules = [
            {"apiGroups": [_API_GROUPS[resource]], "resources": [resource], "verbs": verbs}
            for resource, verbs in _MAY[asker].items()
        ]
        yield from _role(f"kube-provision-{asker.value}", layout.NAMESPACE, rules, [asker])
    slices = {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": _READ}
    yield from _role("kube-provision-nodes", "default", [slices], list(Asker))


def _role(name: str, namespace: str, rules: list[dict[str, Any]], askers: list[Asker]) -> Iterator[dict[str, Any]]:
    yield _object(f"{_RBAC}/v1", "Role", name, namespace) | {"rules": rules}
    yield _object(f"{_RBAC}/v1", "RoleBinding", name, namespace) | {
        "roleRef": {"apiGroup": _RBAC, "kind": "Role", "name": name},
        "subjects": [{"apiGroup": _RBAC, "kind": "Group", "name": asker.group} for asker in askers],
    }


def _object(version: str, kind: str, name: str, namespace: str = "") -> dict[str, Any]:
    where = {"namespace": namespace} if namespace else {}
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, **where}}
