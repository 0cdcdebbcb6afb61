"""Families of operating systems: what an author of one more member need not write again.

`apt/` and `dnf/` hold a driver each that lacks nothing but a system's own names; a subclass says those.
"""
