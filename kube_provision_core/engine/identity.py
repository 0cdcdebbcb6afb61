"""What makes a plan this one and no other: what was asked for, the facts that decided, the actions that change something.

No times, no machine's word, no address that nothing used: a plan is the same as long as it would do the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from .. import __version__
from ..config.words import DnsLabel
from ..contract.errors import ConfigError
from .plan import CreateVm, Plan
from .verb import Options, Verb
from .wish import Draining, Rolling, Wish

if TYPE_CHECKING:
    from .facts import Facts
    from .session import Session


@dataclass(frozen=True)
class Identity:
    """Plain data, and no secrets: all of it may be shown, stored and read again."""

    verb: str
    cluster: str
    options: Mapping[str, Any]
    """A `Wish`."""
    facts: Mapping[str, Any]
    actions: Mapping[str, Any]
    """What is particular about each, by key."""

    @property
    def digest(self) -> str:
        """SHA-256, in hexadecimal digits."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    @property
    def wish(self) -> Wish:
        draining, nodes = self.options["draining"], tuple(self.options["nodes"])
        values = {**self.options, "nodes": nodes, "draining": Draining(**draining) if draining else None}
        return Wish(**{**values, "rolling": Rolling(**self.options["rolling"])})


@dataclass(frozen=True)
class _PrintedAction:
    action: str
    subject: str
    details: dict[str, Any] | None


@dataclass(frozen=True)
class _Printed:
    """What of a plan's file decides."""

    verb: DnsLabel
    cluster: DnsLabel
    options: Wish
    facts: dict[str, Any]
    actions: list[_PrintedAction]
    digest: str


def identify(verb: Verb, session: Session, facts: Facts, options: Options, plan: Plan) -> Identity:
    actions = {action.key: dict(action.details) for action in plan.actions if action.details is not None}
    cluster, wish = session.config.core.name, _plain(options.wish)
    return Identity(verb.name, cluster, wish, _facts(verb, session, facts, plan), actions)


def _plain(wish: Wish) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(asdict(wish)))
    return plain


def _facts(verb: Verb, session: Session, facts: Facts, plan: Plan) -> dict[str, Any]:
    config = session.config
    found: dict[str, Any] = {
        "program": __version__,
        "plugins": {f"{it.kind} {it.name}": f"{it.distribution} {version_of(it.distribution)}" for it in config.drivers},
        "configuration": {role.value: config.content(role) for role in config.by_role},
    }
    if not verb.of_cluster:
        templates = facts.templates.value
        return found | {"templates": {it.name: it.baked.spec if it.baked else it.exists for it in templates}}
    found |= {
        "folder": facts.folder.cluster_id if facts.folder.saved else "",
        "machines": {name: vm.id for name, vm in sorted(facts.seen.ours.items())},
    }
    if any(isinstance(action, CreateVm) for action in plan.actions):
        found |= {"initialised": facts.lives, "discovery": ",".join(facts.seen.cluster.discovery_addresses)}
    return found


def version_of(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


def read(text: str, where: str) -> Identity:
    """From what `plan --output json` printed. Raises `ConfigError` for anything else, and for what was changed since."""
    try:
        plain = json.loads(text)
        said = TypeAdapter(_Printed).validate_json(json.dumps(plain), strict=True)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{where}: is no plan; `kube-provision plan --output json` prints one") from error
    actions = {f"{it.action} {it.subject}": it.details for it in said.actions if it.details is not None}
    identity = Identity(said.verb, said.cluster, plain["options"], said.facts, actions)
    if identity.digest != said.digest or identity.options != _plain(said.options):
        raise ConfigError(f"{where}: was changed after it was planned, or another version planned it. Plan anew")
    return identity


def check_meant(agreed: Identity, cluster: str) -> None:
    """Raise `ConfigError` for a plan of another cluster, which says more than whatever else would differ."""
    if agreed.cluster != cluster:
        raise ConfigError(
            f"it was planned for cluster {agreed.cluster}, and this is {cluster}; nothing was touched. Give the "
            "configuration, or the --name, of that one"
        )


def check_same(agreed: Identity, now: Identity) -> None:
    """Raise `ConfigError` that says what has changed unless both plans are the same."""
    if now.digest != agreed.digest:
        raise ConfigError(
            f"{agreed.verb} would no longer do what was planned, and nothing was touched. Plan anew; what has changed:",
            *_differences(agreed, now),
        )


def _differences(then: Identity, now: Identity) -> Iterator[str]:
    before, after = _flat(then.facts), _flat(now.facts)
    for path in sorted(before.keys() | after.keys()):
        was, is_ = before.get(path, "absent"), after.get(path, "absent")
        if was != is_:
            yield f"{' '.join(path)}: was {_word(was)}, is {_word(is_)}"
    for key in [*then.actions, *(key for key in now.actions if key not in then.actions)]:
        if key not in now.actions:
            yield f"{key}: is no longer to be done"
        elif key not in then.actions:
            yield f"{key}: is to be done now"
        elif then.actions[key] != now.actions[key]:
            yield f"{key}: is to be done otherwise"


def _flat(facts: Mapping[str, Any], *path: str) -> dict[tuple[str, ...], object]:
    flat: dict[tuple[str, ...], object] = {}
    for name, value in facts.items():
        flat |= _flat(value, *path, name) if isinstance(value, Mapping) else {(*path, name): value}
    return flat


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) or "none"
