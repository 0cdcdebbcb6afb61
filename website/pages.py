"""The site's pages are the project's own, as they lie in the repository: a link between them holds here and there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from website import public_api

ROOT = Path(__file__).parents[1]
PATTERNS = ("*.md", "docs/*.md", "plugins/*/README.md", "examples/*/README.md", "LICENSE")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """A hook of mkdocs."""
    for path in pages():
        files.append(File(str(path), str(ROOT), config.site_dir, config.use_directory_urls))
    files.append(File.generated(config, "docs/api.md", content=public_api.page()))
    return files


def pages() -> Iterator[Path]:
    """Relative to the repository."""
    for pattern in PATTERNS:
        yield from (path.relative_to(ROOT) for path in sorted(ROOT.glob(pattern)))
