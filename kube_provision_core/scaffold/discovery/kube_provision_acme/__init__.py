"""Discovery by acme for kube-provision."""
