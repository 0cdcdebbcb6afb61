"""VMware Fusion and Workstation target for kube-provision."""
