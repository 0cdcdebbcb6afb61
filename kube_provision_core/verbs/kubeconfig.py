"""A kubeconfig for the operator, or for somebody whom the cluster lets do less. Nothing of it is kept in the folder."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509

from ..cluster import control_plane
from ..cluster.api import US
from ..cluster.certificates import check_signature, handshake
from ..contract.errors import ConfigError, ControlPlaneError
from ..contract.hosts import host_fault
from ..contract.machines import Endpoint
from ..engine.session import Session
from ..folder.kubeconfig import API_PORT, OPERATOR, OPERATOR_LIFETIME, Access, Server, server_of
from ..folder.pki import ADMINISTRATORS, Pki
from .planning import look

EVERY_SERVER = "kubernetes"
"""A name that kubeadm writes into the certificate of each API server, whatever its master's address is."""

USER_LIFETIME = timedelta(days=30)
"""Unless said otherwise: a client certificate cannot be withdrawn, and only what its user and groups may do can be."""

SYSTEM = "system:"
LONGEST_NAME = 64
"""Bytes, in X.509 (ub-common-name)."""


@dataclass(frozen=True)
class Wish:
    """What is asked for. All may be left out."""

    user: str | None = None
    """None: the operator."""
    groups: tuple[str, ...] = ()
    days: int | None = None
    server: str | None = None
    """A host, or a host and its port, by which a site knows the API server."""
    system: bool = False
    """Names that are Kubernetes' own are meant."""
    name: str | None = None
    """Of all its entries, in place of those that follow from cluster and user."""


@dataclass(frozen=True)
class Made:
    access: Access
    notes: tuple[str, ...]


def kubeconfig(session: Session, wish: Wish) -> Made:
    """Make one. Raises `ConfigError` for a wish that cannot be met, `ControlPlaneError` where no master answers.

    Machines are only asked where the wish names no server.
    """
    folder, cluster = session.folder, session.config.core.name
    if not folder.saved:
        raise ConfigError(f"cluster {cluster} has no folder at {folder.where}: provision it, or name another --state")
    if problems := [*_objections(wish), *_too_long(wish, folder.pki)]:
        raise ConfigError(*problems)
    server, notes = _named_server(wish.server, folder.pki) if wish.server is not None else (_answering(session), ())
    groups = (ADMINISTRATORS,) if wish.user is None else wish.groups
    credential = folder.pki.user(wish.user or OPERATOR, groups, _lifetime(wish))
    user = f"{wish.user}@{cluster}" if wish.user else cluster
    return Made(Access(wish.name or cluster, wish.name or user, server, folder.pki.ca, credential), notes)


# --- for whom -----------------------------------------------------------------------------------------------------------


def _objections(wish: Wish) -> Iterator[str]:
    named = {"--user": () if wish.user is None else (wish.user,), "--group": wish.groups}
    for option, names in named.items():
        for name in names:
            if not name.isprintable() or name != name.strip() or not 0 < len(name.encode()) <= LONGEST_NAME:
                yield f"{option} {name!r}: 1 to {LONGEST_NAME} bytes are meant, printable, without blanks around them"
            elif name.startswith(SYSTEM) and not wish.system:
                yield f"{option} {name}: names of Kubernetes' own begin so{_more(name)}; say --allow-system if it is meant"
    if wish.name is not None and not (wish.name.isprintable() and wish.name.strip()):
        yield f"--as {wish.name!r}: a name is meant, printable"
    if wish.user in (OPERATOR, US):
        yield f"--user {wish.user}: the audit log would take them for the operator: choose another name"


def _more(name: str) -> str:
    return ", and what this one may do can never be taken away" if name == "system:masters" else ""


def _too_long(wish: Wish, pki: Pki) -> Iterator[str]:
    end = x509.load_pem_x509_certificate(pki.ca).not_valid_after_utc
    now = datetime.now(UTC)
    if now + _lifetime(wish) > end:
        left = (end - now).days
        yield f"--days: the cluster's authority ends on {end:%Y-%m-%d}, and what it signs too: {max(left, 0)} at most"


def _lifetime(wish: Wish) -> timedelta:
    if wish.days is not None:
        return timedelta(days=wish.days)
    return OPERATOR_LIFETIME if wish.user is None else USER_LIFETIME


# --- where --------------------------------------------------------------------------------------------------------------


def _answering(session: Session) -> Server:
    """A master that answers now."""
    facts = look(session)
    with control_plane(facts.seen, facts.folder.pki) as api:
        api.version()
        address = api.answering
    return server_of(address, facts.seen.cluster.endpoint(address, API_PORT))


def _named_server(server: str, pki: Pki) -> tuple[Server, tuple[str, ...]]:
    """With the name that its certificate bears, where that is another. One that is silent here may be heard elsewhere."""
    at = _endpoint(server)
    try:
        shown = handshake(at, at.host)
    except ControlPlaneError as silence:
        return Server(at, EVERY_SERVER), (f"{silence}: from here it could not be seen that this is the cluster",)
    try:
        check_signature(shown, pki.ca, server)
    except ControlPlaneError as error:
        raise ConfigError(f"--server: {error}") from error
    return Server(at, "" if at.host.lower() in _names(shown) else EVERY_SERVER), ()


def _endpoint(server: str) -> Endpoint:
    if fault := host_fault(server):
        raise ConfigError(f"--server {server}: it {fault}; a host is meant, or host:port")
    host, port = re.findall(r"(\[.*\]|[^:]+):?(\d*)", server)[0]
    return Endpoint(host.strip("[]"), int(port or API_PORT))


def _names(certificate: x509.Certificate) -> set[str]:
    """Names and addresses of a server, as its certificate has them."""
    found = (it.value for it in certificate.extensions if isinstance(it.value, x509.SubjectAlternativeName))
    return {str(name.value).lower() for names in found for name in names}
