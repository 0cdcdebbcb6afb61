"""Discovery drivers with one planted bug each, on both sides."""

from .sound import FIXTURES, Sound, Suite

__all__ = ["FIXTURES", "Sound", "Suite"]
