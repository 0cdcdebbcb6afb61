"""QEMU driver of kube-provision: machines on this very host, as an ordinary user."""
