"""Content libraries: what is in one, and a machine that is deployed from it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from uuid import uuid4

from kube_provision_core import ConfigError, TargetError, tell

from ..inventory import ambiguous, some_of
from ..naming import VAPP
from ..resources import LibraryItem
from .rest import Rest, messages
from .specification import Order
from .tasks import LIMIT

LIBRARY, ITEM, OVF = "content/library", "content/library/item", "vcenter/ovf/library-item"
READ = "read the content library"
TYPE = "ovf"


def find_item(rest: Rest, library: str, name: str) -> LibraryItem:
    """Raises `ConfigError` with what there is where it is not there, or more than one is."""
    libraries = _find(rest, LIBRARY, {"name": library})
    if not libraries:
        known = _names(rest, LIBRARY, rest.call(READ, "GET", LIBRARY) or (), library)
        raise ConfigError(
            f"bake_from: there is no content library {library!r}, or the account may not see it; vCenter has: {known}"
        )
    its = _only("content library", library, libraries)
    found = _find(rest, ITEM, {"library_id": its, "name": name})
    if not found:
        known = _names(rest, ITEM, rest.call(READ, "GET", f"{ITEM}?library_id={its}") or (), name)
        raise ConfigError(f"bake_from: content library {library!r} has no item {name!r}; it has: {known}")
    item = _only(f"item of content library {library!r}", name, found)
    document = found[item]
    if document.get("type") != TYPE:
        kind = document.get("type")
        raise ConfigError(
            f"bake_from: item {library}/{name} is of the type {kind!r}; machines are deployed from OVF templates"
        )
    version = document.get("content_version") or document.get("version") or "1"
    return LibraryItem(item, f"{library}/{name}, version {version}")


def deploy(rest: Rest, item: LibraryItem, order: Order) -> str:
    """The id of the machine, which has nothing of the order but its name, notes and place, and is off. Raises
    `TargetError`."""
    doing = f"{order.name}: deploy {item.name}"
    target = {"resource_pool_id": order.pool.id, "folder_id": order.folder, "host_id": order.host}
    spec = {
        "name": order.name,
        "annotation": order.note,
        "accept_all_EULA": False,
        "storage_provisioning": "thin",
        "storage_profile_id": order.policy,
        "default_datastore_id": order.datastore,
    }
    body = {"client_token": str(uuid4()), "target": _given(target), "deployment_spec": _given(spec)}
    tell(f"deploy {item.name}")
    result = rest.call(doing, "POST", f"{OVF}/id:{item.id}?~action=deploy", body, LIMIT) or {}
    made = result.get("resource_id") or {}
    if not result.get("succeeded"):
        raise TargetError(f"{doing}: {messages(_told(result.get('error') or {}))}")
    if made.get("type") == VAPP:
        raise TargetError(f"{doing}: it holds several machines, now in the vApp {order.name}; delete that, and name another")
    return str(made["id"])


def _find(rest: Rest, kind: str, spec: Mapping[str, str]) -> Mapping[str, Mapping[str, Any]]:
    """By id, all that bear the name; vCenter finds those too in which it is written in other letters."""
    ids = rest.call(READ, "POST", f"{kind}?~action=find", {"spec": spec}) or ()
    found = dict(zip(ids, rest.documents(READ, kind, ids), strict=True))
    return {item: one for item, one in found.items() if one["name"] == spec["name"]}


def _only(what: str, name: str, found: Iterable[str]) -> str:
    """The one id that there is: vCenter lets libraries, and items of one, have the same name."""
    first, *others = found
    if others:
        raise ConfigError(f"bake_from: {ambiguous(name, what, dict.fromkeys(found, name))}")
    return first


def _names(rest: Rest, kind: str, ids: Sequence[str], like: str) -> str:
    return some_of((str(one["name"]) for one in rest.documents(READ, kind, ids)), like)


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _told(error: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Messages, which stand in one of three places."""
    for one in error.get("errors") or ():
        yield from (one.get("error") or {}).get("messages") or ()
        yield from (issue["message"] for issue in one.get("issues") or () if issue.get("message"))
        if one.get("message"):
            yield one["message"]
