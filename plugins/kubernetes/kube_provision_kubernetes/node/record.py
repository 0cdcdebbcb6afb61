"""The record of initialisation, in the cluster's API. Runs on nodes too: standard library only, Python 3.9."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, NamedTuple

from .api import Api, UnavailableError, unexpected
from .follow import CONFIG_MAPS


class Versioned(NamedTuple):
    """The record, and what says whether it has changed since."""

    content: dict[str, str]
    version: str


@dataclass(frozen=True)
class Record:
    api: Api
    cluster: str

    @property
    def _name(self) -> str:
        return f"record-{self.cluster}"

    @property
    def _path(self) -> str:
        return f"{CONFIG_MAPS}/{self._name}"

    def read(self) -> Versioned | None:
        """As the API's quorum has it; None where it has none. Raises `UnavailableError`."""
        answer = self.api.ask("GET", self._path)
        if answer.status == 404:
            return None
        try:
            content = json.loads(answer.document["data"]["record"])
            if content["state"] not in ("initialising", "initialised"):
                raise ValueError(f"its state is {content['state']}")
            return Versioned(dict(content), answer.document["metadata"]["resourceVersion"])
        except (LookupError, TypeError, ValueError) as problem:
            raise UnavailableError(
                f"the ConfigMap {self._name} in namespace kube-provision is no record of initialisation ({problem})"
            ) from problem

    def create(self, content: dict[str, str]) -> bool:
        """If there is none; whether it was written."""
        answer = self.api.ask("POST", CONFIG_MAPS, self._document(content))
        if answer.status not in (201, 409):
            raise unexpected(answer, "the record cannot be written")
        return answer.status == 201

    def replace(self, content: dict[str, str], version: str) -> bool:
        """If it is still the one of that version; whether it was written."""
        return self.api.ask("PUT", self._path, self._document(content, resourceVersion=version)).status == 200

    def delete(self, version: str) -> bool:
        """If it is still the one of that version; whether it was deleted."""
        return self.api.ask("DELETE", self._path, {"preconditions": {"resourceVersion": version}}).status == 200

    def _document(self, content: dict[str, str], **metadata: str) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": self._name, **metadata},
            "data": {"record": json.dumps(content)},
        }
