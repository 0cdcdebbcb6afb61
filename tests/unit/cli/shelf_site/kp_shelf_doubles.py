"""A target whose machines bake themselves into templates, as a distribution brings it."""

from __future__ import annotations

from typing import ClassVar

from doubles.templates import Shelf, ShelfTarget


class WithShelf(ShelfTarget):
    shared: ClassVar[Shelf] = Shelf()
    """What all runs of one test see."""

    def __init__(self, config) -> None:
        super().__init__(config, self.shared)
