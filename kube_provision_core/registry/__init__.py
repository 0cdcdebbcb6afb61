"""Stevedore chooses the drivers that the configuration names; pluggy calls them. What is not chosen is not imported."""

from .calling import answers, connect, construct, get, replace, require
from .choosing import KINDS, InstalledPlugin, choose, find, installed, offers
from .drivers import ChosenDriver, FoundDriver

__all__ = [
    "KINDS",
    "ChosenDriver",
    "FoundDriver",
    "InstalledPlugin",
    "answers",
    "choose",
    "connect",
    "construct",
    "find",
    "get",
    "installed",
    "offers",
    "replace",
    "require",
]
