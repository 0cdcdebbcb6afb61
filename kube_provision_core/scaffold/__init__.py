"""Makes the package of a new plugin: a whole one that works and passes its contract suite from the first minute.

The folders beside this module are such packages under the name `acme`; making one is copying it and changing the name.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator
from importlib import metadata, resources
from importlib.resources.abc import Traversable
from importlib.util import find_spec
from pathlib import Path

from ..config.vocabulary import compose
from ..contract.errors import ConfigError
from ..registry import installed

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST_NAME = 40
_OURS = ("core",)
"""Its package would take the place of ours."""
_LEFT_OUT = ("__pycache__",)
_HIDDEN = re.compile(r"^(?=git)")
"""What begins so is hidden where it is written; here it would tell git what to ignore."""
_ACME = re.compile(r"(?P<joined>(?<=_)acme|acme(?=_))|(?P<class>Acme)|acme")


def default_folder(name: str) -> Path:
    return Path(f"kube-provision-{name}")


def create(kind: str, name: str, folder: Path, family: str = "") -> tuple[Path, ...]:
    """Write the package of a plugin called `name` to `folder`, which must not exist; the paths of its files, in it.

    An operating system may be of a family, `apt` or `dnf`. Raises `ConfigError` for a name that cannot be one, or that an
    installed plugin bears, for a family of something else, and for a folder that is there.
    """
    _check_name(kind, name)
    if family and kind != "os":
        raise ConfigError(f"--family is of operating systems; a {kind} has none")
    model = f"{kind}_{family}" if family else kind
    files = {_rename(path, name): _rename(text, name) for path, text in _templates(model)}
    try:
        folder.mkdir(parents=True)
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, "utf-8")
    except FileExistsError as error:
        raise ConfigError(f"{folder} exists already; it is left as it is: choose another --directory") from error
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written: {error.strerror}") from error
    return tuple(Path(path) for path in sorted(files))


def _check_name(kind: str, name: str) -> None:
    if keyword.iskeyword(name):
        raise ConfigError(f"{name!r} cannot be a plugin's name: it is a word of Python's; choose another name")
    if not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
        raise ConfigError(
            f"{name!r} cannot be a plugin's name: lower-case letters and digits, joined by hyphens, at most {_LONGEST_NAME}"
        )
    bearers = [plugin.distribution for plugin in installed() if (plugin.kind, plugin.name) == (kind, name)]
    if bearers:
        raise ConfigError(f"the {kind} driver {name!r} is already offered by {bearers[0]}; choose another name")
    if fault := _standing_in_the_way(name):
        raise ConfigError(f"{fault}; choose another name")
    taken = name in _OURS or (kind in ("discovery", "extension") and name in compose([]).names)
    if taken:
        raise ConfigError(f"{name!r} has a meaning of its own in kube-provision; choose another name")


def _standing_in_the_way(name: str) -> str:
    """What an installation of the new package would replace; empty where nothing is."""
    distribution, package = str(default_folder(name)), _rename("kube_provision_acme", name)
    try:
        metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        pass
    else:
        return f"{name!r} would make another {distribution}, which is installed already"
    if name not in _OURS and find_spec(package):
        return f"{name!r} would make another package {package}, which is installed already"
    return ""


def _templates(model: str) -> Iterator[tuple[str, str]]:
    """Path and text of every file of the package that is copied, and of what every package has."""
    folder = resources.files(__package__)
    yield from _files(folder / model, "")
    yield from ((_HIDDEN.sub(".", path), text) for path, text in _files(folder / "every", ""))


def _files(folder: Traversable, path: str) -> Iterator[tuple[str, str]]:
    for item in folder.iterdir():
        if item.is_dir() and item.name not in _LEFT_OUT:
            yield from _files(item, f"{path}{item.name}/")
        elif item.is_file():
            yield f"{path}{item.name}", item.read_text("utf-8")


def _rename(text: str, name: str) -> str:
    """`acme` as an identifier, as the name of a class, and as the user writes it."""
    identifier = name.replace("-", "_")
    as_class = "".join(part.capitalize() for part in name.split("-"))
    return _ACME.sub(lambda found: identifier if found["joined"] else as_class if found["class"] else name, text)
