"""The living cluster's API: what a run asks of it before it adds machines, and after machines are gone for good.

Only through the masters' own addresses, with certificates that are signed here, from the folder of secrets, for an hour.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from ..certificates import KeyPair
from ..errors import ControlPlaneError
from ..kubeconfig import API_PORT
from ..model import Endpoint
from ..pki import ADMINISTRATORS, Pki, create_token
from . import kubeadm_objects
from .etcd import Etcd, EtcdMember, EtcdQuorum
from .https_client import Answer, HttpsClient

__all__ = ["ClusterNode", "ControlPlane", "EtcdMember", "EtcdQuorum"]

ETCD_PORT = 2379

US = "kube-provision"
"""The user that the cluster's audit log shows for our own calls."""

OUR_LIFETIME = timedelta(hours=1)
"""Of the certificates for our own calls: longer than any run, of no use to a later thief."""

SECRETS = f"/api/v1/namespaces/{kubeadm_objects.NAMESPACE}/secrets"
RBAC = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{kubeadm_objects.NAMESPACE}"

PAGE = 250
MOST_PAGES = 100
TOKEN_ATTEMPTS = 3

OK = (200, 201)
NOT_FOUND = 404
CONFLICT = 409

ROLE_LABEL = "node-role.kubernetes.io/"


@dataclass(frozen=True, slots=True)
class ClusterNode:
    """A node, as the cluster itself sees it."""

    name: str
    ready: bool
    roles: tuple[str, ...]
    """`control-plane` for a master; none for a worker."""
    address: str | None
    message: str = ""
    """Why it is not ready, in the kubelet's words."""


