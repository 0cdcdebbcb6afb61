"""Target drivers with one planted bug each: what a new author gets wrong, by topic as the suite's checks are."""

from .sound import FIXTURES, Sound, Suite

__all__ = ["FIXTURES", "Sound", "Suite"]
