"""Options that several commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import click
from click.core import ParameterSource

from .flags import brought
from .input import Input
from .output import FORMATS
from .program import debug

Command = Callable[..., Any]


class FilePath(click.Path):
    """Of a file or a folder. An empty one, as a script's variable is that nobody has set, would be the current folder's, or
    be taken for an option that is not given."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not value:
            self.fail("it is empty, and a path is meant", param, ctx)
        return super().convert(value, param, ctx)


_NOTHING = Input()


def _dropped(flag: str, instead: str) -> Callable[[Command], Command]:
    """An option of the past: refused in one line that says what to use instead."""

    def refuse(ctx: click.Context, _: click.Parameter, value: object) -> None:
        if value is not None:
            raise click.UsageError(f"{flag} no longer exists: {instead}.", ctx)

    return click.option(flag, hidden=True, expose_value=False, callback=refuse)


_KEYS = {
    "name": click.option("--name", "--cluster-name", "-n", "name", help="Cluster name, a DNS label."),
    "masters": click.option("--masters", "-m", type=int, help="How many masters (3)."),
    "workers": click.option("--workers", "-w", type=int, help="How many workers (3)."),
    "kubernetes_version": click.option(
        "--k8s-version", "kubernetes_version", help="Kubernetes minor or exact version: 1.37, 1.37.1."
    ),
    "host_prefix": click.option("--host-prefix", "-p", help="First part of every host name."),
    "master_label": click.option("--master-label", help="Part of a master's host name (m-)."),
    "worker_label": click.option("--worker-label", help="Part of a worker's host name (w-)."),
}
"""The flags that are keys of the configuration, by key. The config file, `-e` and the environment can say the same."""

_FILES = (
    click.option("--config", "-c", "paths", multiple=True, type=FilePath(), help="Configuration file; repeatable."),
    click.option("--extra", "-e", multiple=True, metavar="KEY=VALUE|@FILE", help="More keys; repeatable. No secrets here."),
)

_DROPPED = (
    _dropped("--host-suffix-format", "names are <prefix><label><cluster>-<index>, so that a second run finds the machines"),
    _dropped("--provisioner", "write `target: NAME` in the configuration, or use -e target=NAME"),
)

output = click.option(
    "--output", "-o", "form", type=click.Choice(FORMATS), default="table", show_default=True, help="How data is printed."
)

STATE = {
    "state": click.option(
        "--state",
        type=FilePath(file_okay=False),
        metavar="DIR|URL",
        envvar="KUBE_PROVISION_STATE",
        help="Where the clusters' folders of secrets are (~/.local/state/kube-provision), or a store for them, encrypted.",
    ),
    "state_recipients": click.option(
        "--state-recipient",
        "state_recipients",
        multiple=True,
        metavar="KEY",
        help="Who can open a state in a store: age1…, ssh-…; repeatable.",
    ),
    "state_recipients_files": click.option(
        "--state-recipients-file",
        "state_recipients_files",
        multiple=True,
        type=FilePath(),
        envvar="KUBE_PROVISION_STATE_RECIPIENTS_FILE",
        metavar="FILE",
        help="More of them, one a line; repeatable.",
    ),
    "state_identity_files": click.option(
        "--state-identity-file",
        "state_identity_files",
        multiple=True,
        type=FilePath(),
        envvar="KUBE_PROVISION_STATE_IDENTITY_FILE",
        metavar="FILE",
        help="What opens it: an age identity, or an SSH key; repeatable.",
    ),
}
"""Options that say where the clusters' folders are, by parameter."""


def state(command: Command) -> Command:
    """Add them; the command finds what they say in its `Input`, below whose own options they stand."""

    @functools.wraps(command)
    def with_state(given: Input = _NOTHING, **options: Any) -> Any:
        from .state_option import Said

        of_stores = given_among(parameter for parameter in STATE if parameter != "state")
        words = tuple(_state_said(options))
        found = Said(*(options.pop(parameter) for parameter in STATE)).state(too_much=of_stores)
        return command(given=given._replace(found_state=found, said_of_state=words), **options)

    return with_options(list(STATE.values()), with_state)


def _state_said(options: Mapping[str, Any]) -> Iterator[str]:
    """What the command line itself says of the state."""
    context = click.get_current_context()
    written = {parameter.name: parameter.opts[0] for parameter in context.command.params}
    for parameter in STATE:
        if context.get_parameter_source(parameter) is ParameterSource.COMMANDLINE:
            values = options[parameter]
            for value in [values] if isinstance(values, str) else values:
                yield from (written[parameter], _from_anywhere(parameter, value))


