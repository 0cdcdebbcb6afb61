"""Debian for kube-provision, and what Debian's family has in common."""
