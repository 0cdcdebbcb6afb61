"""Stevedore chooses the drivers that the configuration names; pluggy calls them. What is not chosen is not imported."""

from .calling import answers, connect, construct, get, register, require
from .checked import Plugins
from .choosing import KINDS, InstalledPlugin, choose, installed, offers, own_names, suites
from .declared import declared, machines_of
from .drivers import ChosenDriver, FoundDriver
from .hooks import Hooks
from .installing import install

__all__ = [
    "KINDS",
    "ChosenDriver",
    "FoundDriver",
    "InstalledPlugin",
    "Hooks",
    "Plugins",
    "answers",
    "choose",
    "connect",
    "construct",
    "declared",
    "get",
    "install",
    "installed",
    "machines_of",
    "offers",
    "own_names",
    "register",
    "require",
    "suites",
]
