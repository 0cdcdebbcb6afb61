# Kubernetes' own images, where they have not come from an archive.
version=$(kubeadm version --output short)
options=(--kubernetes-version "$version"{% if image_repository %} --image-repository {{ image_repository | shell }}{% endif %})
present=$(ctr --namespace k8s.io images list --quiet)
missing=()
for image in $(kubeadm config images list "${options[@]}"); do
  if ! grep --fixed-strings --line-regexp --quiet "$image" <<<"$present"; then
    missing+=("$image")
  fi
done
if [ "${#missing[@]}" -gt 0 ]; then
{% if archives %}
  echo "image_archives lacks ${missing[*]}: pulling" >&2
{% endif %}
  kubeadm config images pull "${options[@]}"
fi
