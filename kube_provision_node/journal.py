"""Messages for the journal. systemd takes the `<N>` at the start of a line for its priority."""

from __future__ import annotations

import logging
import sys

_PRIORITIES = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))


class _WithPriority(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        priority = next((number for level, number in _PRIORITIES if record.levelno >= level), 7)
        return "\n".join(f"<{priority}>{line}" for line in super().format(record).splitlines())


def log_to_journal() -> None:
    """Send everything that is logged to stdout, which systemd connects to the journal."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_WithPriority("%(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
