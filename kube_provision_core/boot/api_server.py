"""What short keys make of an API server: files on each master, and the arguments that name them.

https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/,
https://kubernetes.io/docs/tasks/configure-pod-container/enforce-standards-admission-controller/,
https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/,
https://kubernetes.io/docs/reference/access-authn-authz/authentication/#openid-connect-tokens
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..contract.boot import File
from ..contract.errors import BootError
from . import hardened
from .yaml_text import dump

if TYPE_CHECKING:
    from ..config.api_server import Oidc
    from ..config.core import CoreConfig
    from ..folder.encryption import Encryption
    from ..folder.pki import JoinSecrets

FOLDER = hardened.FOLDER
AUDIT_LOGS = "/var/log/kubernetes/audit"

_POLICY, _ADMISSION, _ISSUER = (f"{FOLDER}/{name}" for name in ("audit-policy.yaml", "admission.yaml", "oidc-ca.pem"))
KEYS = f"{FOLDER}/encryption.yaml"
FILES = {
    _POLICY: "audit_policy or hardened",
    _ADMISSION: "pod_security or hardened",
    _ISSUER: "oidc.ca",
    KEYS: "encryption_at_rest",
    hardened.AUTHENTICATION: "hardened",
}
"""The key that each is there for."""
_KEPT = {"audit-log-maxage": "30", "audit-log-maxbackup": "10", "audit-log-maxsize": "100"}
"""Days, files, and megabytes of each: kept without end they would fill the disk. A user may say otherwise."""


def files(config: CoreConfig, secrets: JoinSecrets) -> Iterator[File]:
    """Each master has them before kubeadm begins: an API server does not start without. Raises `BootError` where keys are
    to be had that the cluster's folder has not, or the other way round."""
    if policy := _audit_policy(config):
        yield File(_POLICY, policy, mode=0o600)
    if plugins := [*_admission_plugins(config)]:
        yield File(_ADMISSION, dump(_admission(plugins)), mode=0o600)
    if config.hardened:
        jwt = [_jwt(config.oidc)] if config.oidc else []
        yield File(hardened.AUTHENTICATION, dump(hardened.authentication(jwt)), mode=0o600)
    elif config.oidc and config.oidc.ca:
        yield File(_ISSUER, config.oidc.ca, mode=0o600)
    if bool(secrets.encryption) is not config.encryption_at_rest:
        raise BootError("encryption_at_rest: the cluster was made with another setting, and its folder goes by that")
    if secrets.encryption:
        yield File(KEYS, encryption_configuration(secrets.encryption), mode=0o600, secret=True)


def paths(config: CoreConfig) -> frozenset[str]:
    """Of all `files`: those that arguments name."""
    return frozenset(value for _, value in _arguments(config) if value.startswith(f"{FOLDER}/"))


def encryption_configuration(encryption: Encryption) -> str:
    """What API servers do about Secrets before etcd has them. Nothing else is read: not what somebody has written there
    without a key.

    `secretbox`, of those that need no service beside: Kubernetes advises against `aescbc` (padding oracles), and a key of
    `aesgcm` is good for 200,000 writes alone.
    https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/#providers
    """
    keys = [{"name": key.name, "secret": key.secret} for key in encryption.keys]
    secrets = {"resources": ["secrets"], "providers": [{"secretbox": {"keys": keys}}]}
    return dump({"apiVersion": "apiserver.config.k8s.io/v1", "kind": "EncryptionConfiguration", "resources": [secrets]})


def settings(config: CoreConfig) -> dict[str, Any]:
    """Of a ClusterConfiguration's `apiServer`; empty where no such key is used."""
    arguments = dict(_arguments(config))
    volumes = [*_volume("kube-provision", FOLDER, reads=bool(paths(config)))]
    volumes += _volume("kube-provision-audit", AUDIT_LOGS, reads=bool(_audit_policy(config)), read_only=False)
    lists = {"extraArgs": [{"name": name, "value": value} for name, value in arguments.items()], "extraVolumes": volumes}
    return {name: items for name, items in lists.items() if items}


