"""The living cluster's API: what a run asks of it before it adds machines, and after machines are gone for good.

Only through the masters' own addresses, with certificates that are signed here, from the folder of secrets, for an hour.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from functools import cached_property
from types import TracebackType
from typing import Self
from urllib.parse import quote

from ..contract.errors import ControlPlaneError
from ..contract.machines import Endpoint
from ..folder.kubeconfig import API_PORT
from ..folder.pki import Pki, create_token
from ..folder.x509 import KeyPair
from . import kubeadm_objects
from .answers import CONFIG_MAPS, CONFLICT, NODES, NOT_FOUND, expect, find, items, put
from .backups import BackupCalls
from .cluster_node import ClusterNode, read_node
from .etcd import Etcd
from .https_client import HttpsClient
from .inventory import Inventory
from .kubeadm_configuration import KubeadmConfiguration
from .labels import Labels
from .secrets_at_rest import SecretsAtRest
from .snapshot import EtcdSnapshot, snapshot
from .versions import VersionCalls
from .workloads import Workloads

ETCD_PORT = 2379

TIMEOUT = 30.0
"""Seconds that a master may take for an answer: one whose etcd needs ten for each step is slow, and not off."""

US = "kube-provision"
"""The user that the cluster's audit log shows for our own calls."""

OUR_LIFETIME = timedelta(hours=1)
"""Of the certificates for our own calls: longer than one action, each of which has its own; of no use to a later thief."""

SECRETS = f"/api/v1/namespaces/{kubeadm_objects.NAMESPACE}/secrets"
RBAC = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{kubeadm_objects.NAMESPACE}"

TOKEN_ATTEMPTS = 3


class ControlPlane:
    """Calls to the masters at `addresses`, in this order until one answers. A context manager; connects when first asked.

    Every call is bounded by `timeout` seconds per address (an address where nobody listens takes `CONNECT_TIMEOUT` at the
    most), may be repeated, and raises ControlPlaneError if no address answers or the cluster refuses.
    """

    def __init__(
        self,
        addresses: Sequence[str],
        pki: Pki,
        *,
        timeout: float = TIMEOUT,
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
        expect(self._api.call("GET", "/readyz"), "is not ready")

    def version(self) -> str:
        """Of Kubernetes, as the API server that answers has it: `1.37.1`."""
        document = expect(self._api.call("GET", "/version"), "does not say its version").document
        return str(document.get("gitVersion", "")).removeprefix("v")

    def kubeadm_configuration(self) -> KubeadmConfiguration:
        """What kubeadm keeps in the cluster; an empty one if it is not there."""
        kept = find(self._api, f"{CONFIG_MAPS}/kubeadm-config", "does not show kubeadm's configuration")
        return KubeadmConfiguration(kept.get("data", {}).get("ClusterConfiguration", ""))

    def mint_token(self, seconds: int) -> str:
        """A new bootstrap token, good for joining until `seconds` from now."""
        token, _ = self._create_token(lambda token: kubeadm_objects.bootstrap_token(token, timedelta(seconds=seconds)))
        return token

    def upload_certificates(self, certificate_key: str) -> None:
        """Let masters that know `certificate_key` (64 hex digits) fetch the authorities, for two hours.

        Replaces an earlier upload: masters that know only an earlier key can no longer join.
        """
        _, owner = self._create_token(kubeadm_objects.expiry_token)
        put(self._api, SECRETS, kubeadm_objects.certificates(self._pki, certificate_key, owner))
        put(self._api, f"{RBAC}/roles", kubeadm_objects.certificates_role())
        put(self._api, f"{RBAC}/rolebindings", kubeadm_objects.certificates_role_binding())

    def nodes(self) -> tuple[ClusterNode, ...]:
        """Every node that the cluster counts, ready or not."""
        return tuple(read_node(item) for item in items(self._api, NODES, "does not list its nodes"))

    def delete_node(self, name: str) -> None:
        """Have the cluster forget a machine that is gone; one that it does not know is fine."""
        answer = self._api.call("DELETE", f"{NODES}/{quote(name, safe='')}")
        if answer.status != NOT_FOUND:
            expect(answer, f"does not delete node {name}")

    @property
    def workloads(self) -> Workloads:
        """The pods on its nodes, and what keeps them there."""
        return Workloads(self._api)

    @property
    def labels(self) -> Labels:
        """What its nodes are to be chosen by."""
        return Labels(self._api)

    @property
    def versions(self) -> VersionCalls:
        """Which versions of Kubernetes its parts have."""
        return VersionCalls(self._api)

    @property
    def backups(self) -> BackupCalls:
        """What it says of its last backup."""
        return BackupCalls(self._api)

    @property
    def secrets_at_rest(self) -> SecretsAtRest:
        """How its Secrets are kept."""
        return SecretsAtRest(self._api)

    @property
    def inventory(self) -> Inventory:
        """What of it may be shown to anybody."""
        return Inventory(self._api)

    @property
    def etcd(self) -> Etcd:
        """Its members, and whether they have a quorum."""
        return Etcd(self._etcd_client)

    def etcd_snapshot(self) -> AbstractContextManager[EtcdSnapshot]:
        """etcd's own snapshot, as it arrives: in it is all that was acknowledged before. Raises ControlPlaneError."""
        return snapshot(self._etcd_client)

    @property
    def answering(self) -> str:
        """Address of the master that has answered last."""
        return self._api.preferred

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

    def _create_token(self, build: Callable[[str], kubeadm_objects.Object]) -> tuple[str, kubeadm_objects.Object]:
        """A new token and its Secret as the server stored it.

        A name that exists belongs to another token, or to our own call that broke off: either way the next one is tried.
        """
        for _ in range(TOKEN_ATTEMPTS):
            token = create_token()
            answer = self._api.call("POST", SECRETS, build(token))
            if answer.status != CONFLICT:
                return token, expect(answer, "does not store a token").document
        raise ControlPlaneError(f"{answer.server} does not store a token: every new one is said to exist already")
