"""What the README says of rights is what the driver asks for."""

from __future__ import annotations

from pathlib import Path

from kube_provision_consul import access
from kube_provision_core import Role
from kube_provision_core.testing import node_of

README = Path(__file__).parents[1] / "README.md"


def test_the_table_of_rights_is_what_the_driver_asks_for() -> None:
    master, worker = (node_of(f"{it}-prod-1", role, cluster="prod") for it, role in (("m", Role.MASTER), ("w", Role.WORKER)))
    names = [master.name, worker.name]
    rights = {
        "operator": access.of_operator("prod", names),
        "masters": access.of_node(master, names),
        "workers": access.of_node(worker, names),
    }
    rows = [f"| `…-{who}` | `{right.rule}` | {right.why} |" for who, its in rights.items() for right in its]
    said = [line for line in README.read_text().splitlines() if line.startswith("| `…-")]
    assert said == rows
