"""Records a run, and writes its page once it has ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..ending import ending
from . import file
from .recorder import Recorder

Lost = Callable[[OSError], None]


@contextmanager
def recorded(cluster: str, path: Path, lost: Lost) -> Iterator[Recorder]:
    """Write the page when the context ends, however it does. `lost` is called where that cannot be done any more."""
    recorder, error = Recorder(cluster), None
    try:
        yield recorder
    except BaseException as problem:
        error = problem
        raise
    finally:
        recorder.ended = time.monotonic()
        try:
            from .rendering import page  # jinja2, for who wants a page

            file.write(path, page(recorder, ending(recorder.report, error, recorder.returned)))
        except OSError as problem:
            lost(problem)
