"""What a master does about the record of initialisation: a function of the record and of the master, nothing else."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from .settings import Node


class Decision(enum.Enum):
    INIT = "initialises the cluster"
    JOIN = "joins the cluster"
    ADOPT = "carries on as the master that initialised the cluster"
    WAIT = "waits"


class OtherClusterError(Exception):
    """Discovery remembers another cluster of this name, dead or alive."""


@dataclass(frozen=True)
class Candidate:
    """What the decision needs to know about a master."""

    node: Node
    instance_id: str
    carries_authorities: bool
    runs_api_server: bool

    @property
    def may_init(self) -> bool:
        return self.node.may_init and self.carries_authorities

    def record(self, state: str) -> dict[str, str]:
        """The record that this master writes; `state` is `initialising` or `initialised`."""
        return {
            "state": state,
            "node": self.node.name,
            "instance_id": self.instance_id,
            "cluster_id": self.node.cluster_id,
        }


def refuse_other_cluster(record: dict[str, str] | None, node: Node) -> None:
    """Raise `OtherClusterError` if the record is another cluster's."""
    if record is not None and record.get("cluster_id") != node.cluster_id:
        raise OtherClusterError(
            f"discovery remembers another cluster of this name: {node.cluster} has the id {record.get('cluster_id')} there"
            f" and {node.cluster_id} here. Choose another name, or, where that cluster is gone, have discovery forget it"
        )


def decide(record: dict[str, str] | None, me: Candidate) -> Decision:
    """What `me` does about this record, None being certainly absent. Raises `OtherClusterError`.

    A master of the recorded name with another instance id is a machine created anew: it takes the initialisation over, and
    the check-and-set at its end makes sure that the old machine, should it still live, has worked in vain.
    """
    refuse_other_cluster(record, me.node)
    if record is None:
        return Decision.INIT if me.may_init else Decision.WAIT
    mine = record.get("node") == me.node.name
    if record.get("state") == "initialised":
        same = mine and record.get("instance_id") == me.instance_id
        return Decision.ADOPT if same and me.runs_api_server else Decision.JOIN
    return Decision.INIT if mine and me.may_init else Decision.WAIT
