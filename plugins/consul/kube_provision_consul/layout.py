"""Where things are: on a node, and in Consul. The operator's side and the programs in `node` mean the same."""

from __future__ import annotations

from kube_provision_core import NODE_CONFIG_DIR

from .node.api import IDENTITY
from .node.server import HTTPS_PORT as HTTPS_PORT

HTTP_PORT = 8500
"""Consul's own, where no port is said, as `HTTPS_PORT` is."""

AGENT_DIR = f"{NODE_CONFIG_DIR}/consul"
"""The agent's configuration. Not the package's own folder, whose sample configuration is not ours to rely on."""
AGENT_FILE = f"{AGENT_DIR}/agent.json"
SECRETS_FILE = f"{AGENT_DIR}/secrets.json"
IDENTITY_FILE = f"{NODE_CONFIG_DIR}/{IDENTITY}"
CA_FILE, CERT_FILE, KEY_FILE = (f"{AGENT_DIR}/tls/{name}.pem" for name in ("ca", "cert", "key"))
CLIENT_DATA = f"{NODE_CONFIG_DIR}/discovery.json"
UNIT = "kube-provision-consul.service"
DATA_DIR = "/var/lib/kube-provision-consul"
"""Not the package's either: a template that carries a data directory gives all its clones one identity."""

PACKAGED_DATA_DIRS = ("/opt/consul/*", "/var/lib/consul/*")
"""What an agent that somebody else ran has kept, where the packages' own configurations say."""

CLUSTER_META = "kube-provision-cluster"
CLUSTER_ID_META = "kube-provision-cluster-id"
ROLE_META = "kube-provision-role"
CLOSED_META = "kube-provision-closed"
"""Metadata of a Consul node: whose it is, what for, and the proof that it has a token and a certificate: `Seed.mark`."""


def prefix(cluster: str) -> str:
    """Everything that is kept about a cluster. The last slash tells `prod` from `prod2`."""
    return f"kube-provision/{cluster}/"


def record_key(cluster: str) -> str:
    return f"{prefix(cluster)}record"


def history_key(cluster: str) -> str:
    return f"{prefix(cluster)}history"


def server_name(datacenter: str) -> str:
    """What a server's certificate names, by Consul's own rule, wherever the server is."""
    return f"server.{datacenter}.consul"


def run_lock_key(cluster: str) -> str:
    """Held by a run of kube-provision; the nodes' own lock is another key.

    Outside of the prefix, so that the run that forgets a cluster keeps its lock to the end.
    """
    return f"kube-provision-runs/{cluster}"


def service_name(cluster: str) -> str:
    return f"kube-provision-{cluster}"
