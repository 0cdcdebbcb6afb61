"""Rocky Linux and AlmaLinux for kube-provision."""
