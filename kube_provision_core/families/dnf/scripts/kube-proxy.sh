# kube-proxy has one mode in the whole cluster. The master that initialises the cluster sets it, and only such a master has the file.
configuration=/etc/kube-provision/kubeadm-init.yaml
# shellcheck source=/dev/null
. /etc/os-release
if [ "${VERSION_ID%%.*}" != 10 ] || [ ! -e "$configuration" ]; then
  exit 0
fi
if grep --quiet '^proxy:$' "$configuration"; then # there is to be none
  exit 0
fi
sed --in-place 's/^mode: iptables$/mode: nftables/' "$configuration"
if ! grep --quiet '^mode: nftables$' "$configuration"; then
  echo "$configuration says nothing of kube-proxy's mode, which must be nftables on $PRETTY_NAME" >&2
  exit 1
fi
