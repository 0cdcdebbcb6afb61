"""Discovery by the cluster's own API for kube-provision: the masters are the service."""
