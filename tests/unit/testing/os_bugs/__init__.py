"""Operating-system drivers with one planted bug each, by topic as the suite's checks are."""

from .sound import FIXTURES, Sound, Suite

__all__ = ["FIXTURES", "Sound", "Suite"]
