"""etcd by its JSON gateway: keys for the API server, members for kubeadm."""

from __future__ import annotations

import http.client
import json
import ssl
from base64 import b64decode, b64encode
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from machines.standins.places import ETCD_PEER_PORT, ETCD_PORT, PKI


class EtcdError(Exception):
    """etcd does not answer, or refuses."""


@dataclass(frozen=True)
class Member:
    id: str
    name: str
    """Empty until it has started for the first time."""
    address: str
    learner: bool


@dataclass(frozen=True)
class Etcd:
    """One member, spoken to with the API server's certificate. Every method may raise `EtcdError`."""

    address: str = "127.0.0.1"
    pki: Path = PKI
    timeout: float = 3.0

    def members(self) -> list[Member]:
        return [_member(document) for document in self._ask("/v3/cluster/member/list", {"linearizable": True})["members"]]

    def add_learner(self, address: str) -> None:
        self._ask("/v3/cluster/member/add", {"peerURLs": [peer_url(address)], "isLearner": True})

    def promote(self, member_id: str) -> None:
        self._ask("/v3/cluster/member/promote", {"ID": member_id})

    def remove(self, member_id: str) -> None:
        self._ask("/v3/cluster/member/remove", {"ID": member_id})

    def check(self) -> None:
        """That it follows a leader with a majority: a read that is not from memory."""
        self._ask("/v3/kv/range", {"key": _encode("health")})

    def range(self, prefix: str) -> dict[str, str]:
        """All keys that begin so."""
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        found = self._ask("/v3/kv/range", {"key": _encode(prefix), "range_end": _encode(end)}).get("kvs", ())
        return {_decode(entry["key"]): _decode(entry["value"]) for entry in found}

    def get(self, key: str) -> str | None:
        return self.versioned(key)[0]

    def versioned(self, key: str) -> tuple[str | None, int]:
        """With the revision at which it was written; None and 0 where it is not there."""
        found = self._ask("/v3/kv/range", {"key": _encode(key)}).get("kvs", ())
        return (_decode(found[0]["value"]), int(found[0]["mod_revision"])) if found else (None, 0)

    def put(self, key: str, value: str) -> None:
        self._ask("/v3/kv/put", {"key": _encode(key), "value": _encode(value)})

    def exchange(self, key: str, revision: int, value: str) -> bool:
        """Write it if it is still as it was at that revision, in one step; 0: if it is not there."""
        unchanged = {"key": _encode(key), "target": "MOD", "result": "EQUAL", "mod_revision": str(revision)}
        written = {"request_put": {"key": _encode(key), "value": _encode(value)}}
        return bool(self._ask("/v3/kv/txn", {"compare": [unchanged], "success": [written]}).get("succeeded"))

    def delete(self, key: str) -> bool:
        return bool(self._ask("/v3/kv/deleterange", {"key": _encode(key)}).get("deleted", "0") != "0")

    def _ask(self, path: str, document: dict[str, Any]) -> dict[str, Any]:
        connection = http.client.HTTPSConnection(self.address, ETCD_PORT, timeout=self.timeout, context=self._context)
        try:
            connection.request("POST", path, json.dumps(document))
            response = connection.getresponse()
            answer: dict[str, Any] = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise EtcdError(f"etcd at {self.address}: {error}") from error
        finally:
            connection.close()
        if response.status != 200:
            raise EtcdError(f"etcd at {self.address}: {answer.get('message') or answer}")
        return answer

    @cached_property
    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.pki / "etcd/ca.crt"))
        client = self.pki / "apiserver-etcd-client.crt"
        context.load_cert_chain(client, client.with_suffix(".key"))
        return context


class Keys(MutableMapping[str, Any]):
    """The keys below a prefix, as JSON documents by what follows it."""

    def __init__(self, etcd: Etcd, prefix: str) -> None:
        self._etcd = etcd
        self._prefix = prefix

    def __getitem__(self, name: str) -> Any:
        text = self._etcd.get(self._prefix + name)
        if text is None:
            raise KeyError(name)
        return self.read(text)

    def __setitem__(self, name: str, document: Any) -> None:
        self._etcd.put(self._prefix + name, self.written(document))

    def exchange(self, name: str, old: Any, new: Any) -> bool:
        """Write the new document in the old one's place, None being none, unless another has come there meanwhile."""
        text, revision = self._etcd.versioned(self._prefix + name)
        if (None if text is None else self.read(text)) != old:
            return False
        return self._etcd.exchange(self._prefix + name, revision, self.written(new))

    def read(self, text: str) -> Any:
        """As it lies in etcd."""
        return json.loads(text)

    def written(self, document: Any) -> str:
        return json.dumps(document)

    def __delitem__(self, name: str) -> None:
        if not self._etcd.delete(self._prefix + name):
            raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return (key.removeprefix(self._prefix) for key in self._etcd.range(self._prefix))

    def __len__(self) -> int:
        return len(self._etcd.range(self._prefix))


def peer_url(address: str) -> str:
    return f"https://{address}:{ETCD_PEER_PORT}"


def _member(document: dict[str, Any]) -> Member:
    address = document["peerURLs"][0].removeprefix("https://").rpartition(":")[0]
    return Member(document["ID"], document.get("name", ""), address, document.get("isLearner", False))


def _encode(text: str) -> str:
    return b64encode(text.encode()).decode()


def _decode(text: str) -> str:
    return b64decode(text).decode()
