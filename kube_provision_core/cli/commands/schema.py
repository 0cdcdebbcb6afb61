"""`kube-provision schema`."""

from __future__ import annotations

import click

from ..input import Input
from ..options import configuration
from ..output import emit
from ..program import subcommand


@subcommand("schema")
@click.option("--target", metavar="NAME", help="Target driver.")
@click.option("--os", metavar="NAME", help="Operating-system driver.")
@click.option("--discovery", metavar="NAME", help="Discovery driver.")
@click.option("--extension", "extensions", multiple=True, metavar="NAME", help="Extension plugin; repeatable.")
@configuration
@click.option(
    "--output",
    "-o",
    "form",
    type=click.Choice(["json", "yaml"]),
    default="json",
    show_default=True,
    help="How it is printed.",
)
def command(
    given: Input, target: str | None, os: str | None, discovery: str | None, extensions: tuple[str, ...], form: str
) -> None:
    """Print the JSON Schema of a configuration: of what the core and the drivers understand.

    The drivers are those that a configuration names, which may still be incomplete, or those named here. A kind that neither
    names is the installed driver, where there is only one.
    """
    from ...config import schema

    named = {"target": target, "os": os, "discovery": discovery, "extensions": list(extensions)}
    drivers = given.drivers({key: value for key, value in named.items() if value})
    missing = {"target", "os"} - {driver.kind for driver in drivers}
    data = schema([*drivers, *((kind, _only_installed(kind)) for kind in sorted(missing))])
    emit(data, form, lambda: "")


def _only_installed(kind: str) -> str:
    from ...registry import installed

    names = {plugin.distribution: plugin.name for plugin in installed() if plugin.kind == kind}
    if len(names) == 1:
        return names.popitem()[1]
    choice = f"one of {', '.join(sorted(names.values()))}" if names else "none is installed; see `kube-provision plugins`"
    raise click.UsageError(f"which {kind}? Name it with --{kind} or in the configuration: {choice}.")
