"""The record, as the machine reads and writes it that may initialise the cluster. Standard library only, Python 3.9.

Until it has written the record to the API, what it has noted on its own disk decides: no other machine may initialise.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

from .api import Api, Credential, Place, SilentError, UnavailableError, unexpected
from .note import BEGUN, TELLING, TOLD, Note, Noted
from .record import Record, Versioned

HERE = "here"
"""Version of a record that is noted on this disk alone."""

_COLLECTIONS = {
    "Namespace": "/api/v1/namespaces",
    "Secret": "/api/v1/namespaces/{namespace}/secrets",
    "Role": "/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/roles",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings",
}


@dataclass(frozen=True)
class Carrier:
    note: Note
    others: Record
    """By this machine's token, of whichever master answers."""
    own: Callable[[], Place]
    """Where this machine's own API is. Raises `UnavailableError`."""
    administrator: Path
    """kubeadm's admin.conf: there is none before an initialisation has begun."""
    rights: Sequence[dict[str, Any]]

    @property
    def alone(self) -> bool:
        """No other machine has anything to do with the record, or with the lock. Raises `UnavailableError`."""
        noted = self.note.read()
        if self._is_as_others(noted):
            return False
        found = self._stored(noted)
        return found is None or found.version == HERE

    def read(self) -> Versioned | None:
        noted = self.note.read()
        return self.others.read() if self._is_as_others(noted) else self._stored(noted)

    def create(self, content: dict[str, str]) -> bool:
        if not self.alone:
            return self.others.create(content)
        if self.read() is not None:
            return False
        self.note.write(BEGUN, content)
        return True

    def replace(self, content: dict[str, str], version: str) -> bool:
        if version != HERE:
            return self.others.replace(content, version)
        if content["state"] != "initialised":
            self.note.write(BEGUN, content)
            return True
        self.note.write(TELLING, {**content, "state": "initialising"})
        return self._tell(content)

    def _is_as_others(self, noted: Noted | None) -> bool:
        """It has told, or is a member whose note is lost, and begins nothing any more."""
        return noted.stage == TOLD if noted else self._has_begun

    def _stored(self, noted: Noted | None) -> Versioned | None:
        """What the API has, or else what is noted. Raises `UnavailableError` where that is not enough to know."""
        mine = Versioned(noted.record, HERE) if noted else None
        try:
            stored = self._record().read()
        except UnavailableError as problem:
            if noted is None and isinstance(problem, SilentError):
                return None
            if noted is not None and noted.stage == BEGUN and (isinstance(problem, SilentError) or self._has_begun):
                return mine  # an API of its own may be there, and know nobody's rights yet
            raise
        if stored is None and noted is not None and noted.stage == TELLING:
            self._tell(
                {**noted.record, "state": "initialised"}
            )  # it lives, and is not to be undone: others may have seen it
            return self._record().read()
        return stored or mine

    @property
    def _has_begun(self) -> bool:
        """kubeadm has made an administrator here."""
        return self.administrator.exists()

    def _record(self) -> Record:
        """Of its own API where it has begun to make one, as its administrator."""
        if not self._has_begun:
            return self.others
        return Record(Api(lambda: [self.own()], self._administrators()), self.others.cluster)

    def _administrators(self) -> Credential:
        """Out of a file that kubeadm writes, one key a line. Raises `UnavailableError`."""
        try:
            text = self.administrator.read_text()
        except OSError as problem:
            raise UnavailableError(f"{self.administrator} cannot be read: {problem}") from problem
        found = re.findall(r"^\s*client-(?:certificate|key)-data:\s*(\S+)\s*$", text, re.MULTILINE)
        if len(found) != 2:
            raise UnavailableError(f"{self.administrator} has no certificate and key of an administrator")
        memory = os.memfd_create("administrator")  # what OpenSSL takes is a file, and this one is on no disk
        try:
            for part in found:
                os.write(memory, base64.b64decode(part))
            credential = Credential(self.others.api.credential.ca, certificate=f"/proc/self/fd/{memory}")
            _ = credential.context  # reads it
            return credential
        finally:
            os.close(memory)

    def _tell(self, content: dict[str, str]) -> bool:
        """Whether the record is this one now. Rights first: whoever reads it is to find lists and locks as well."""
        record = self._record()
        for document in self.rights:
            _apply(record.api, document)
        if not record.create(content):
            found = record.read()
            if found is None or found.content != content:
                return False
        self.note.write(TOLD, content)
        return True


def read_rights(path: Path) -> Sequence[dict[str, Any]]:
    """None where the machine was given none."""
    return list(json.loads(path.read_text())["items"]) if path.exists() else []


def _apply(api: Api, document: dict[str, Any]) -> None:
    """As it stands there, whatever was there before. Raises `UnavailableError`."""
    metadata = document["metadata"]
    collection = _COLLECTIONS[document["kind"]].format(namespace=metadata.get("namespace", ""))
    answer = api.ask("POST", collection, document)
    if answer.status == 409 and document["kind"] != "Namespace":
        answer = api.ask("PUT", f"{collection}/{metadata['name']}", document)
    if answer.status not in (200, 201, 409):
        raise unexpected(answer, f"{document['kind']} {metadata['name']} cannot be written")
