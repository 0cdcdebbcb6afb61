"""What firewalld is told, where it runs: ports by role, and the pods' network.

Ports are those of Kubernetes' own list, of discovery's machine, and of the tunnels and routes that CNIs make between nodes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ...contract.boot import File
from ...contract.machines import Cluster, Role
from ...contract.subnets import subnets
from ..scripts import text

FOLDER = "/etc/firewalld"
PODS = "kube-pods"
"""The zone of the pods' network."""
FROM_PODS = "from-kube-pods"
"""The policy for what leaves that zone; policies and zones share one space of names, of at most 17 characters each."""

KUBELET = ("10250/tcp",)
CNI = ("179/tcp", "4789/udp", "5473/tcp", "8472/udp")
"""BGP, VXLAN, Typha, and VXLAN at the port that Linux had for it first."""
ROLE_PORTS = {
    Role.MASTER: ("2379-2380/tcp", "6443/tcp", *KUBELET, "10257/tcp", "10259/tcp", *CNI),
    Role.WORKER: (*KUBELET, "10256/tcp", "30000-32767/tcp", "30000-32767/udp", *CNI),
    Role.DISCOVERY: ("8300/tcp", "8500/tcp", "8501/tcp"),
}
"""The discovery machine's are a Consul server's, also on masters that are the service; gossip is the component's own."""
IP_IN_IP = 4
"""Number of the protocol in which Calico carries packets between nodes."""


def files(role: Role, cluster: Cluster, more: Iterable[str]) -> Iterator[File]:
    """For one machine; read by firewalld where it is installed."""
    is_node = role is not Role.DISCOVERY
    serving = ROLE_PORTS[Role.DISCOVERY] if role is Role.MASTER and cluster.discovery_by_majority else ()
    ports = (*ROLE_PORTS[role.kind], *serving, *more)
    yield service("kube-provision", ports, protocols=(IP_IN_IP,) if is_node else ())
    if is_node:
        sources = "\n  ".join(f'<source address="{network}"/>' for network in subnets(cluster.pod_subnet))
        yield File(f"{FOLDER}/zones/{PODS}.xml", text("dnf/firewalld/zone.xml").replace("@SOURCES@", sources))
        yield File(f"{FOLDER}/policies/{FROM_PODS}.xml", text("dnf/firewalld/policy.xml"))


def service(name: str, ports: Iterable[str], protocols: Iterable[int] = ()) -> File:
    """A service of firewalld's: a name for some ports."""
    lines = [f"  <short>{name}</short>"]
    for item in dict.fromkeys(ports):
        port, _, protocol = item.partition("/")
        lines.append(f'  <port protocol="{protocol}" port="{port}"/>')
    lines += [f'  <protocol value="{number}"/>' for number in protocols]
    content = "\n".join(['<?xml version="1.0" encoding="utf-8"?>', "<service>", *lines, "</service>", ""])
    return File(f"{FOLDER}/services/{name}.xml", content)
