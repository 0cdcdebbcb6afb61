# What the cluster is configured with, in the eyes of the new kubeadm: it refuses what it does not know (any more).
configured() {
  kubectl --kubeconfig /etc/kubernetes/admin.conf --namespace kube-system get configmap "$1" --output "jsonpath={.data.$2}"
}

cluster=$(configured kubeadm-config ClusterConfiguration)
kubelets=$(configured kubelet-config kubelet)
kubeadm config validate --config /dev/stdin <<<"$cluster"$'\n---\n'"$kubelets"
