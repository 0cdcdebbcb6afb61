"""Consul discovery for kube-provision."""
