"""What runs on a node, under its system's own Python: standard library only, Python 3.9.

It is delivered to /usr/local/lib/kube-provision/kube_provision_node, and its programs are started from the folder above:
`python3 -m kube_provision_node.runner`. Beside it lies `discovery`, the discovery driver's; see `client`.
"""
