# The new version's programs say themselves what they do not take (any more), while the old ones run on.
version=$(kubeadm version --output short)
options=(--kubernetes-version "$version"{% if image_repository %} --image-repository {{ image_repository | shell }}{% endif %})
images=$(kubeadm config images list "${options[@]}")
opened=/run/kube-provision/programs
refused=0

close_images() {
  local root
  for root in "$opened"/*/; do
    if [ -d "$root" ]; then
      ctr --namespace k8s.io images unmount --rm "${root%/}" >/dev/null
      rmdir "$root"
    fi
  done
}

takes() { # PROGRAM ARGUMENT NAME CONFIG_MAP
  local root=$opened/$1 said
  if [ ! -d "$root" ]; then
    mkdir --parents "$root"
    ctr --namespace k8s.io images mount "$(grep "/$1:" <<<"$images")" "$root" >/dev/null
  fi
  if ! said=$(timeout 60 chroot "$root" "$1" "$2" --version 2>&1); then
    said=$(grep --max-count 1 --extended-regexp '^(Error|flag)|err=' <<<"$said" || head --lines 1 <<<"$said")
    echo "$version does not take $3 (${said##*err=}): take it out of the ConfigMap $4 in kube-system" >&2
    refused=1
  fi
}

close_images
trap close_images EXIT
{% for setting in settings %}
takes {{ setting.program }} {{ setting.argument | shell }} {{ setting.name | shell }} {{ setting.place }}
{% endfor %}
exit "$refused"
