"""What a master is given to do about the keys of Secrets: the file that its API server reads, and a start anew."""

from __future__ import annotations

from ...contract.boot import BootFragment, File, Stage, Step
from ...contract.machines import Node
from ...folder.encryption import Encryption
from ..api_server import KEYS, encryption_configuration
from .programs import closure, command
from .task import Task, make

PROGRAM = "encryption"
"""Of `kube_provision_node`."""

SECONDS = 45 * 60
"""For the cluster's lock, and for a static pod, which may take 20 minutes where the machine is emulated."""


def keys(node: Node, encryption: Encryption) -> Task:
    """Idempotent: an API server that has started with these keys already is left alone."""
    file = File(KEYS, encryption_configuration(encryption), mode=0o600, secret=True)
    step = Step("keys", Stage.FINISH, command(PROGRAM, ""), timeout=SECONDS, attempts=2)
    fragment = BootFragment(files=(*closure(PROGRAM), file), steps=(step,))
    return make(f"keys-{encryption.stage}", node, {"encryption": fragment})
