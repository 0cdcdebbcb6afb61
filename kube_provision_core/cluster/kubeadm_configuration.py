"""What kubeadm keeps of a cluster, and makes further masters by: its `ClusterConfiguration`."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import yaml

from ..contract.subnets import subnets, written

_LONGEST_NETWORKS = 128
_PROGRAMS = ("apiServer", "controllerManager", "scheduler", "etcd.local")


@dataclass(frozen=True, slots=True)
class KubeadmConfiguration:
    text: str = ""
    """Empty where kubeadm has not written it down."""

    @property
    def version(self) -> str:
        """Of Kubernetes, as the whole cluster has it: `1.37.1`; empty where that is not known."""
        return self._setting("kubernetesVersion").removeprefix("v")

    @property
    def endpoint(self) -> str:
        """Where nodes look for an API server, such as `localhost:8443`; empty where that is not known."""
        return self._setting("controlPlaneEndpoint")

    @property
    def networks(self) -> dict[str, str]:
        """Of pods and services, by what the configuration calls them, as that writes them; those alone that are known."""
        document, found = self._document(), {}
        told = document.get("networking") if isinstance(document, dict) else None
        for key, name in {"pod_subnet": "podSubnet", "service_subnet": "serviceSubnet"}.items():
            network = told.get(name) if isinstance(told, dict) else None
            if isinstance(network, str) and len(network) <= _LONGEST_NETWORKS:
                with suppress(ValueError):
                    found[key] = written(subnets(network))
        return found

    @property
    def api_server_paths(self) -> frozenset[str]:
        """What arguments of API servers name on the disk of each master."""
        return frozenset(value for _, value in _arguments(self._document(), "apiServer") if value.startswith("/"))

    def other_arguments(self, wanted: Any) -> tuple[str, ...]:
        """Of a user's document, `kubeadm.cluster`: arguments that this one lacks, or has another value of, by their keys.

        None where kubeadm has written nothing down. What they say may be nobody else's business.
        """
        document = self._document()
        if not document:
            return ()
        pairs = ((place, _arguments(wanted, place), _arguments(document, place)) for place in _PROGRAMS)
        found = (
            f"kubeadm.cluster.{place}.extraArgs.{name}" for place, ours, kept in pairs for name, _ in sorted(ours - kept)
        )
        return tuple(dict.fromkeys(found))

    def _setting(self, name: str) -> str:
        """At the top of the document."""
        found = re.search(rf"^{name}: *[\"']?([^\s\"']+)", self.text, re.MULTILINE)
        return found.group(1) if found else ""

    def _document(self) -> Any:
        try:
            return yaml.safe_load(self.text)
        except (yaml.YAMLError, ValueError, RecursionError):  # the second: what only looks like a date
            return None


def _arguments(document: Any, place: str) -> set[tuple[str, str]]:
    try:
        for key in place.split("."):
            document = document[key]
        return {(str(argument["name"]), str(argument["value"])) for argument in document["extraArgs"] or ()}
    except (LookupError, TypeError):
        return set()
