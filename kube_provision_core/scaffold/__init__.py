"""Makes the package of a new plugin: a whole one that works and passes its contract suite from the first minute.

The folders beside this module are such packages under the name `acme`; making one is copying it and changing the name.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from ..config.vocabulary import compose
from ..errors import ConfigError
from ..plugins import installed

KINDS = ("target", "os", "discovery")

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST_NAME = 40
_OURS = ("core",)
"""Its package would take the place of ours."""
_LEFT_OUT = ("__pycache__",)
_ACME = re.compile(r"(?P<joined>(?<=_)acme|acme(?=_))|(?P<class>Acme)|acme")


def default_folder(name: str) -> Path:
    return Path(f"kube-provision-{name}")


def create(kind: str, name: str, folder: Path) -> tuple[Path, ...]:
    """Write the package of a plugin called `name` to `folder`, which must not exist; the paths of its files, in it.

    Raises `ConfigError` for a name that cannot be one, or that an installed plugin bears, and for a folder that is there.
    """
    _check_name(kind, name)
    files = {_rename(path, name): _rename(text, name) for path, text in _templates(kind)}
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
    if not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME or keyword.iskeyword(name):
        raise ConfigError(
            f"{name!r} cannot be a plugin's name: lower-case letters and digits, joined by hyphens, at most {_LONGEST_NAME}"
        )
    bearers = [plugin.distribution for plugin in installed() if (plugin.kind, plugin.name) == (kind, name)]
    if bearers:
        raise ConfigError(f"the {kind} driver {name!r} is already offered by {bearers[0]}; choose another name")
    taken = name in _OURS or (kind == "discovery" and name in compose([]).names)
    if taken:
        raise ConfigError(f"{name!r} has a meaning of its own in kube-provision; choose another name")


def _templates(kind: str) -> Iterator[tuple[str, str]]:
    """Path and text of every file of the package that is copied."""
    yield from _files(resources.files(__package__) / kind, "")


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