class ControlPlane:
    """Calls to the masters at `addresses`, in this order until one answers. A context manager; connects when first asked.

    Every call is bounded by `timeout` seconds per address, may be repeated, and raises ControlPlaneError if no address
    answers or the cluster refuses.
    """

    def __init__(
        self,
        addresses: Sequence[str],
        pki: Pki,
        *,
        timeout: float = 10.0,
        endpoint: Callable[[str, int], Endpoint] = Endpoint,
    ) -> None:
        """`endpoint`: where this host reaches a port of a master, such as `Cluster.endpoint`."""
        self._endpoint = endpoint
        self._addresses = tuple(addresses)
        self._pki = pki
        self._timeout = timeout

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        for name in ("_api", "_etcd_client"):
            # Only what was used has been made.
            client = self.__dict__.pop(name, None)
            if client is not None:
                client.close()

    def check(self) -> None:
        """A master is ready to serve."""
        self._expect(self._api.call("GET", "/readyz"), "is not ready")

    def version(self) -> str:
        """Of Kubernetes, as the API server that answers has it: `1.36.4`."""
        document = self._expect(self._api.call("GET", "/version"), "does not say its version").document
        return str(document.get("gitVersion", "")).removeprefix("v")

    def mint_token(self, seconds: int) -> str:
        """A new bootstrap token, good for joining until `seconds` from now."""
        token, _ = self._create_token(lambda token: kubeadm_objects.bootstrap_token(token, timedelta(seconds=seconds)))
        return token

    def upload_certificates(self, certificate_key: str) -> None:
        """Let masters that know `certificate_key` (64 hex digits) fetch the authorities, for two hours.

        Replaces an earlier upload: masters that know only an earlier key can no longer join.
        """
        _, owner = self._create_token(kubeadm_objects.expiry_token)
        self._put(SECRETS, kubeadm_objects.certificates(self._pki, certificate_key, owner))
        self._put(f"{RBAC}/roles", kubeadm_objects.certificates_role())
        self._put(f"{RBAC}/rolebindings", kubeadm_objects.certificates_role_binding())

    def nodes(self) -> tuple[ClusterNode, ...]:
        """Every node that the cluster counts, ready or not."""
        nodes: list[ClusterNode] = []
        token = ""
        for _ in range(MOST_PAGES):
            answer = self._api.call("GET", f"/api/v1/nodes?limit={PAGE}&continue={quote(token, safe='')}")
            document = self._expect(answer, "does not list its nodes").document
            nodes += [_node(item) for item in document.get("items") or ()]
            token = document.get("metadata", {}).get("continue") or ""
            if not token:
                break
        return tuple(nodes)

    def delete_node(self, name: str) -> None:
        """Have the cluster forget a machine that is gone; one that it does not know is fine."""
        answer = self._api.call("DELETE", f"/api/v1/nodes/{quote(name, safe='')}")
        if answer.status != NOT_FOUND:
            self._expect(answer, f"does not delete node {name}")

    def etcd_members(self) -> tuple[EtcdMember, ...]:
        """Every member of the cluster's etcd, learners too."""
        return self._etcd.members()

    def etcd_quorum(self) -> EtcdQuorum:
        """Which etcd members answer; works without a quorum, too."""
        return self._etcd.quorum()

    def check_quorum(self) -> None:
        """Raises ControlPlaneError, saying who is missing, unless a majority of etcd's voters answers."""
        self._etcd.check_quorum()

    def remove_etcd_member(self, member_id: str) -> None:
        """Remove a member that is gone for good; one that is removed already is fine.

        Without a quorum, or where it would cost the quorum, raises ControlPlaneError and changes nothing.
        """
        self._etcd.remove(member_id)

    @cached_property
    def _api(self) -> HttpsClient:
        credential = self._pki.administrator(US, OUR_LIFETIME)
        return self._client(API_PORT, self._pki.ca, credential)

    @cached_property
    def _etcd_client(self) -> HttpsClient:
        credential = self._pki.etcd_client(US, OUR_LIFETIME)
        return self._client(ETCD_PORT, self._pki.etcd_ca, credential)

    def _client(self, port: int, authority: bytes, credential: KeyPair) -> HttpsClient:
        return HttpsClient(self._addresses, port, authority, credential, timeout=self._timeout, endpoint=self._endpoint)

    @property
    def _etcd(self) -> Etcd:
        return Etcd(self._etcd_client)

    def _create_token(self, build: Callable[[str], kubeadm_objects.Object]) -> tuple[str, kubeadm_objects.Object]:
        """A new token and its Secret as the server stored it.

        A name that exists belongs to another token, or to our own call that broke off: either way the next one is tried.
        """
        for _ in range(TOKEN_ATTEMPTS):
            token = create_token()
            answer = self._api.call("POST", SECRETS, build(token))
            if answer.status != CONFLICT:
                return token, self._expect(answer, "does not store a token").document
        raise ControlPlaneError(f"{answer.server} does not store a token: every new one is said to exist already")

    def _put(self, collection: str, document: kubeadm_objects.Object) -> None:
        """Replace the object or create it; another run may do the same in between."""
        name = document["metadata"]["name"]
        calls = (("PUT", f"{collection}/{name}"), ("POST", collection), ("PUT", f"{collection}/{name}"))
        for method, path in calls:
            answer = self._api.call(method, path, document)
            if answer.status not in (NOT_FOUND, CONFLICT):
                break
        self._expect(answer, f"does not store {document['kind']} {name}")

    def _expect(self, answer: Answer, trouble: str) -> Answer:
        if answer.status in OK:
            return answer
        raise ControlPlaneError(
            f"the master at {answer.server} {trouble} ({answer.status}: {answer.reason}){_advice(answer)}"
        )


def _advice(answer: Answer) -> str:
    if answer.status == 401:
        return ". It does not accept our certificate: compare its clock with ours"
    if answer.status == 403:
        return f". Is its ClusterRoleBinding {ADMINISTRATORS} gone?"
    return ""


def _node(document: Mapping[str, Any]) -> ClusterNode:
    metadata, status = document.get("metadata", {}), document.get("status", {})
    conditions = {entry["type"]: entry for entry in status.get("conditions") or ()}
    readiness = conditions.get("Ready", {})
    ready = readiness.get("status") == "True"
    addresses = {entry["type"]: entry["address"] for entry in reversed(status.get("addresses") or ())}
    labels = metadata.get("labels") or {}
    return ClusterNode(
        name=metadata.get("name", ""),
        ready=ready,
        roles=tuple(sorted(label.removeprefix(ROLE_LABEL) for label in labels if label.startswith(ROLE_LABEL))),
        address=addresses.get("InternalIP"),
        message="" if ready else str(readiness.get("message") or ""),
    )
