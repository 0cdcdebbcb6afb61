"""kubectl, as far as `apply` of ConfigMaps goes, and a look at one of their values."""

from __future__ import annotations

import argparse
import re
import sys
import urllib.request
from pathlib import Path
from typing import Any

import yaml
from machines.standins.api import CONFIG_MAPS, Api, connect
from machines.standins.faults import StandInError


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--kubeconfig", type=Path)
    arguments.add_argument("--namespace", choices=["kube-system"])
    verbs = arguments.add_subparsers(dest="verb", required=True)
    get = verbs.add_parser("get")
    get.add_argument("kind", choices=["configmap"])
    get.add_argument("name")
    get.add_argument("--output", required=True)
    apply = verbs.add_parser("apply")
    apply.add_argument("--kubeconfig", type=Path, default=argparse.SUPPRESS)
    apply.add_argument("--server-side", action="store_true")
    apply.add_argument("--force-conflicts", action="store_true")
    apply.add_argument("-f", "--filename", required=True)
    chosen = arguments.parse_args()
    if not chosen.kubeconfig:
        raise StandInError("the connection to the server localhost:8080 was refused")
    if chosen.verb == "get":
        _show(connect(chosen.kubeconfig), chosen.name, chosen.output)
    else:
        _apply(chosen)


def _show(api: Api, name: str, output: str) -> None:
    value = re.fullmatch(r"jsonpath=\{\.data\.(\w+)\}", output)
    if value is None:
        raise StandInError(f'unable to match a printer suitable for the output format "{output}"')
    status, document = api.call("GET", f"{CONFIG_MAPS}/{name}")
    if status != 200:
        raise StandInError(f'Error from server (NotFound): configmaps "{name}" not found')
    print(document.get("data", {}).get(value[1], ""), end="")


def _apply(chosen: argparse.Namespace) -> None:
    documents = [document for document in _documents(chosen.filename) if document is not None]
    if not documents:
        raise StandInError("no objects passed to apply")
    for document in documents:
        _check(chosen.filename, document)
        stored = connect(chosen.kubeconfig).put(CONFIG_MAPS, document)
        print(f"configmap/{stored['metadata']['name']} serverside-applied")


def _documents(name: str) -> list[Any]:
    text = _read(name)
    try:
        return list(yaml.safe_load_all(text))
    except yaml.YAMLError as error:
        raise StandInError(f"error parsing {name}: error converting YAML to JSON: yaml: {error}") from error


def _check(name: str, document: Any) -> None:
    """Raises `StandInError` for what is no object, and for kinds that are none of ours."""
    problem = "invalid object to validate"
    if isinstance(document, dict):
        unset = [f"{key} not set" for key in ("apiVersion", "kind") if not document.get(key)]
        problem = f"[{', '.join(unset)}]" if len(unset) > 1 else "".join(unset)
    if problem:
        raise StandInError(
            f'error validating "{name}": error validating data: {problem}; '
            "if you choose to ignore these errors, turn validation off with --validate=false"
        )
    if (document["apiVersion"], document["kind"]) != ("v1", "ConfigMap"):
        kind, version = document["kind"], document["apiVersion"]
        raise StandInError(f'resource mapping not found: no matches for kind "{kind}" in version "{version}"')


def _read(name: str) -> str:
    if name.startswith(("http://", "https://")):
        with urllib.request.urlopen(name, timeout=30) as response:
            text: bytes = response.read()
        return text.decode()
    try:
        return Path(name).read_text()
    except FileNotFoundError as error:
        raise StandInError(f'the path "{name}" does not exist') from error


if __name__ == "__main__":
    try:
        main()
    except StandInError as error:
        sys.exit(f"error: {error}")
