"""config.yml + flags + environment → Config."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from ipaddress import IPv4Network
from pathlib import Path

from ..contract.driver import DriverConfig
from ..contract.machines import Role
from ..registry import ChosenDriver, FoundDriver, construct, declared, machines_of
from . import rules
from .choosing import choose_drivers
from .command_line import options
from .composed import Config
from .core import CoreConfig
from .missing import tell_missing
from .per_role import PerRole
from .placing import Places
from .problems import Problems
from .settings import arrange
from .sources import collect, misspelt_variables
from .validate import Outcome, Validator
from .vocabulary import POOLS, compose, section_of

ByRole = Mapping[Role, Outcome[DriverConfig]]


def load(
    paths: Sequence[Path],
    *,
    extra: Sequence[str] = (),
    flags: Mapping[str, object] = {},
    environ: Mapping[str, str],
    defaults: Mapping[str, object] = {},
    unwritten: Mapping[Path, bytes] = {},
) -> Config:
    """Read, compose and check a configuration.

    `paths` are documents, a later one beating an earlier one. `extra` are `-e` values: `key=value` or `@file`. `flags` are
    parsed flags by key; `defaults` are such too, from a command that needs less than others. Precedence: flag > `-e` >
    environment > role section > document > default. `unwritten`: documents by their paths, where they are to be written.

    Raises `ConfigError` with every problem at once, and `PluginError` where two plugins claim one key.
    """
    problems = Problems()
    given = collect(paths, extra, flags, environ, problems, defaults, unwritten)
    problems.raise_if_any()

    drivers = choose_drivers(given, problems)
    vocabulary = compose(drivers)
    settings = arrange(given, vocabulary, problems, complete=not problems)

    validator = Validator(vocabulary, settings, environ, problems)
    core = validator.validate(CoreConfig, "the configuration", None)
    validator.taken = core.config.cluster_networks if core.config else {}
    by_role = {role: _validate_core(validator, role) for role in settings.roles}
    outcomes = [(driver, _validate_driver(validator, driver, settings.roles)) for driver in drivers]
    core = _with_pools(core, by_role)

    target = next((driver.cls for driver in drivers if driver.kind == "target"), None)
    machines = sum(_machines(driver, by_role) for driver, by_role in outcomes if driver.kind == "discovery")
    used = _used_roles(core.config, machines)
    sections = {**vocabulary.sections, **{section_of(role): role for role in settings.pools}}
    tell_missing(_missing(core, outcomes, used), used, vocabulary, sections, given, problems)
    if core.config and all(outcome.config for outcome in by_role.values()):
        nodes = declared(target, "node_network", None, IPv4Network | None)
        rules.check(core.config, machines, nodes, validator.place, problems)
    for role, outcome in by_role.items():
        if outcome.config:
            rules.check_role(outcome.config, partial(validator.place, role=role), problems)
            if declared(target, "shares_kernel", False):
                rules.check_shared_kernel(outcome.config, partial(validator.place, role=role), problems)
    known = {role: outcome.config for role, outcome in by_role.items() if outcome.config}
    rules.check_swap(known, validator.place, problems)
    if masters := by_role[Role.MASTER].config:
        rules.check_masters(masters, partial(validator.place, role=Role.MASTER), problems)
    problems.raise_if_any()

    chosen = tuple(_choose(driver, configs) for driver, configs in outcomes)
    document = _rename(core, chosen)
    cores = PerRole({role: _rename(outcome, chosen) for role, outcome in by_role.items()})
    swappable = {} if declared(target, "shares_kernel", False) else {role: known[role] for role in known if role in used}
    misspelt = misspelt_variables(environ, vocabulary.names)
    warnings = [f"{name} in the environment is no key; did you mean {meant}?" for name, meant in misspelt.items()]
    return Config(
        document,
        cores,
        chosen,
        warnings=(*warnings, *rules.warnings(document), *rules.swap_warnings(swappable)),
        options=tuple(options(paths, extra, flags, vocabulary)),
        unwritten=unwritten,
        telling_places=Places(validator, settings.roles).telling,
    )


def _validate_core(validator: Validator, role: Role) -> Outcome[CoreConfig]:
    return validator.validate(CoreConfig, "the configuration", role, CoreConfig.role_defaults.get(role.kind, {}))


def _validate_driver(validator: Validator, driver: FoundDriver, roles: Iterable[Role]) -> ByRole:
    return {role: validator.validate(driver.cls.Config, f"{driver.kind} {driver.name}", role) for role in roles}


def _with_pools(core: Outcome[CoreConfig], by_role: Mapping[Role, Outcome[CoreConfig]]) -> Outcome[CoreConfig]:
    """The document's own level with the count of each pool, whatever source says it."""
    pools = {role.pool: it.config.workers for role, it in by_role.items() if role.is_pool and it.config}
    return replace(core, config=core.config.model_copy(update={POOLS: pools})) if core.config and pools else core


def _used_roles(core: CoreConfig | None, machines: int) -> frozenset[Role]:
    """Roles that have machines: the others need no key that is required. `machines`: of discovery."""
    used = {role for role, count in core.counts.items() if count} if core else {Role.MASTER, Role.WORKER}
    if machines:
        used.add(Role.DISCOVERY)
    return frozenset(used)


def _machines(driver: FoundDriver, by_role: ByRole) -> int:
    """How many the discovery driver needs; none for an existing service. Its constructor, which does no I/O, says so."""
    if by_role[Role.MASTER].config is None:
        return 0
    return machines_of(construct(_choose(driver, by_role)))


def _missing(
    core: Outcome[CoreConfig], outcomes: Iterable[tuple[FoundDriver, ByRole]], used: Iterable[Role]
) -> dict[str, set[Role]]:
    """Roles by missing key."""
    missing: dict[str, set[Role]] = {key: set(used) for key in core.missing}
    for role, by_role in ((role, by_role) for role in used for _, by_role in outcomes):
        for key in by_role[role].missing:
            missing.setdefault(key, set()).add(role)
    return missing


def _choose(driver: FoundDriver, by_role: ByRole) -> ChosenDriver:
    """The driver with its configuration; a role without machines may do without required keys and gets the masters'."""
    configs = {role: outcome.config or by_role[Role.MASTER].config for role, outcome in by_role.items()}
    return driver.configured(PerRole({role: config for role, config in configs.items() if config is not None}))


def _rename(outcome: Outcome[CoreConfig], chosen: Iterable[ChosenDriver]) -> CoreConfig:
    """The core's keys, drivers by their own names: which of its names a user wrote makes no difference later."""
    assert outcome.config is not None, "problems were raised before"
    names = {driver.kind: driver.name for driver in chosen if driver.kind != "extension"}
    return outcome.config.model_copy(update=names)