def _arguments(config: CoreConfig) -> Iterator[tuple[str, str]]:
    if _audit_policy(config):
        yield "audit-policy-file", _POLICY
        yield "audit-log-path", f"{AUDIT_LOGS}/audit.log"
        yield from ((name, value) for name, value in _KEPT.items() if name not in given(config))
    if any(_admission_plugins(config)):
        yield "admission-control-config-file", _ADMISSION
    if config.encryption_at_rest:
        yield "encryption-provider-config", KEYS
    if config.hardened:
        yield from hardening(config, hardened.API_SERVER)
    elif config.oidc:
        yield from ((f"oidc-{name}", value) for name, value in _oidc(config.oidc).items() if value)


def given(config: CoreConfig, program: str = hardened.API_SERVER) -> set[str]:
    """Names of the arguments that a user has given one of the control plane's programs."""
    settings: Any = config.kubeadm.cluster.get(program, {})
    return {argument["name"] for argument in settings.get("extraArgs", ())}


def hardening(config: CoreConfig, program: str) -> Iterator[tuple[str, str]]:
    """Arguments of one of the control plane's programs; none where nobody asks for it. What a user gives counts instead."""
    if config.hardened:
        yield from (
            (name, value) for name, value in hardened.arguments(program).items() if name not in given(config, program)
        )


def _audit_policy(config: CoreConfig) -> str:
    return config.audit_policy or (hardened.AUDIT_POLICY if config.hardened else "")


def _jwt(oidc: Oidc) -> dict[str, Any]:
    """The same as the arguments say; an API server takes no such argument beside a document."""
    ca = {"certificateAuthority": oidc.ca} if oidc.ca else {}
    name = {"claim": oidc.username_claim, "prefix": "" if oidc.username_prefix == "-" else oidc.username_prefix}
    groups = {"groups": {"claim": oidc.groups_claim, "prefix": oidc.groups_prefix}} if oidc.groups_claim else {}
    issuer = {"url": oidc.issuer_url, "audiences": [oidc.client_id], **ca}
    return {"issuer": issuer, "claimMappings": {"username": name, **groups}}


def _oidc(oidc: Oidc) -> dict[str, str | None]:
    return {
        "issuer-url": oidc.issuer_url,
        "client-id": oidc.client_id,
        "username-claim": oidc.username_claim,
        "username-prefix": oidc.username_prefix,
        "groups-claim": oidc.groups_claim,
        "groups-prefix": oidc.groups_prefix,
        "ca-file": _ISSUER if oidc.ca else None,
    }


def _volume(name: str, path: str, *, reads: bool, read_only: bool = True) -> list[dict[str, Any]]:
    kind = "DirectoryOrCreate"
    volume = {"name": name, "hostPath": path, "mountPath": path, "readOnly": read_only, "pathType": kind}
    return [volume] if reads else []


def _admission_plugins(config: CoreConfig) -> Iterator[dict[str, Any]]:
    if config.pod_security:
        yield {"name": "PodSecurity", "configuration": _pod_security(config.pod_security)}
    if config.hardened:
        yield {"name": "EventRateLimit", "configuration": hardened.event_rate_limit()}


def _admission(plugins: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AdmissionConfiguration", "plugins": plugins}


def _pod_security(level: str) -> dict[str, Any]:
    """What holds where a namespace says nothing itself. Kubernetes' own pods, and network plugins, need more than either."""
    defaults = {"enforce": level, "audit": "restricted", "warn": "restricted"}
    return {
        "apiVersion": "pod-security.admission.config.k8s.io/v1",
        "kind": "PodSecurityConfiguration",
        "defaults": defaults | {f"{mode}-version": "latest" for mode in defaults},
        "exemptions": {"namespaces": ["kube-system"]},
    }
