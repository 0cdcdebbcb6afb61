"""The program: a group of commands, each imported only when it is named."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from .. import __version__
from ..contract.errors import KubeProvisionError
from .talk import PROGRAM, complain

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

DEFAULT = "provision"
DEBUG = f"{__name__}.debug"
"""Key in the context's `meta`: a traceback for expected errors too."""

UNNAMED = f"{__name__}.unnamed"
"""Key in the context's `meta`: no command is named, so far."""

SUMMARIES = {
    "init": "Ask what a cluster is to be, and write its configuration.",
    "provision": "Create what a cluster lacks. Meant when no command is named.",
    "plan": "Show what provisioning, or another verb, would do. Changes nothing.",
    "apply": "Do what was planned, if that is still the plan.",
    "status": "Show the cluster's machines as they are.",
    "why": "Say why a machine is not further, and what helps.",
    "logs": "Print the end of a machine's journal.",
    "ssh": "Log in on a machine, whose host key is known beforehand.",
    "exec": "Run a program on a machine, and print what it writes.",
    "support-bundle": "Write what helps to see what is wrong, without secrets.",
    "kubeconfig": "Print access to a cluster, or put it into kubectl's file.",
    "certificates": "Show when certificates end, or renew them.",
    "encryption": "Show the key of Secrets at rest, or rotate it.",
    "backup": "Write a cluster into one encrypted file, or try one.",
    "upgrade": "Bring a cluster to another version of Kubernetes, node by node.",
    "replace": "Make machines of a cluster anew, turn by turn.",
    "restore": "Make a lost cluster anew from a backup.",
    "destroy": "Delete a cluster, or some of its machines.",
    "history": "Show who has changed what of a cluster, and how that ended.",
    "state": "List, fetch, bring or verify a cluster's folder in a store.",
    "bake": "Make the templates that machines start from.",
    "render": "Write every machine's boot files to a folder.",
    "validate": "Check a configuration without asking any server.",
    "plugins": "List the installed plugins, check one, or write a new one.",
    "schema": "Print the configuration's JSON Schema, for editors.",
}

EXIT_CODES = """\b
Exit codes:
  0    done
  1    a bug, with its traceback
  2    bad input; nothing was touched
  3    trouble with the target, discovery or the network
  4    partly done: the report says what failed; run it again
  130  interrupted; run it again
"""


def _remember_debug(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    ctx.meta[DEBUG] = wanted


debug = click.Option(
    ["--debug"],
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_remember_debug,
    help="Show a traceback for expected errors too.",
)


class Subcommand(click.Command):
    """Every command says what exit codes mean, and takes `--debug`, after all that it takes itself."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.epilog = EXIT_CODES
        self.params.append(debug)


class Subgroup(Subcommand, click.Group):
    """A command with further ones below it."""

    command_class = Subcommand


def subcommand(name: str, cls: type[Subcommand] = Subcommand) -> Callable[[Callable[..., Any]], Subcommand]:
    """Make a function the command of this name."""
    return click.command(name, cls=cls, short_help=SUMMARIES[name])


class Program(click.Group):
    """A group whose default command may be left out, and whose options may stand before the command's name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(SUMMARIES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return _load(cmd_name) if cmd_name in SUMMARIES else None

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, self._command_first(ctx, args))

    def invoke(self, ctx: click.Context) -> object:
        """The one place that catches expected errors."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            raise click.Abort from interrupt
        except KubeProvisionError as error:
            if ctx.meta.get(DEBUG):
                import traceback

                traceback.print_exc()
            complain(str(error))
            return error.exit_code

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        return super().shell_complete(ctx, incomplete) + _load(DEFAULT).shell_complete(ctx, incomplete)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(SUMMARIES.items()))
        with formatter.section("Options, where no command is named"):
            params = [*_load(DEFAULT).params, *self.get_params(ctx)]
            formatter.write_dl([record for param in params if (record := param.get_help_record(ctx))])

    def _command_first(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Bring the command's name to the front, or put the default one there."""
        own = {name for param in self.get_params(ctx) for name in param.opts}
        if not args or args[0] in SUMMARIES or args[0] in own:
            return args
        parser = _load(DEFAULT).make_parser(ctx)
        parser.allow_interspersed_args = False
        try:
            rest = parser.parse_args(list(args))[1]
        except click.UsageError:
            rest = []  # the default command will say it better
        options = args[: len(args) - len(rest)]
        ctx.meta[UNNAMED] = not rest
        return [*(rest[:1] or [DEFAULT]), *options, *rest[1:]]


class Default(Subcommand):
    """The command that is meant when none is named. While a line is completed, another name may still follow its options."""

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        names = SUMMARIES.items() if ctx.meta.get(UNNAMED) else ()
        found = [CompletionItem(name, help=summary) for name, summary in names if name.startswith(incomplete)]
        return found + super().shell_complete(ctx, incomplete)


def _load(name: str) -> click.Command:
    command = import_module(f"{__package__}.commands.{name.replace('-', '_')}").command
    assert isinstance(command, click.Command)
    return command


@click.group(
    PROGRAM,
    cls=Program,
    no_args_is_help=True,
    subcommand_metavar="[COMMAND]",
    epilog=EXIT_CODES,
    context_settings={"help_option_names": ["--help", "-h"]},
)
@click.version_option(__version__, message="%(prog)s %(version)s")
def program() -> None:
    """Highly available kubeadm clusters on your own hypervisor.

    \b
    kube-provision --config config.yml --masters 3 --workers 3 --name prod
    """
