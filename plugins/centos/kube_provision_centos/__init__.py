"""CentOS Stream for kube-provision."""
