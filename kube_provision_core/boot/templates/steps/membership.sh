cd {{ NODE_DIR }} && exec python3 -m kube_provision_node.{{ program }} join
