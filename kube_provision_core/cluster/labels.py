"""Labels of nodes that are given to them over the API: a kubelet may not give its own node every one."""

from __future__ import annotations

import time
from collections.abc import Mapping
from urllib.parse import quote

from .answers import NODES, NOT_FOUND, expect, patch
from .https_client import HttpsClient

REGISTRATION = 120.0
"""Seconds in which a kubelet that has joined has told the cluster of its node: it does that right after it has begun."""

_PAUSE = 2.0


class Labels:
    """Calls to a living cluster's API: repeatable, and raising `ControlPlaneError` as others do."""

    def __init__(self, client: HttpsClient) -> None:
        self._client = client

    def give(self, node: str, labels: Mapping[str, str]) -> None:
        """Idempotent; other labels stay. One that the cluster does not count yet is waited for."""
        path = f"{NODES}/{quote(node, safe='')}"
        deadline = time.monotonic() + REGISTRATION
        while (found := self._client.call("GET", path)).status == NOT_FOUND and time.monotonic() < deadline:
            time.sleep(_PAUSE)
        expect(found, f"does not know node {node}")
        patch(self._client, path, {"metadata": {"labels": dict(labels)}}, f"does not label node {node}")
