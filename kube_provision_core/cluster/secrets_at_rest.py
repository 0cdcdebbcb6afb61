"""Secrets as the API servers keep them: written anew, so that they are encrypted with the key that these write with now.

https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/#ensure-all-secrets-are-encrypted
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

from .answers import CONFLICT, NOT_FOUND, Calls, expect, find, items

SECRETS = "/api/v1/secrets"
PAGE = 50
"""Each may have a megabyte."""


class SecretsAtRest(Calls):
    def rewrite(self) -> int:
        """Write every Secret as it is; how many. One that is deleted or changed meanwhile needs it no more: whoever changes
        it writes it with the new key.

        An API server writes what does not change all the same, where it was encrypted with another key than its first.
        Raises `ControlPlaneError` at the first that cannot be written.
        """
        paths = list(self._paths())  # first of all: what lists page by page is told that it is too late after five minutes
        for path in paths:
            self._rewrite(path)
        return len(paths)

    def _paths(self) -> Iterator[str]:
        for item in items(self._client, SECRETS, "does not list Secrets", page=PAGE):
            about = item["metadata"]
            yield f"/api/v1/namespaces/{quote(about['namespace'], safe='')}/secrets/{quote(about['name'], safe='')}"

    def _rewrite(self, path: str) -> None:
        name = path.removeprefix("/api/v1/namespaces/").replace("/secrets/", "/")
        if secret := find(self._client, path, f"does not show Secret {name}"):
            written = self._client.call("PUT", path, secret)
            if written.status not in (NOT_FOUND, CONFLICT):
                expect(written, f"does not write Secret {name} anew")
