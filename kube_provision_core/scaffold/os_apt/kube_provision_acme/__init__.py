"""The operating system acme for kube-provision."""
