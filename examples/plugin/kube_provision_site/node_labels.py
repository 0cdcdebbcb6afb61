"""The extension `node-labels`: nodes join with labels of the company's own.

It wraps `render_boot`, because labels stand in kubeadm's configuration, which is the core's file. A wrapper sees all that
other plugins add, secrets included, and must hand on what it does not change as it is.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import Annotated

import yaml
from pydantic import AfterValidator, StringConstraints

from kube_provision_core import (
    NODE_CONFIG_DIR,
    BootFragment,
    DriverConfig,
    File,
    Node,
    Role,
    hookimpl,
    node_label_fault,
    option,
)

KUBEADM = (f"{NODE_CONFIG_DIR}/kubeadm-init.yaml", f"{NODE_CONFIG_DIR}/kubeadm-join.yaml")


def _settable(key: str) -> str:
    if fault := node_label_fault(key):
        raise ValueError(fault)
    return key


Key = Annotated[
    str,
    StringConstraints(pattern=r"^([a-z0-9.-]+/)?[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$"),
    AfterValidator(_settable),
]
Value = Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)?$", max_length=63)]


class NodeLabelsConfig(DriverConfig):
    node_labels_set: dict[Key, Value] = option({}, per_role=True, help="Labels that nodes join with.")


class NodeLabels:
    Config = NodeLabelsConfig
    api_version = 1

    def __init__(self, config: Mapping[Role, NodeLabelsConfig]) -> None:
        self._config = config

    @hookimpl(wrapper=True)
    def render_boot(self, node: Node) -> Generator[None, list[BootFragment], list[BootFragment]]:
        fragments = yield
        labels = self._config[node.role].node_labels_set
        return [_with_labels(fragment, labels) for fragment in fragments] if labels else fragments


def _with_labels(fragment: BootFragment, labels: Mapping[str, str]) -> BootFragment:
    files = tuple(_labelled(file, labels) if file.path in KUBEADM else file for file in fragment.files)
    return replace(fragment, files=files)


def _labelled(file: File, labels: Mapping[str, str]) -> File:
    """The same file, as secret as it was."""
    documents = list(yaml.safe_load_all(file.content))
    argument = {"name": "node-labels", "value": ",".join(f"{key}={value}" for key, value in sorted(labels.items()))}
    for document in documents:
        if "nodeRegistration" in document:
            document["nodeRegistration"].setdefault("kubeletExtraArgs", []).append(argument)
    return replace(file, content=yaml.safe_dump_all(documents, sort_keys=False))
