"""What the Kubernetes API answers: as it should, page by page, or with a refusal that is told in one line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from ..contract.errors import ControlPlaneError
from ..folder.pki import ADMINISTRATORS
from .https_client import FORBIDDEN, Answer, HttpsClient
from .kubeadm_objects import NAMESPACE

NODES = "/api/v1/nodes"
CONFIG_MAPS = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
"""Of Kubernetes' own namespace."""

PAGE = 250
MOST_PAGES = 10_000
"""Of one collection: of the largest cluster that Kubernetes is made for, 150,000 pods, not a tenth."""

MERGE_PATCH = "application/merge-patch+json"
_PATCH_ATTEMPTS = 5

OK = (200, 201)
NOT_FOUND = 404
CONFLICT = 409
TOO_MANY_REQUESTS = 429


_PASSING = (401, NOT_FOUND, 408, CONFLICT, TOO_MANY_REQUESTS)
"""Of 4xx: what clocks, other objects, or other clients have to do with. All others say that the request is none."""


class RefusedError(ControlPlaneError):
    """The API will not do this, however often it is asked."""

    retryable = False


class Calls:
    """Calls to a living cluster's API: repeatable, and raising `ControlPlaneError` as others do."""

    def __init__(self, client: HttpsClient) -> None:
        self._client = client


def expect(answer: Answer, trouble: str) -> Answer:
    """The answer, where it is none but a success. Raises `ControlPlaneError`: the master does what `trouble` says; where the
    same would be refused again, a `RefusedError`."""
    if answer.status in OK:
        return answer
    final = 400 <= answer.status < 500 and answer.status not in _PASSING
    kind = RefusedError if final else ControlPlaneError
    raise kind(f"the master at {answer.server} {trouble} ({answer.status}: {answer.reason}){_advice(answer)}")


def find(client: HttpsClient, path: str, trouble: str) -> dict[str, Any]:
    """The object there; an empty one where there is none. Raises as `expect` does."""
    answer = client.call("GET", path)
    return {} if answer.status == NOT_FOUND else expect(answer, trouble).document


def put(client: HttpsClient, collection: str, document: dict[str, Any]) -> None:
    """Replace the object or create it; another run may do the same in between. Raises as `expect` does."""
    name = document["metadata"]["name"]
    calls = (("PUT", f"{collection}/{name}"), ("POST", collection), ("PUT", f"{collection}/{name}"))
    for method, path in calls:
        answer = client.call(method, path, document)
        if answer.status not in (NOT_FOUND, CONFLICT):
            break
    expect(answer, f"does not store {document['kind']} {name}")


def patch(client: HttpsClient, path: str, change: Mapping[str, Any], trouble: str) -> None:
    """Merge a change into an object; again where somebody, such as a kubelet, has changed it in the same moment.

    One that is gone is fine. Raises as `expect` does.
    """
    for _ in range(_PATCH_ATTEMPTS):
        answer = client.call("PATCH", path, change, form=MERGE_PATCH)
        if answer.status != CONFLICT:
            break
    if answer.status != NOT_FOUND:
        expect(answer, trouble)


def items(client: HttpsClient, path: str, trouble: str, *, page: int = PAGE, **selectors: str) -> Iterator[dict[str, Any]]:
    """All objects of a collection, asked for `page` at a time. `selectors`: those of the API, such as `fieldSelector`.

    Raises as `expect` does; a `RefusedError` where `MOST_PAGES` come to no end, once they are read.
    """
    token = ""
    for _ in range(MOST_PAGES):
        query = urlencode({"limit": page, "continue": token, **selectors})
        document = expect(client.call("GET", f"{path}?{query}"), trouble).document
        yield from document.get("items") or ()
        token = document.get("metadata", {}).get("continue") or ""
        if not token:
            return
    raise RefusedError(f"the cluster {trouble} to the end: it has more than {MOST_PAGES * page}")


def _advice(answer: Answer) -> str:
    if answer.status == 401:
        return ". It does not accept our certificate: compare its clock with ours"
    if answer.status == FORBIDDEN:
        return f". Is its ClusterRoleBinding {ADMINISTRATORS} gone?"
    return ""
