"""What an API server is told by short keys: who logs in from elsewhere, what is written down, and how pods may be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, ValidationInfo

from ..contract.local_paths import readable, resolve
from ..contract.urls import without_credentials
from .authorities import Authorities
from .document import MAX_BYTES, DocumentError, Fault, Item, Items, Table, Text, parse
from .script import Strict
from .words import Line, Word

AUDIT_API = "audit.k8s.io/v1"
AUDIT_LEVELS = ("None", "Metadata", "Request", "RequestResponse")

ARGUMENTS: Mapping[str, Sequence[str]] = {
    **dict.fromkeys(("audit-policy-file", "audit-log-path"), ("audit_policy", "hardened")),
    "admission-control-config-file": ("pod_security", "hardened"),
    **dict.fromkeys(("encryption-provider-config", "encryption-provider-config-automatic-reload"), ("encryption_at_rest",)),
    **dict.fromkeys(("oidc-issuer-url", "oidc-client-id", "oidc-ca-file", "authentication-config"), ("oidc", "hardened")),
    **dict.fromkeys(("oidc-username-claim", "oidc-username-prefix"), ("oidc", "hardened")),
    **dict.fromkeys(("oidc-groups-claim", "oidc-groups-prefix"), ("oidc", "hardened")),
    **dict.fromkeys(("oidc-required-claim", "oidc-signing-algs", "anonymous-auth"), ("hardened",)),
}
"""The keys of which each sets this argument, or which the program does not take beside it."""


def _issuer(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must be an https:// URL, below which /.well-known/openid-configuration is")
    return without_credentials()(url)


class Oidc(Strict):
    """Tokens of an OpenID provider that API servers take."""

    issuer_url: Annotated[str, AfterValidator(_issuer)]
    client_id: Word
    username_claim: Word = "sub"
    username_prefix: Line = "oidc:"
    groups_claim: Word | None = None
    groups_prefix: Line = "oidc:"
    """Never empty: a provider that sends `system:masters` would else make anybody the cluster's administrator."""
    ca: Authorities = ""
    """Authorities that the provider's certificate is checked against; else those that masters trust anyway."""


def _audit_policy(text: str, info: ValidationInfo) -> str:
    """A file, or its text; read as text."""
    if not text:
        return text
    if "\n" in text:
        return _checked(text, "")
    path = readable(resolve(Path(text), info))
    data = path.read_bytes()
    if len(data) > MAX_BYTES:
        raise ValueError(f"{path} is larger than {MAX_BYTES // 1024 // 1024} MiB")
    try:
        return _checked(data.decode(), str(path))
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text") from error


def _checked(text: str, name: str) -> str:
    """What an API server would not start with."""
    try:
        faults = tuple(_faults(parse(text)))
    except DocumentError as error:
        faults = error.faults
    if faults:
        raise ValueError("; ".join(":".join(filter(None, (name, str(it.line or "")))) + f": {it.text}" for it in faults))
    return text


def _faults(policy: Item) -> Iterator[Fault]:
    values = policy.items if isinstance(policy, Table) else {}
    for key, only in (("apiVersion", AUDIT_API), ("kind", "Policy")):
        found = values.get(key)
        if not isinstance(found, Text) or found.text != only:
            yield Fault(policy.line, f"{key} must be {only}")
    rules = values.get("rules")
    if not isinstance(rules, Items) or not rules.items:
        yield Fault(policy.line, "rules must be a list, with one rule at least")
        return
    for rule in rules.items:
        level = rule.items.get("level") if isinstance(rule, Table) else None
        if not isinstance(level, Text) or level.text not in AUDIT_LEVELS:
            yield Fault(rule.line, f"a rule's level must be {', '.join(AUDIT_LEVELS[:-1])} or {AUDIT_LEVELS[-1]}")


AuditPolicy = Annotated[str, AfterValidator(_audit_policy)]
"""Written as a local file or as its text; read as text. Empty: none."""

PodSecurity = Literal["baseline", "restricted"]
