"""Diagrams are drawn when the site is built: whoever reads it fetches no program for that, and a mistake fails the build."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import mermaidx


def drawn(source: str, language: str, css_class: str, options: dict[str, Any], md: Any, **kwargs: Any) -> str:
    """A fence of `pymdownx.superfences`. An image of its own, for the names in one drawing clash with those in another."""
    picture = b64encode(mermaidx.Diagram(source).svg().encode()).decode()
    return f'<img class="{css_class}" alt="{language}" src="data:image/svg+xml;base64,{picture}">'
