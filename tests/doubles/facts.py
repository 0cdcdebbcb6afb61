"""Facts that a test gives, for planners: what is not given may not be asked for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from kube_provision_core.cluster import Living
from kube_provision_core.cluster.advice import Remedies
from kube_provision_core.cluster.observe import Observation
from kube_provision_core.engine.facts import Facts, Known


class GivenFacts(Facts):
    remedies: Any = None
    folder: Any = None
    archive: Any = None
    answers: Any = False
    encrypts: Any = False

    def __init__(self, seen: Observation | None = None, *, saved: bool = True, **facts: object) -> None:
        """`facts` by name, such as `initialised=Known(True)`; else those of a cluster that was never initialised."""
        nothing = Known(Living())
        given = {
            "initialised": Known(False),
            "nodes": nothing,
            "members": nothing,
            "arranges": True,
            "changes": lambda node: (),
            "restamps": True,
            "unapplied": lambda kept: (),
            "who_answers": lambda addresses: "",
            "objections_to": lambda drains, **_: (),
            "core": lambda role: SimpleNamespace(labels={}, kubelet={}),
            "failure_domains": lambda role: (),
        }
        if seen is not None:
            given["seen"] = seen
            given["remedies"] = Remedies(seen.cluster.name).of(seen, lives=given.get("initialised") == Known(True))
            marks = {"restoring": "", "abandoning": "", "masters_only": False, "encryption": None, "carrier": ""}
            given["folder"] = SimpleNamespace(saved=saved, cluster_id=seen.cluster.id, path=seen.cluster.name, **marks)
        vars(self).update(given | facts)
