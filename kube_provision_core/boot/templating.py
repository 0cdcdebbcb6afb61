"""Renders the files under `templates/`, which lie there under their real names."""

from __future__ import annotations

import json
import shlex
from collections.abc import Hashable
from functools import cache, lru_cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from ..contract.boot import DISCOVERY_CLIENT, NODE_CONFIG_DIR, NODE_DIR
from ..contract.templates import BAKED
from . import systemd

IMPORTED = "/var/lib/containerd/kube-provision-imported"
"""In a template: the archives that were imported into it, `namespace source` a line. Beside the images themselves, so that a
volume that is mounted over them hides it too."""


@lru_cache(maxsize=512)
def render(name: str, **values: Hashable) -> str:
    """One of our templates. What is equal for many nodes is rendered once; values hold no secrets."""
    return _environment().get_template(name).render(values)


def render_secret(name: str, **values: object) -> str:
    """The same for values that hold secrets, or are rarely equal: nothing is remembered."""
    return _environment().get_template(name).render(values)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("kube_provision_core.boot"),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - units and scripts are no HTML; `shell`, `toml` and `systemd` quote for who reads them
        comment_start_string="<#",  # the usual one is how shells count: ${#list[@]}
        comment_end_string="#>",
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "shell": shlex.quote,
        "toml": _toml,
        "systemd": systemd.quote,
        "specifiers": systemd.escape_specifiers,
    }
    environment.globals |= {
        "NODE_DIR": NODE_DIR,
        "NODE_CONFIG_DIR": NODE_CONFIG_DIR,
        "DISCOVERY_CLIENT": DISCOVERY_CLIENT,
        "BAKED": BAKED,
        "IMPORTED": IMPORTED,
    }
    return environment


def _toml(text: str) -> str:
    """A basic string of TOML, whose escapes are JSON's."""
    return json.dumps(text, ensure_ascii=False)
