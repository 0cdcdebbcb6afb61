"""VMware vSphere target for kube-provision."""
