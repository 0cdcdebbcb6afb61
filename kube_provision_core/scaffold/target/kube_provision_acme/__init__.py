"""Machines on acme for kube-provision."""
