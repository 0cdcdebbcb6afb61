"""Debian for kube-provision."""
