"""The extension `acme` for kube-provision."""
