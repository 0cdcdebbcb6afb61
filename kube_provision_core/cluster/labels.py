"""Labels of nodes that are given to them over the API: a kubelet may not give its own node every one."""

from __future__ import annotations

import time
from collections.abc import Mapping
from urllib.parse import quote

from ..contract.errors import ControlPlaneError
from .answers import NODES, Calls, RefusedError, expect, patch

REGISTRATION = 120.0
"""Seconds in which a kubelet that has joined has told the cluster of its node: it does that right after it has begun."""

_PAUSE = 2.0


class Labels(Calls):
    def give(self, node: str, labels: Mapping[str, str]) -> None:
        """Idempotent; other labels stay. A node that the cluster does not count yet is waited for, and so is a cluster that
        does not answer as it should: masters that join or start keep others from that for a moment."""
        deadline = time.monotonic() + REGISTRATION
        while True:
            try:
                return self._give(node, labels)
            except RefusedError:
                raise
            except ControlPlaneError:
                if time.monotonic() >= deadline:
                    raise
            time.sleep(_PAUSE)

    def _give(self, node: str, labels: Mapping[str, str]) -> None:
        path = f"{NODES}/{quote(node, safe='')}"
        expect(self._client.call("GET", path), f"does not know node {node}")
        patch(self._client, path, {"metadata": {"labels": dict(labels)}}, f"does not label node {node}")