def _from_anywhere(parameter: str, value: str) -> str:
    """A path is told as it is found from every folder."""
    from pathlib import Path

    return value if "://" in value or parameter == "state_recipients" else str(Path(value).absolute())


parallel = click.option(
    "--parallel", type=click.IntRange(min=1), metavar="N", help="Machines worked on at once; default: the target's."
)

wait = click.option(
    "--wait/--no-wait",
    default=True,
    show_default=True,
    help="Wait until every node has finished its boot; without: until every machine has an address.",
)

wait_timeout = click.option(
    "--wait-timeout",
    type=click.IntRange(min=1),
    metavar="SECONDS",
    help="How long one machine's boot may take; default: the target's, 1800 where it has none.",
)

nodes = click.option("--node", "nodes", multiple=True, metavar="NAME", help="Only this machine; repeatable.")


def _pool(_: click.Context, __: click.Parameter, value: str | None) -> str:
    """An empty one, as a script's variable that nobody has set, would be every node."""
    if value == "":
        raise click.BadParameter("it is empty, and the name of a pool is meant")
    return value or ""


pool = click.option(
    "--pool", metavar="NAME", callback=_pool, help="Only workers of this pool; `workers` are those of no other."
)

drifted = click.option(
    "--drifted",
    is_flag=True,
    help="Those made from another configuration, those that must be replaced, those that are missing.",
)

yes = click.option("--yes", is_flag=True, help="Do not ask for the cluster's name first.")


def given_among(parameters: Iterable[str]) -> str:
    """The first of these parameters that the command line itself gives, as its option is written; empty where none is."""
    context = click.get_current_context()
    options = {parameter.name: parameter for parameter in context.command.params}
    given = (name for name in parameters if context.get_parameter_source(name) is ParameterSource.COMMANDLINE)
    return next((_written(options[name], context.params[name]) for name in given), "")


def _written(option: click.Parameter, value: object) -> str:
    """Such as `--no-drain`, where it is that one of the two which was given."""
    return option.secondary_opts[0] if value is False and option.secondary_opts else option.opts[0]


def with_options(options: Sequence[Callable[[Command], Command]], command: Command) -> Command:
    """The command with these options, in this order."""
    for option in reversed(options):
        command = option(command)
    return command


def gathering(
    name: str, options: Iterable[Callable[[Command], Command]], parameters: Iterable[str], make: Callable[..., Any]
) -> Callable[[Command], Command]:
    """Adds options; the command gets one thing of this name, made of what those of these parameters say that it has."""

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def with_one(**given: Any) -> Any:
            made = make(**{parameter: given.pop(parameter) for parameter in parameters if parameter in given})
            return command(**{name: made}, **given)

        return with_options(list(options), with_one)

    return decorate


again = click.option("--again", is_flag=True, help="Bake also what holds everything already.")


def configuration(command: Command) -> Command:
    """Add every option that names a configuration; the command gets them as one `Input` named `given`."""
    plugins = _plugins_flags(command)

    @functools.wraps(command)
    def with_input(*, paths: tuple[str, ...], extra: tuple[str, ...], **options: Any) -> Any:
        flags = {key: value for key in (*_KEYS, *plugins) if (value := options.pop(key)) is not None}
        return command(given=Input(paths, extra, flags), **options)

    return with_options([*_FILES, *_KEYS.values(), *plugins.values(), *_DROPPED], with_input)


def _plugins_flags(command: Command) -> dict[str, Callable[[Command], Command]]:
    """By key. One that would be another option of the command's is left out: its key can still be given by `-e`."""
    naming = with_options([*_FILES, *_KEYS.values(), *_DROPPED], lambda: None)
    taken = {word for it in (*_parameters(naming), *_parameters(command), debug) for word in (it.name, *it.opts)}
    flags = {key: (f"--{key.replace('_', '-')}", told) for key, told in brought().items()}
    return {
        key: click.option(flag, key, help=told, multiple=True, callback=_joined)
        for key, (flag, told) in flags.items()
        if not {key, flag} & taken
    }


def _joined(context: click.Context, parameter: click.Parameter, given: Sequence[str]) -> str | None:
    """What is said twice is a list, as with a comma; a key that takes none says so."""
    return ",".join(given) if given else None


def _parameters(command: Command) -> Sequence[click.Parameter]:
    """Those that decorators have given a command so far."""
    return getattr(command, "__click_params__", ())
