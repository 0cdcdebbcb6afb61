"""The Consul that was provisioned for a cluster, asked as its operator may: with what the cluster's folder holds."""

from __future__ import annotations

import json
import ssl
from http.client import HTTPException, HTTPSConnection
from typing import Any

from kube_provision_consul.node.closed import pem
from kube_provision_consul.node.server import HTTPS_PORT
from kube_provision_consul.seed import Seed
from kube_provision_core.folder.store import Folder

LIMIT = 20.0


def ask(secrets: Folder, address: str, method: str, path: str, body: str | None = None, port: int = HTTPS_PORT) -> Any:
    """The JSON of the answer; None where nobody answers, or none with a success."""
    seed = Seed(secrets.generated["consul_seed"])
    context = ssl.create_default_context(cadata=pem("CERTIFICATE", seed.authority))
    context.check_hostname = False  # the server has another name than its address, and the authority is the cluster's own
    connection = HTTPSConnection(address, port, timeout=LIMIT, context=context)
    try:
        connection.request(method, path, body, {"X-Consul-Token": seed.management})
        answer = connection.getresponse()
        content = answer.read()
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()
    return json.loads(content) if answer.status == 200 and content else None
