"""Calls to an API server, as its clients on a host make them."""

from __future__ import annotations

import http.client
import json
import ssl
import tempfile
import time
from base64 import b64decode, b64encode
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from machines.standins.faults import StandInError
from machines.standins.places import ADMIN

from kube_provision_core.folder.x509 import KeyPair

SYSTEM = "/api/v1/namespaces/kube-system"
SECRETS = f"{SYSTEM}/secrets"
CONFIG_MAPS = f"{SYSTEM}/configmaps"
PODS = f"{SYSTEM}/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/kube-system/deployments"
DAEMON_SETS = "/apis/apps/v1/namespaces/kube-system/daemonsets"
NODES = "/api/v1/nodes"
CLUSTER_INFO = "/api/v1/namespaces/kube-public/configmaps/cluster-info"
REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"

SLOW = 60.0
"""Seconds for one answer to what has no limit of its own upstream: an emulated machine may take most of them."""


@dataclass(frozen=True)
class Api:
    """One server. Without an authority nothing is verified, without a credential or token one is nobody."""

    server: str
    authority: str = ""
    credential: KeyPair | None = None
    token: str = ""

    def call(self, method: str, path: str, document: object = None, timeout: float = 10.0) -> tuple[int, Any]:
        """Status and document. Raises `OSError` or `http.client.HTTPException` if nobody answers."""
        url = urlsplit(self.server)
        connection = http.client.HTTPSConnection(url.hostname or "", url.port, timeout=timeout, context=self._context())
        headers = {"Content-Type": "application/json"}
        headers |= {"Authorization": f"Bearer {self.token}"} if self.token else {}
        try:
            connection.request(method, path, None if document is None else json.dumps(document), headers)
            response = connection.getresponse()
            body = response.read()
        finally:
            connection.close()
        try:
            return response.status, json.loads(body)
        except ValueError:
            return response.status, body.decode(errors="replace")

    def expect(
        self, method: str, path: str, document: object = None, *, patience: float = 60.0, timeout: float = 10.0
    ) -> Any:
        """The document of an answer that is a success; a server's own failures are waited out. Raises `StandInError`."""
        deadline = time.monotonic() + patience
        while True:
            try:
                status, answer = self.call(method, path, document, timeout)
                if status < 500:
                    break
                problem = f"{status} {answer}"
            except (OSError, http.client.HTTPException) as error:
                problem = str(error)
            if time.monotonic() > deadline:
                raise StandInError(f"{method} {self.server}{path}: {problem}")
            time.sleep(0.5)
        if status not in (200, 201):
            raise StandInError(f"{method} {self.server}{path}: {status} {answer}")
        return answer

    def put(self, collection: str, document: dict[str, Any]) -> Any:
        """Create the object or replace it, however slow the server is: it may have created one whose answer was lost."""
        path = f"{collection}/{document['metadata']['name']}"
        deadline = time.monotonic() + SLOW
        while self.call("GET", path, timeout=SLOW)[0] == 404 and time.monotonic() < deadline:
            with suppress(OSError, http.client.HTTPException):
                status, answer = self.call("POST", collection, document, SLOW)
                if status in (200, 201):
                    return answer
                if status < 500 and status != 409:
                    raise StandInError(f"POST {self.server}{collection}: {status} {answer}")
            time.sleep(0.5)
        return self.expect("PUT", path, document, timeout=SLOW)

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cadata=self.authority or None)
        if not self.authority:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.credential:
            with tempfile.NamedTemporaryFile() as file:
                file.write(self.credential.certificate + self.credential.key)
                file.flush()
                context.load_cert_chain(file.name)
        return context


def kubeconfig(server: str, authority: str, user: str, credential: KeyPair) -> str:
    cluster = {"server": server, "certificate-authority-data": _encode(authority.encode())}
    identity = {
        "client-certificate-data": _encode(credential.certificate),
        "client-key-data": _encode(credential.key),
    }
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "kubernetes", "cluster": cluster}],
        "users": [{"name": user, "user": identity}],
        "contexts": [{"name": "it", "context": {"cluster": "kubernetes", "user": user}}],
        "current-context": "it",
    }
    return yaml.safe_dump(document)


def refer_to(credential: Path, text: str) -> str:
    """A kubeconfig with certificate and key in a file of their own."""
    document = yaml.safe_load(text)
    document["users"][0]["user"] = {"client-certificate": str(credential), "client-key": str(credential)}
    return yaml.safe_dump(document)


def connect(path: Path = ADMIN) -> Api:
    """As the user of a kubeconfig."""
    document = yaml.safe_load(path.read_text())
    cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
    if "client-certificate" in user:
        credential = KeyPair(Path(user["client-certificate"]).read_bytes(), b"")
    else:
        credential = KeyPair(b64decode(user["client-certificate-data"]), b64decode(user["client-key-data"]))
    return Api(cluster["server"], b64decode(cluster["certificate-authority-data"]).decode(), credential)


def _encode(content: bytes) -> str:
    return b64encode(content).decode()
