"""Debian's family: apt and dpkg."""
