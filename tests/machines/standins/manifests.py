"""The static pods of a master, as kubeadm writes them for the kubelet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from machines.standins.etcd import peer_url
from machines.standins.faults import StandInError
from machines.standins.places import API_PORT, CONTROLLERS, ETCD_DATA, ETCD_PORT, KUBERNETES, PKI
from machines.standins.release import Release

Pod = dict[str, Any]

REPOSITORY = "registry.k8s.io"
COMPONENTS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
"""In the order in which they are upgraded."""
SETTINGS = {"controller-manager": "controllerManager", "scheduler": "scheduler"}
"""Where a ClusterConfiguration says what they are started with besides."""
ADVERTISED = "kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint"
ETCD_ADVERTISED = "kubeadm.kubernetes.io/etcd.advertise-client-urls"


def control_plane(cluster: Mapping[str, Any], address: str) -> Iterator[Pod]:
    """All but etcd, of the version that a ClusterConfiguration names."""
    images = _images(cluster)
    settings = cluster.get("apiServer") or {}
    told = ["kube-apiserver", f"--advertise-address={address}", *_arguments(settings)]
    api_server = _pod("kube-apiserver", images, told)
    api_server["metadata"]["annotations"] = {ADVERTISED: f"{address}:{API_PORT}"}
    _mount(api_server, settings.get("extraVolumes") or ())
    yield api_server
    for name, port in CONTROLLERS.items():
        own = f"kube-{name}"
        more = _arguments(cluster.get(SETTINGS[name]) or {})
        yield _pod(own, images, [own, f"--kubeconfig={KUBERNETES / name}.conf", f"--secure-port={port}", *more])


def _arguments(settings: Mapping[str, Any]) -> list[str]:
    return [f"--{it['name']}={it['value']}" for it in settings.get("extraArgs") or ()]


def _mount(pod: Pod, volumes: Sequence[Mapping[str, Any]]) -> None:
    """Raises `StandInError` for an argument that names what is in no volume: the container would not find it."""
    (container,) = pod["spec"]["containers"]
    folders = [Path(volume["mountPath"]) for volume in volumes]
    for argument in container["command"]:
        path = Path(argument.partition("=")[2])
        if path.is_absolute() and not any(folder in path.parents for folder in (*folders, PKI)):
            raise StandInError(f"{argument}: {path} is in no volume of {pod['metadata']['name']}")
    container["volumeMounts"] = [{"name": it["name"], "mountPath": it["mountPath"]} for it in volumes]
    pod["spec"]["volumes"] = [{"name": it["name"], "hostPath": {"path": it["hostPath"]}} for it in volumes]


def etcd(cluster: Mapping[str, Any], name: str, address: str, members: Sequence[str] = (), state: str = "") -> Pod:
    """`members` are `name=url` of all members, this one too; `state` is `new` or `existing`. One that has its data knows."""
    client, peer = f"https://{address}:{ETCD_PORT}", peer_url(address)
    options = {
        "name": name,
        "data-dir": ETCD_DATA,
        "listen-client-urls": f"https://127.0.0.1:{ETCD_PORT},{client}",
        "advertise-client-urls": client,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": ",".join(members or [f"{name}={peer}"]),
        **({"initial-cluster-state": state} if state else {}),
        "client-cert-auth": "true",
        "peer-client-cert-auth": "true",
        "cert-file": PKI / "etcd/server.crt",
        "key-file": PKI / "etcd/server.key",
        "trusted-ca-file": PKI / "etcd/ca.crt",
        "peer-cert-file": PKI / "etcd/peer.crt",
        "peer-key-file": PKI / "etcd/peer.key",
        "peer-trusted-ca-file": PKI / "etcd/ca.crt",
        "unsafe-no-fsync": "true",  # disks of tests are not what is tested
    }
    pod = _pod("etcd", _images(cluster), ["etcd", *(f"--{key}={value}" for key, value in options.items())])
    pod["metadata"]["annotations"] = {ETCD_ADVERTISED: client}
    return pod


def write(pod: Pod, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{pod['metadata']['name']}.yaml").write_text(yaml.safe_dump(pod))


def read(path: Path) -> Pod:
    pod: Pod = yaml.safe_load(path.read_text())
    return pod


def image(pod: Mapping[str, Any]) -> str:
    return str(pod["spec"]["containers"][0]["image"])


def _images(cluster: Mapping[str, Any]) -> dict[str, str]:
    return Release(cluster["kubernetesVersion"]).images(cluster.get("imageRepository", REPOSITORY))


def _pod(name: str, images: Mapping[str, str], command: list[str]) -> Pod:
    labels = {"component": name, "tier": "control-plane"}
    metadata = {"labels": labels, "name": name, "namespace": "kube-system"}
    container = {"name": name, "image": images[name], "command": command}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}}
