"""Which of vCenter's tags the configuration means: a site's own, of which none is made here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kube_provision_core import ConfigError

from .config import VsphereConfig
from .inventory import ambiguous, some_of
from .resources import Tag, TagCategory


def find(config: VsphereConfig, categories: Sequence[TagCategory]) -> tuple[Tag, ...]:
    """The tags of a role's machines. Raises `ConfigError` with all problems at once."""
    problems, found = [], []
    for name, tags in config.vm_tags.items():
        named = [it for it in categories if it.name == name]
        lines = list(_problems(name, tags, named, categories))
        problems += lines
        if not lines:
            found += [_tag(named[0], tag) for tag in tags]
    if problems:
        raise ConfigError(*problems)
    return tuple(found)


def _problems(
    name: str, tags: Sequence[str], named: Sequence[TagCategory], categories: Sequence[TagCategory]
) -> Iterator[str]:
    if not named:
        known = some_of((it.name for it in categories), like=name)
        yield f"vm_tags: there is no category {name!r}, or the account may not see it; vCenter has: {known}"
        return
    if len(named) > 1:
        yield f"vm_tags: {ambiguous(name, 'category', {it.id: it.name for it in named})}"
        return
    category = named[0]
    if not category.for_machines:
        yield f"vm_tags: tags of category {name!r} are not for virtual machines"
    if category.single and len(tags) > 1:
        yield f"vm_tags: a machine bears one tag of category {name!r} at most, not {' and '.join(tags)}"
    for tag in tags:
        if tag not in category.tags:
            known = some_of(category.tags, like=tag)
            yield f"vm_tags: category {name!r} has no tag {tag!r}, or the account may not see it; it has: {known}"


def _tag(category: TagCategory, name: str) -> Tag:
    item = category.tags[name]
    rivals = frozenset(category.tags.values()) - {item} if category.single else frozenset()
    return Tag(item, f"{category.name}/{name}", rivals)
