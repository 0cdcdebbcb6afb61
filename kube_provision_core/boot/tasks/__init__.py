"""What a machine that lives is given to do: made as boots are, sealed for one machine, and answered."""

from .answers import Answer, read_answer
from .asking import asking, room_in
from .sealing import Sealed, seal
from .task import Task, make

__all__ = ["Answer", "Sealed", "Task", "asking", "make", "read_answer", "room_in", "seal"]
