"""kubectl, as far as `apply` of ConfigMaps goes."""

from __future__ import annotations

import argparse
import sys
import urllib.request
from pathlib import Path

import yaml
from machines.standins.api import CONFIG_MAPS, connect
from machines.standins.faults import StandInError


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--kubeconfig", type=Path, required=True)
    arguments.add_argument("verb", choices=["apply"])
    arguments.add_argument("--server-side", action="store_true")
    arguments.add_argument("--force-conflicts", action="store_true")
    arguments.add_argument("-f", "--filename", required=True)
    chosen = arguments.parse_args()
    for document in yaml.safe_load_all(_read(chosen.filename)):
        if document.get("kind") != "ConfigMap":
            raise StandInError(f"error: no matches for kind {document.get('kind')}")
        stored = connect(chosen.kubeconfig).put(CONFIG_MAPS, document)
        print(f"configmap/{stored['metadata']['name']} serverside-applied")


def _read(name: str) -> str:
    if name.startswith(("http://", "https://")):
        with urllib.request.urlopen(name, timeout=30) as response:
            text: bytes = response.read()
        return text.decode()
    return Path(name).read_text()


if __name__ == "__main__":
    try:
        main()
    except StandInError as error:
        sys.exit(str(error))
