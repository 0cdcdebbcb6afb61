"""What users of this extension may configure. Every key begins with its name, so that it clashes with nobody's."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from kube_provision_core import DriverConfig, option

Text = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x08\x0b-\x1f]*$", max_length=4096)]
Package = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+_-]*$")]


class AcmeConfig(DriverConfig):
    """Keys for acme."""

    acme_text: Text = option(
        "Welcome to {name}.", per_role=True, help="What people read who log in; {name} is the machine's."
    )
    acme_packages: tuple[Package, ...] = option(
        (), per_role=True, help="Packages more, in the operating system's own words."
    )
