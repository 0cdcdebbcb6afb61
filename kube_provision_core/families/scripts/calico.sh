# Calico must filter packets with what kube-proxy leads them on with, or pods reach no service; its manifest says iptables. Both are
# looked up in the cluster: another master may have initialised it, and somebody may have configured Calico himself.
kube() {
  kubectl --kubeconfig /etc/kubernetes/admin.conf --request-timeout 20s --namespace kube-system "$@"
}

mode=$(kube get configmap kube-proxy --ignore-not-found --output 'jsonpath={.data.config\.conf}' | sed --quiet 's/^mode: *//p')
variables=$(kube get daemonset calico-node --ignore-not-found \
  --output 'jsonpath={.spec.template.spec.containers[?(@.name=="calico-node")].env[*].name}')
case "$mode $variables " in
  'nftables  ' | *' FELIX_NFTABLESMODE '*) ;;
  'nftables '*) kube set env daemonset/calico-node --containers=calico-node FELIX_NFTABLESMODE=Enabled ;;
esac
