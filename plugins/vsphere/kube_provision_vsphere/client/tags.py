"""vCenter's tags: which there are, and which machines bear."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from kube_provision_core import TargetError

from ..resources import Tag, TagCategory
from .rest import Rest, messages

CATEGORY, TAG, ASSOCIATION = "cis/tagging/category", "cis/tagging/tag", "cis/tagging/tag-association"
MACHINE = "VirtualMachine"
READ = "read tags"

MOST = 200
"""Machines in one call."""


def read_categories(rest: Rest, names: Collection[str]) -> tuple[TagCategory, ...]:
    """All that there are; those of these names with their tags. Raises `TargetError`."""
    documents = rest.documents(READ, CATEGORY, rest.call(READ, "GET", CATEGORY) or ())
    return tuple(_category(rest, document, names) for document in documents)


def _category(rest: Rest, document: Mapping[str, Any], names: Collection[str]) -> TagCategory:
    name, types = document["name"], document.get("associable_types")
    tags: Sequence[Mapping[str, Any]] = ()
    if name in names:
        ids = rest.call(READ, "POST", f"{TAG}/id:{document['id']}?~action=list-tags-for-category")
        tags = rest.documents(READ, TAG, ids or ())
    return TagCategory(
        id=document["id"],
        name=name,
        single=document.get("cardinality") == "SINGLE",
        for_machines=not types or MACHINE in types,
        tags={tag["name"]: tag["id"] for tag in tags},
    )


def set_tags(rest: Rest, wanted: Mapping[str, Collection[Tag]]) -> None:
    """Attach to machines, by their ids, what they lack: one call for each tag and `MOST` machines. Of a category of which a
    machine bears one tag at most, another one is taken away first; else what others have attached stays. Raises
    `TargetError`."""
    attached = _attached(rest, list(wanted))
    lacking: dict[Tag, list[str]] = defaultdict(list)
    rivals: dict[tuple[str, Tag], list[str]] = defaultdict(list)
    for machine, tags in wanted.items():
        for tag in tags:
            if tag.id not in attached[machine]:
                lacking[tag].append(machine)
                for rival in tag.rivals & attached[machine]:
                    rivals[rival, tag].append(machine)
    for (rival, tag), machines in rivals.items():
        _change(rest, f"make room for tag {tag}", f"id:{rival}?~action=detach-tag-from-multiple-objects", machines)
    for tag, machines in lacking.items():
        _change(rest, f"attach tag {tag}", f"id:{tag.id}?~action=attach-tag-to-multiple-objects", machines)


def _attached(rest: Rest, machines: Sequence[str]) -> Mapping[str, set[str]]:
    """Ids of the tags that each bears."""
    found: dict[str, set[str]] = defaultdict(set)
    for some in _portions(machines):
        path = f"{ASSOCIATION}?~action=list-attached-tags-on-objects"
        for one in rest.call("read machines' tags", "POST", path, _objects(some)) or ():
            found[one["object_id"]["id"]].update(one.get("tag_ids") or ())
    return found


def _change(rest: Rest, doing: str, what: str, machines: Sequence[str]) -> None:
    for some in _portions(machines):
        result = rest.call(doing, "POST", f"{ASSOCIATION}/{what}", _objects(some)) or {}
        if not result.get("success"):
            raise TargetError(f"{doing}: {messages(result.get('error_messages') or ())}")


def _portions(machines: Sequence[str]) -> Iterator[Sequence[str]]:
    return (machines[at : at + MOST] for at in range(0, len(machines), MOST))


def _objects(machines: Sequence[str]) -> Mapping[str, Any]:
    return {"object_ids": [{"type": MACHINE, "id": machine} for machine in machines]}
