"""Reading properties of many objects in one call, by the paths of their leaves."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .session import Session
from .vmomi import managed_id, managed_kind, managed_type, vim, vmodl

PAGE = 1000
"""Objects in one answer. The server may choose fewer; the rest is fetched page by page."""

Paths = Mapping[str, Collection[str]]
"""Property paths by type. An object's type must not match two of them: which one counts is not defined."""


@dataclass(frozen=True)
class Found:
    """What was read of one object."""

    kind: str
    id: str
    values: dict[str, Any]
    """By path; a property that is not set, or that the account may not read, is absent."""


@dataclass(frozen=True)
class Select:
    """Objects to read, and how to get from them to others."""

    paths: Paths
    objects: Sequence[tuple[str, str]]
    """Type and id."""
    walk: Sequence[Any] = field(default=())
    """Traversal specifications: what they reach is read too."""


def select_machines(paths: Collection[str], ids: Collection[str]) -> Select:
    """Virtual machines, and nothing from there."""
    return Select({"VirtualMachine": paths}, [("VirtualMachine", item) for item in ids])


def retrieve(session: Session, doing: str, *selects: Select) -> list[Found]:
    """One call (and one per further page) for everything; objects that no longer exist are left out.

    An object that two of the selections reach appears once, with the values of both.
    """
    wanted = [select for select in selects if select.objects]
    if not wanted:
        return []
    return session.call(doing, lambda: _merged(_pages(session, [_filter(session, select) for select in wanted])))


def _filter(session: Session, select: Select) -> Any:
    collector = vmodl.query.PropertyCollector
    return collector.FilterSpec(
        propSet=[
            collector.PropertySpec(type=managed_type(kind), pathSet=list(paths), all=False)
            for kind, paths in select.paths.items()
        ],
        objectSet=[
            collector.ObjectSpec(obj=session.managed(kind, item), skip=False, selectSet=list(select.walk))
            for kind, item in select.objects
        ],
        reportMissingObjectsInResults=True,
    )


def _pages(session: Session, filters: list[Any]) -> Iterable[Any]:
    collector = session.content.propertyCollector
    options = vmodl.query.PropertyCollector.RetrieveOptions(maxObjects=PAGE)
    page = collector.RetrievePropertiesEx(filters, options)
    while page:
        yield from page.objects
        page = collector.ContinueRetrievePropertiesEx(page.token) if page.token else None


def _merged(contents: Iterable[Any]) -> list[Found]:
    found: dict[str, Found] = {}
    for content in contents:
        _check_session(content)
        item = Found(managed_kind(content.obj), managed_id(content.obj), {})
        values = found.setdefault(item.id, item).values
        values.update({change.name: change.val for change in content.propSet})
    return list(found.values())


def _check_session(content: Any) -> None:
    """An expired session may show as properties that are missing, not as a fault of the call."""
    for missing in content.missingSet:
        if isinstance(missing.fault, vim.fault.NotAuthenticated):
            raise missing.fault


def walk(name: str, kind: str, path: str, *then: str) -> Any:
    """From objects of a type along a property to others; `then` are the names of the walks from there."""
    collector = vmodl.query.PropertyCollector
    return collector.TraversalSpec(
        name=name,
        type=managed_type(kind),
        path=path,
        skip=False,
        selectSet=[collector.SelectionSpec(name=step) for step in then],
    )
