"""A configuration that is begun: a text that `validate` takes, since it was tried as that is."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from ..config.commented import document, secrets, variable_of
from ..config.draft import Draft
from ..config.loading import load
from ..engine.session import open_session
from .render import preview

_STAND_IN = "stand-in"
"""For a secret that nobody has given yet, or that another place than this one will have."""


def configuration(draft: Draft, path: Path) -> str:
    """The text of a document that is to lie at `path`. Every machine's boot data is rendered from it; no server is asked.

    Raises `ConfigError` with every problem at its line, and `BootError`.
    """
    text = document(draft, makes_discovery=True)
    if not _try_out(draft, path, text):
        text = document(draft, makes_discovery=False)
        _try_out(draft, path, text)
    return text


def variables(draft: Draft) -> Collection[str]:
    """Those of secrets that the document names."""
    return [variable_of(key) for key in secrets(draft)]


def _try_out(draft: Draft, path: Path, text: str) -> bool:
    """Whether the cluster has a discovery machine of its own."""
    config = load([path], environ=_environ(draft), unwritten={path: text.encode()})
    with open_session(config, None) as session:
        for _ in preview(session):
            pass
        return bool(session.desired.discovery)


def _environ(draft: Draft) -> Mapping[str, str]:
    given = {name: it for name, it in draft.environ.items() if it}
    return {**dict.fromkeys(variables(draft), _STAND_IN), **given}
