"""Ubuntu for kube-provision."""
