"""Which release a stand-in is of: that of the package that brought its program, or of the image that its pod names."""

from __future__ import annotations

import os
from dataclasses import dataclass

VARIABLE = "STAND_IN_RELEASE"
COREDNS, PAUSE = "v1.14.2", "3.10.2"


def own() -> Release:
    """That of the program that runs."""
    return Release(os.environ[VARIABLE])


@dataclass(frozen=True)
class Release:
    """`v1.37.1`"""

    version: str

    def __str__(self) -> str:
        return self.version

    @property
    def bare(self) -> str:
        """As packages bear it."""
        return self.version.removeprefix("v")

    @property
    def numbers(self) -> tuple[int, int, int]:
        major, minor, patch = map(int, self.bare.split("."))
        return major, minor, patch

    @property
    def minor(self) -> int:
        return self.numbers[1]

    @property
    def etcd(self) -> str:
        """Each minor brings an etcd of its own."""
        return f"3.6.{self.minor - 29}-0"

    def images(self, repository: str) -> dict[str, str]:
        """What its kubeadm asks for, by name."""
        parts = ("apiserver", "controller-manager", "scheduler", "proxy")
        tags = {f"kube-{part}": self.version for part in parts}
        tags |= {"coredns/coredns": COREDNS, "pause": PAUSE, "etcd": self.etcd}
        return {name: f"{repository}/{name}:{tag}" for name, tag in tags.items()}
