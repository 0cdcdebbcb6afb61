# The runtime must not remove the image that kubeadm's kubelet starts pods with.
kubeadm_version=$(kubeadm version --output short)
pause=$(kubeadm config images list --kubernetes-version "$kubeadm_version"
{%- if image_repository %} --image-repository {{ image_repository | shell }}{% endif %} | grep /pause:)
sed --in-place "s|^  sandbox_image = .*|  sandbox_image = \"$pause\"|" /etc/containerd/config.toml
{% if logins %}
# containerd before 2.1 looks here for what it tells a registry's server for tokens.
sed --in-place '/^# Logins of registries/,$d' /etc/containerd/config.toml
case $(containerd --version | cut --delimiter=' ' --fields=3) in
  1.* | v1.* | 2.0.* | v2.0.*)
    chmod 0600 /etc/containerd/config.toml
    cat {{ logins }} >>/etc/containerd/config.toml
    ;;
esac
{% endif %}
systemctl daemon-reload
systemctl enable --quiet containerd.service
systemctl restart containerd.service
timeout 60 bash -c 'until ctr version >/dev/null 2>&1; do sleep 1; done'
