"""kubeadm's configuration files, as strictly read as kubeadm reads them."""

from __future__ import annotations

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import yaml
from machines.standins.faults import StandInError

API = "kubeadm.k8s.io/v1beta4"
Document = dict[str, Any]
_KNOWN = {
    "InitConfiguration": {"bootstrapTokens", "certificateKey", "localAPIEndpoint", "nodeRegistration", "timeouts"},
    "ClusterConfiguration": {
        *("clusterName", "kubernetesVersion", "controlPlaneEndpoint", "apiServer", "networking", "imageRepository"),
        *("controllerManager", "scheduler", "etcd", "dns", "certificatesDir", "featureGates"),
        *("certificateValidityPeriod", "caCertificateValidityPeriod", "encryptionAlgorithm", "proxy"),
    },
    "JoinConfiguration": {"discovery", "controlPlane", "nodeRegistration", "timeouts"},
    "UpgradeConfiguration": {"apply", "node", "plan", "diff", "timeouts"},
}
_NODE = {
    *("certificateRenewal", "dryRun", "etcdUpgrade", "ignorePreflightErrors", "skipPhases", "patches"),
    *("imagePullPolicy", "imagePullSerial"),
}
_UPGRADE = {
    "node": _NODE,
    "apply": {
        *(*_NODE, "kubernetesVersion", "allowExperimentalUpgrades", "allowRCUpgrades", "forceUpgrade", "printConfig"),
    },
}
_KUBELET = {
    *("cgroupDriver", "failSwapOn", "authentication", "readOnlyPort", "streamingConnectionIdleTimeout", "tlsCipherSuites"),
    *("podPidsLimit", "seccompDefault"),
}
"""What a lab configures, of the many that there are."""
_GATES = {"ControlPlaneKubeletLocalMode", "NodeLocalCRISocket", "PublicKeysECDSA", "RootlessControlPlane"}
TIMEOUTS = {
    *("controlPlaneComponentHealthCheck", "kubeletHealthCheck", "kubernetesAPICall", "etcdAPICall", "tlsBootstrap"),
    *("discovery", "upgradeManifests"),
}


def read(path: Path, *kinds: str) -> list[Document]:
    """The documents of these kinds, in this order. Raises `StandInError` for what kubeadm would refuse."""
    text = path.read_text()
    if token := re.search(r"@[A-Z_]+@", text):
        raise StandInError(f"{path} was not filled in: {token[0]}")
    documents = {document.get("kind", ""): document for document in yaml.safe_load_all(text) if document}
    for kind, document in documents.items():
        if kind in _KNOWN:
            _check(kind, document)
    missing = [kind for kind in kinds if kind not in documents]
    if missing:
        raise StandInError(f"{path} has no {', '.join(missing)}")
    return [documents[kind] for kind in kinds]


def validate(path: Path) -> None:
    """As `kubeadm config validate` does. Raises `StandInError`."""
    documents = [document for document in yaml.safe_load_all(path.read_text()) if document]
    if not documents:
        raise StandInError("no configuration was given")
    for document in documents:
        kind = document.get("kind", "")
        if kind in _KNOWN:
            _check(kind, document)
        elif kind == "KubeletConfiguration":
            _refuse_unknown(document, _KUBELET | {"apiVersion", "kind"})
    for gate in documents[0].get("featureGates") or {}:
        if gate not in _GATES:
            raise StandInError(f"featureGates: {gate} is not a valid feature name.")


def _check(kind: str, document: Document) -> None:
    if document.get("apiVersion") != API:
        raise StandInError(f"{kind}: apiVersion must be {API}")
    _refuse_unknown(document, _KNOWN[kind] | {"apiVersion", "kind"})
    _refuse_unknown(document.get("timeouts", {}), TIMEOUTS, "timeouts.")
    if kind == "UpgradeConfiguration":
        for verb, known in _UPGRADE.items():
            _refuse_unknown(document.get(verb, {}), known, f"{verb}.")


def _refuse_unknown(fields: Document, known: set[str], where: str = "") -> None:
    """Where kubeadm only warns, nothing came of what somebody meant."""
    if unknown := fields.keys() - known:
        raise StandInError(f'strict decoding error: unknown field "{where}{sorted(unknown)[0]}"')


def seconds(duration: str) -> float:
    """Of a duration as Go writes it: `30m0s`."""
    units = {"h": 3600.0, "m": 60.0, "s": 1.0}
    return sum(float(number) * units[unit] for number, unit in re.findall(r"([0-9.]+)([hms])", duration))


def node_addresses(registration: Document) -> tuple[str, ...]:
    """What the kubelet is told to be its node's: one, or one of each family."""
    arguments = {argument["name"]: argument["value"] for argument in registration["kubeletExtraArgs"]}
    return tuple(str(ip_address(address)) for address in arguments["node-ip"].split(","))
