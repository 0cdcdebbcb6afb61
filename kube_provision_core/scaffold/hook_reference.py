"""`python -m kube_provision_core.scaffold.hook_reference > docs/hooks.md`: the page of all hooks."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from textwrap import dedent
from types import ModuleType
from typing import Any, get_args

from ..contract import boot, components, errors, hookspecs, local_paths, machines, packages, status, templates
from ..datasources import nocloud, vmware
from ..families import package_set, package_system
from ..families.apt import archive
from ..families.apt import system as apt
from ..families.dnf import package_sets
from ..families.dnf import system as dnf

INTRODUCTION = """\
# Hooks

<!-- Made by `python -m kube_provision_core.scaffold.hook_reference > docs/hooks.md`: edit the modules that it reads. -->

What kube-provision asks of its plugins, in the order in which a run asks. A plugin answers the hooks of its kind: it marks
a method of its class, named like the hook, with `@hookimpl`, and leaves the others out. What no plugin answers, the command
that needs it says in one line before anything is touched. An implementation may take fewer arguments than are listed here;
that is how a hook grows. Hooks that stop at the first result go on where the answer is `None`. All of them may be called
from several threads at once.

Every answer, and what a wrapper returns, is held to the types on this page: another one ends the command with a line that
names plugin, hook and value. A wrapper is given all answers, or the first where the hook stops there, and returns the like.

This is version {version} of the contract. A driver class may say so (`api_version = {version}`); one that says another
number is refused with a sentence.

## A driver's class

An entry point names it. `kube_provision_core` exports what it is made of.

It may inherit `TargetDriver`, `OsDriver`, `DiscoveryDriver` or `Extension`: `mypy --strict` then holds it to the contract.
Whoever inherits takes all arguments of a hook, and gives a wrapper a name of its own, with `specname`.

- `Config`: a subclass of `DriverConfig`. Its fields are the keys that users may write, each declared by `option`. It is
  `DriverConfig` itself where there are none.
- `api_version`: the version of the contract that it is written for.
- `__init__(config)`: `config` is a `Mapping[Role, Config]` with an entry for every role; they differ only in keys that are
  `per_role`. No input or output. A pool of workers is a role of its own, whose `kind` is `Role.WORKER`.
- `parallel` (targets): how many machines are created at once unless `--parallel` says so.
- `address_timeout`, `boot_timeout` (targets, if they like): seconds in which a machine gets its address, finishes its boot.
- `node_network` (targets, if they like): the `IPv4Network` of all its machines, where the target itself decides on one.
- `shares_kernel` (targets, if they like): `True` where machines run on the kernel of their host, as containers do. What
  belongs to that is the host's to set then; see `Cluster`.
- `failure_domains` (targets, if they like): sequences of `FailureDomain`, by `Role`. Each machine that is made is given the
  one in which the fewest of its role stand, as `Node.failure_domain`; plans show it, and its labels become the node's.
  `list_vms` tells by `Vm.failure_domain` where a machine stands. No input or output.
- `node_interfaces` (targets, if they like): what the interface is called whose address is the node's, by `Role`, where
  machines have several. Discovery finds it in `Node.interface`. No input or output.
- `fixed_addresses` (targets, if they like): the IPv4 addresses with which machines are made, as `str` in the order of their
  indices, by `Role`, where the configuration says them. `Cluster.fixed_addresses` has them by name. No input or output.
- `suggested_sizes` (targets, if they like): what `init` suggests in place of the core's defaults: a mapping of `count`,
  `cpu` and `mem`, by `Role`.
- `address` (discovery): the address of an existing service, from the configuration, as a `str`. None: kube-provision first
  makes a machine of the role `discovery`. No input or output.
- `machines` (discovery, if it likes): how many such machines, an `int`. 0: none, because the masters are the service.
- `by_majority` (discovery, if it likes): `True` where more than half of masters that are the service must be there for it.
- `port` (discovery, if it likes): the service's TCP port; `status` tells where this host reaches it.

Types of keys are pydantic's, and two for what lies on the operator's machine:

| type | meaning |
|---|---|
{types}
"""

_WIDTH = 100
HOOK_MARK = f"{hookspecs.PROJECT}_spec"


def documentation() -> str:
    types = "\n".join(f"| `{name}` | {text} |" for name, _, text in _constants(local_paths) if name.startswith("Local"))
    introduction = INTRODUCTION.format(version=hookspecs.API_VERSION, types=types)
    parts = [introduction, *_hooks(), *_values(), *_families(), *_places(), *_errors()]
    return "\n".join(parts)


def hooks() -> dict[str, Callable[..., Any]]:
    """Every hook's specification, by name, in the order of the source."""
    return {name: spec for name, spec in vars(hookspecs).items() if hasattr(spec, HOOK_MARK)}


def undocumented() -> list[str]:
    """Hooks without a docstring."""
    return [name for name, spec in hooks().items() if not (inspect.getdoc(spec) or "").strip()]


# --- hooks ----------------------------------------------------------------------------------------------------------


def _hooks() -> Iterator[str]:
    sections = _sections()
    for name, spec in hooks().items():
        line = inspect.getsourcelines(spec)[1]
        due = [start for start in sections if start < line]
        for start in due:
            yield f"## {sections.pop(start)}\n"
        yield _hook(name, spec)


def _sections() -> dict[int, str]:
    """Headings of the source, by line: `# --- the headline ---`."""
    lines = enumerate(inspect.getsource(hookspecs).splitlines(), start=1)
    found = ((number, re.match(r"# --- (.+?) -*$", line)) for number, line in lines)
    return {number: match[1][0].upper() + match[1][1:] for number, match in found if match}


