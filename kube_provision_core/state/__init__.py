"""Clusters' folders of secrets in a store that many hands share: encrypted here, in numbers that are each written once."""

from .clusters import Entry, Fault, entries, prune, pull, push, rotate, verify
from .record import counted
from .sealed import SealedState
from .stores import url_of

__all__ = ["Entry", "Fault", "SealedState", "counted", "entries", "prune", "pull", "push", "rotate", "url_of", "verify"]
