"""What the CIS Kubernetes Benchmark (version 1.11) asks of control plane and kubelet, item by item, and what is made of it.

One list: of it are kubeadm's documents made, the page that tells of it, and the test that looks each item up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

FOLDER = "/etc/kubernetes/api-server"
AUTHENTICATION = f"{FOLDER}/authentication.yaml"

API_SERVER, CONTROLLER_MANAGER, SCHEDULER, KUBELET = "apiServer", "controllerManager", "scheduler", "kubelet"
KUBEADM, OTHERWISE = "kubeadm", "otherwise"
PROGRAMS = {API_SERVER: "kube-apiserver", CONTROLLER_MANAGER: "kube-controller-manager", SCHEDULER: "kube-scheduler"}

CIPHERS = (
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
)
"""Of TLS 1.2; those of 1.3 are all strong, and not to be chosen."""

CLUSTER_INFO = "/api/v1/namespaces/kube-public/configmaps/cluster-info"
ANONYMOUS = ("/livez", "/readyz", "/healthz", CLUSTER_INFO)
"""What anybody may ask for, word for word: the health of an API server, which kubelets, proxies and discovery look at, and
what a machine that joins checks with its token before it knows whom to trust."""

AUDIT_POLICY = """apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: Metadata
"""
"""Who has asked for what, and no content: Secrets' neither."""

SYSCTLS = {
    "vm.overcommit_memory": "1",
    "vm.panic_on_oom": "0",
    "kernel.panic": "10",
    "kernel.panic_on_oops": "1",
    "kernel.keys.root_maxkeys": "1000000",
    "kernel.keys.root_maxbytes": "25000000",
}
"""What a kubelet that leaves the kernel alone must find: `setupKernelTunables` of k8s.io/kubernetes/pkg/kubelet/cm."""


@dataclass(frozen=True)
class Item:
    number: str
    asks: str
    where: str
    """A program's arguments, or the kubelet's document; `KUBEADM`: it is so without us; `OTHERWISE`: see the note."""
    name: str = ""
    value: Any = ""
    note: str = ""


_NO_AUTHORITY = "a kubelet signs the certificate of its port itself: nobody here could tell whose request to approve"
_AT_REST = f"{FOLDER}/encryption.yaml"

ITEMS = (
    Item("1.1", "permissions and owners of the control plane's files", KUBEADM, note="0600 and root's; ours likewise"),
    Item("1.2.1", "no anonymous requests", API_SERVER, "authentication-config", AUTHENTICATION, "but for four paths"),
    Item("1.2.2", "no token file", KUBEADM),
    Item("1.2.3", "DenyServiceExternalIPs", API_SERVER, "enable-admission-plugins", "DenyServiceExternalIPs"),
    Item("1.2.4", "a client certificate for kubelets", KUBEADM),
    Item("1.2.5", "an authority for kubelets", OTHERWISE, note=f"not met: {_NO_AUTHORITY}"),
    Item("1.2.6-8", "authorization by Node and RBAC", KUBEADM),
    Item("1.2.9", "EventRateLimit", API_SERVER, "enable-admission-plugins", "EventRateLimit", "50 a second, 100 at once"),
    Item("1.2.10", "no AlwaysAdmit", KUBEADM),
    Item("1.2.11", "AlwaysPullImages", OTHERWISE, note="yours: it keeps pods from images that machines hold already"),
    Item("1.2.12-13", "ServiceAccount and NamespaceLifecycle", KUBEADM),
    Item("1.2.14", "NodeRestriction", API_SERVER, "enable-admission-plugins", "NodeRestriction"),
    Item("1.2.15", "no profiling", API_SERVER, "profiling", "false"),
    Item("1.2.16", "an audit log", API_SERVER, "audit-log-path", "/var/log/kubernetes/audit/audit.log"),
    Item("1.2.17", "kept for 30 days", API_SERVER, "audit-log-maxage", "30"),
    Item("1.2.18", "in 10 files", API_SERVER, "audit-log-maxbackup", "10"),
    Item("1.2.19", "of 100 MB", API_SERVER, "audit-log-maxsize", "100"),
    Item("1.2.20", "a limit for requests", KUBEADM, note="a minute, the program's own"),
    Item("1.2.21", "service accounts are looked up", KUBEADM),
    Item("1.2.22-26", "keys, certificates and authorities of its own", KUBEADM),
    Item("1.2.27", "Secrets are encrypted at rest", API_SERVER, "encryption-provider-config", _AT_REST),
    Item("1.2.28", "by a provider that is fit for it", API_SERVER, "encryption-provider-config", _AT_REST, "`secretbox`"),
    Item("1.2.29", "strong ciphers alone", API_SERVER, "tls-cipher-suites", ",".join(CIPHERS)),
    Item("1.2.30", "tokens end when they say", API_SERVER, "service-account-extend-token-expiration", "false"),
    Item("1.3.1", "a limit for pods that have ended", CONTROLLER_MANAGER, "terminated-pod-gc-threshold", "100"),
    Item("1.3.2", "no profiling", CONTROLLER_MANAGER, "profiling", "false"),
    Item("1.3.3-7", "credentials, keys, and an address of its own", KUBEADM),
    Item("1.4.1", "no profiling", SCHEDULER, "profiling", "false"),
    Item("1.4.2", "on localhost alone", KUBEADM),
    Item("2.1-7", "etcd asks for certificates, of clients and of peers", KUBEADM),
    Item(
        "3.1", "people do not log in with certificates", OTHERWISE, note="yours: [`oidc`](kubeadm.md#logins-from-elsewhere)"
    ),
    Item("3.2.1", "an audit policy", API_SERVER, "audit-policy-file", f"{FOLDER}/audit-policy.yaml", "yours, or metadata"),
    Item(
        "4.1", "permissions and owners of the kubelet's files", OTHERWISE, note="what holds keys is 0600; its settings 0644"
    ),
    Item("4.2.1", "no anonymous requests", KUBELET, "authentication", {"anonymous": {"enabled": False}}),
    Item("4.2.2-3", "authorization by the API server, and its authority", KUBEADM),
    Item("4.2.4", "no read-only port", KUBELET, "readOnlyPort", 0),
    Item("4.2.5", "idle streams end", KUBELET, "streamingConnectionIdleTimeout", "5m"),
    Item("4.2.6", "chains of iptables", KUBEADM),
    Item("4.2.7", "no other host name", KUBEADM),
    Item("4.2.8", "events are recorded", KUBEADM, note="50 a second, the kubelet's own"),
    Item("4.2.9", "a certificate for its port", OTHERWISE, note=f"not met: {_NO_AUTHORITY}"),
    Item("4.2.10-11", "certificates are rotated", KUBEADM, note="its client's"),
    Item("4.2.12", "strong ciphers alone", KUBELET, "tlsCipherSuites", [*CIPHERS]),
    Item("4.2.13", "a limit for processes of a pod", KUBELET, "podPidsLimit", 4096),
    Item("4.2.14", "seccomp's default profile", KUBELET, "seccompDefault", True),
    Item("4.2.15", "addresses that may ask it", OTHERWISE, note="yours: a firewall"),
    Item("4.3.1", "kube-proxy's metrics on localhost", KUBEADM),
    Item("", "the kernel's settings are left alone (of earlier versions)", KUBELET, "protectKernelDefaults", True),
)


