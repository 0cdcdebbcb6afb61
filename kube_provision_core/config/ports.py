"""Ports of a node, where all but pods share one network."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

_TAKEN = {
    22: "SSH",
    53: "resolvers",
    **dict.fromkeys((2379, 2380, 2381), "etcd"),
    6443: "the API server",
    **dict.fromkeys((8300, 8301, 8302, 8500, 8501, 8502, 8503, 8600), "discovery"),
    **dict.fromkeys((10248, 10250, 10255), "the kubelet"),
    **dict.fromkeys((10249, 10256), "kube-proxy"),
    10257: "the controller manager",
    10259: "the scheduler",
}
_OF_SERVICES = range(30000, 32768)
"""Kubernetes' own choice for services of type NodePort."""


def _free(port: int) -> int:
    if port in _TAKEN:
        raise ValueError(f"is a port of {_TAKEN[port]}; choose another one")
    if port in _OF_SERVICES:
        raise ValueError("is one of those that Kubernetes gives to services (30000-32767); choose another one")
    return port


FreePort = Annotated[int, Field(ge=1, le=65535), AfterValidator(_free)]
"""One that nothing else on a node listens on."""
