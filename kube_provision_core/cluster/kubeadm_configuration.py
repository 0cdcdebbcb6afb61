"""What kubeadm keeps of a cluster, and makes further masters by: its `ClusterConfiguration`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml

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
        """Of pods and services, by what the configuration calls them; those alone that are known."""
        document = self._document()
        told = document.get("networking") if isinstance(document, dict) else None
        keys = {"pod_subnet": "podSubnet", "service_subnet": "serviceSubnet"}
        return {key: str(told[name]) for key, name in keys.items() if isinstance(told, dict) and told.get(name)}

    @property
    def api_server_paths(self) -> frozenset[str]:
        """What arguments of API servers name on the disk of each master."""
        return frozenset(value for value in self._api_server_values() if value.startswith("/"))

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
        except yaml.YAMLError:
            return None

    def _api_server_values(self) -> list[str]:
        try:
            document: Any = yaml.safe_load(self.text)
            return [str(argument["value"]) for argument in document["apiServer"].get("extraArgs") or ()]
        except (yaml.YAMLError, LookupError, TypeError, AttributeError):
            return []


def _arguments(document: Any, place: str) -> set[tuple[str, str]]:
    try:
        for key in place.split("."):
            document = document[key]
        return {(str(argument["name"]), str(argument["value"])) for argument in document["extraArgs"] or ()}
    except (LookupError, TypeError):
        return set()
