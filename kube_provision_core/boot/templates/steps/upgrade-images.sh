# Images of the installed kubeadm's version, so that nothing is fetched while the node takes no pods.
version=$(kubeadm version --output short)
options=(--kubernetes-version "$version"{% if image_repository %} --image-repository {{ image_repository | shell }}{% endif %})
wanted=$(kubeadm config images list "${options[@]}"{% if not master %} | grep --extended-regexp '/(kube-proxy|pause):'{% endif %})
find_lacking() {
  local present
  present=$(ctr --namespace k8s.io images list --quiet)
  mapfile -t lacking < <(grep --fixed-strings --line-regexp --invert-match --file=<(echo "$present") <<<"$wanted")
}

find_lacking
{% if source %}
if [ "${#lacking[@]}" -gt 0 ]; then
  missing=(k8s.io)
{% filter indent(2, first=true) %}
{% include "steps/import-archives.sh" %}
{% endfilter %}
  find_lacking
fi
if [ "${#lacking[@]}" -gt 0 ]; then
  echo "image_archives lacks ${lacking[*]}: pulling" >&2
fi
{% endif %}
{% if master %}
if [ "${#lacking[@]}" -gt 0 ]; then
  kubeadm config images pull "${options[@]}"
fi
{% else %}
for image in "${lacking[@]}"; do
  crictl --runtime-endpoint unix:///run/containerd/containerd.sock pull "$image"
done
{% endif %}
