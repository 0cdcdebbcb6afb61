"""How software comes onto a machine."""

from __future__ import annotations

from dataclasses import dataclass

from .boot import File, Step


@dataclass(frozen=True, slots=True)
class Repository:
    """A mirror of a package repository."""

    url: str
    key: str = ""
    """The signing key: ASCII-armoured text or an https URL; empty means that the system's keys vouch for it."""


@dataclass(frozen=True, slots=True)
class Packages:
    """How one operating system installs what was asked for."""

    names: tuple[str, ...]
    """What is installed, with pins, in the operating system's own words: `kubeadm=1.37.1-*`."""
    files: tuple[File, ...] = ()
    """Repository definitions, keys, pins."""
    steps: tuple[Step, ...] = ()
    """Idempotent steps of the stages `prepare` and `install`; a baked template makes them cheap."""
    list_versions: str = ""
    """A shell command that prints name and version of what is installed of `names`, a line each; for a template's record."""