def arguments(program: str) -> Mapping[str, str]:
    """Of the control plane's programs. Of a name that stands several times the values are one list."""
    found: dict[str, list[str]] = {}
    for item in ITEMS:
        if item.where == program and item.value not in found.setdefault(item.name, []):
            found[item.name].append(item.value)
    return {name: ",".join(values) for name, values in found.items()}


def kubelet(*, shares_kernel: bool) -> dict[str, Any]:
    """`shares_kernel`: it is the host's, whose settings are not the machine's."""
    found = {item.name: item.value for item in ITEMS if item.where == KUBELET}
    return {name: value for name, value in found.items() if name != "protectKernelDefaults" or not shares_kernel}


def authentication(jwt: list[dict[str, Any]]) -> dict[str, Any]:
    """Who may ask without a name, and whose tokens are taken. https://kubernetes.io/docs/reference/access-authn-authz/authentication/"""
    anonymous = {"enabled": True, "conditions": [{"path": path} for path in ANONYMOUS]}
    begun = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthenticationConfiguration", "anonymous": anonymous}
    return begun | ({"jwt": jwt} if jwt else {})


def event_rate_limit() -> dict[str, Any]:
    limits = [{"type": kind, "qps": 50, "burst": 100, "cacheSize": 2000} for kind in ("Namespace", "User")]
    return {"apiVersion": "eventratelimit.admission.k8s.io/v1alpha1", "kind": "Configuration", "limits": limits}


def table() -> str:
    """For the page."""
    rows = (f"| {item.number} | {item.asks} | {_how(item)} |" for item in ITEMS)
    return "\n".join(("| item | asks for | how |", "|---|---|---|", *rows))


def _how(item: Item) -> str:
    if item.where in (KUBEADM, OTHERWISE):
        return "; ".join(filter(None, ("kubeadm" if item.where == KUBEADM else "", item.note)))
    if item.where == KUBELET:
        value = str(item.value).lower() if isinstance(item.value, bool) else item.value
        said = f"`{item.name}: {value}`" if not isinstance(value, dict) else "`authentication.anonymous.enabled: false`"
        said = "`tlsCipherSuites`: ECDHE with AES-GCM" if isinstance(value, list) else said
    else:
        value = "…: ECDHE with AES-GCM" if "cipher" in item.name else item.value
        said = f"`{PROGRAMS[item.where]} --{item.name}={value}`"
    return f"{said}, {item.note}" if item.note else said
