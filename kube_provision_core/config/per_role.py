"""What is known for each role."""

from __future__ import annotations

from typing import TypeVar

from ..contract.machines import Role

Value = TypeVar("Value")


class PerRole(dict[Role, Value]):
    """A pool that is not among them, as its machines may outlive its section, has what workers have."""

    def __missing__(self, role: Role) -> Value:
        if role.is_pool:
            return self[Role.WORKER]
        raise KeyError(role)