def _hook(name: str, spec: Callable[..., Any]) -> str:
    how = "Stops at the first result." if getattr(spec, HOOK_MARK)["firstresult"] else "All results count."
    return f"### `{name}`\n\n```python\n{_signature(name, spec)}\n```\n\n{inspect.getdoc(spec)}\n\n{how}\n"


def _signature(name: str, spec: Callable[..., Any]) -> str:
    """On one line where it fits on one."""
    signature = inspect.signature(spec)
    line = f"def {name}{signature}".replace("'", "")
    if len(line) <= _WIDTH:
        return line
    parameters = "".join(f"    {parameter},\n" for parameter in signature.parameters.values())
    return f"def {name}(\n{parameters}) -> {signature.return_annotation}".replace("'", "")


# --- values and errors ------------------------------------------------------------------------------------------------


def _values() -> Iterator[str]:
    yield "## Values\n\nFrozen; their `repr` hides secrets. Import them from `kube_provision_core`.\n"
    yield from _classes(machines, boot, components, packages, status, templates, vmware, nocloud)


def _families() -> Iterator[str]:
    yield "## Families of operating systems\n\nWhat a driver's class subclasses; import it from `kube_provision_core`.\n"
    yield from _classes(package_system, apt, archive, dnf, package_set, package_sets)


def _classes(*modules: ModuleType) -> Iterator[str]:
    for module in modules:
        for node in _body(module):
            if isinstance(node, ast.ClassDef):
                yield "\n".join([f"### `{node.name}`\n", *_paragraph(ast.get_docstring(node)), *_fields(node, module), ""])


def _places() -> Iterator[str]:
    yield "## Places on a machine\n\n| name | path | meaning |\n|---|---|---|"
    for module in (boot, templates):
        for name, value, text in _constants(module):
            if str(value).startswith("/"):
                yield f"| `{name}` | `{value}` | {text} |"
    yield ""


def _constants(module: ModuleType) -> Iterator[tuple[str, object, str]]:
    """Name, value and meaning of what a module assigns and explains."""
    for item, after in pairwise(_body(module)):
        if isinstance(item, ast.Assign) and (text := _one_line(_text(after))):
            name = ast.unparse(item.targets[0])
            yield name, getattr(module, name), text


def _fields(node: ast.ClassDef, module: ModuleType) -> Iterator[str]:
    documented = list(zip(node.body, [*node.body[1:], None], strict=True))
    if [ast.unparse(base) for base in node.bases] == ["StrEnum"]:
        members = [_member(item, after) for item, after in documented if isinstance(item, ast.Assign)]
        yield from ("| member | value | meaning |", "|---|---|---|", *members)
    fields = [_field(item, after, module) for item, after in documented if isinstance(item, ast.AnnAssign)]
    if fields:
        yield from ("| field | type | default | meaning |", "|---|---|---|---|", *fields)


def _member(item: ast.Assign, after: ast.stmt | None) -> str:
    return f"| `{ast.unparse(item.targets[0])}` | `{ast.literal_eval(item.value)}` | {_one_line(_text(after))} |"


def _field(item: ast.AnnAssign, after: ast.stmt | None, module: ModuleType) -> str:
    name, kind = ast.unparse(item.target), ast.unparse(item.annotation).replace("|", "\\|")
    ruled = getattr(module, kind, None)
    rules = [rule.words for rule in getattr(ruled, "__metadata__", ())]
    kind = get_args(ruled)[0].__name__ if rules else kind
    default = _octal(item.value) if name == "mode" else _default(item.value)
    meaning = " ".join(filter(None, [_one_line(_text(after)), *(f"It must be {words}." for words in rules)]))
    return f"| `{name}` | `{kind}` | {default} | {meaning} |"


def _octal(value: ast.expr | None) -> str:
    """Permissions as people know them; the parser keeps a number's value alone."""
    return f"`0o{value.value:o}`" if isinstance(value, ast.Constant) and isinstance(value.value, int) else _default(value)


def _default(value: ast.expr | None) -> str:
    """As its author would write it; what a factory makes is empty."""
    if isinstance(value, ast.Call) and ast.unparse(value.func) == "field":
        arguments = {keyword.arg: keyword.value for keyword in value.keywords}
        if "default" in arguments:
            return _default(arguments["default"])
        return "empty" if "default_factory" in arguments else "**required**"
    return f"`{ast.unparse(value)}`" if value else "**required**"


def _errors() -> Iterator[str]:
    yield "## Errors\n\nRaise one for what may be expected to go wrong; its text is the line that the user reads.\n"
    yield "| error | exit code | retryable | meaning |\n|---|---|---|---|"
    for error in vars(errors).values():
        if isinstance(error, type) and issubclass(error, errors.KubeProvisionError):
            again = "yes" if error.retryable else "no"
            yield f"| `{error.__name__}` | {error.exit_code} | {again} | {_one_line(inspect.getdoc(error) or '')} |"
    yield ""


def _body(module: ModuleType) -> list[ast.stmt]:
    return ast.parse(inspect.getsource(module)).body


def _text(statement: ast.stmt | None) -> str:
    """A string that stands below a field says what the field means."""
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return dedent(str(statement.value.value))
    return ""


def _paragraph(text: str | None) -> Iterator[str]:
    if text:
        yield f"{text}\n"


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(documentation())
