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

without() { # VALUE TEXT: nor as Go quotes it, once and in a log twice; a short one may stand in any word
  local value=$1 text=$2 quote='"' level
  for level in 0 1 2; do
    if [ "$level" -gt 0 ]; then
      text=${text//"$quote$value$quote"/"$quote...$quote"}
    fi
    if [ "${#value}" -ge 6 ]; then
      text=${text//"$value"/...}
    fi
    value=${value//"\\"/"\\\\"} value=${value//'"'/'\"'} value=${value//$'\n'/'\n'}
    [ "$level" -eq 0 ] || quote='\"'
  done
  printf '%s\n' "$text"
}

takes() { # PROGRAM ARGUMENT NAME PLACE
  local root=$opened/$1 said code=0
  if [ ! -d "$root" ]; then
    mkdir --parents "$root"
    ctr --namespace k8s.io images mount "$(grep "/$1:" <<<"$images")" "$root" >/dev/null
  fi
  said=$(timeout 60 chroot "$root" "$1" "$2" --version 2>&1) || code=$?
  if [ "$code" -ge 124 ]; then # timeout's own codes, chroot's, and those of who was killed
    echo "could not ask $1 of $version (exit code $code)" >&2
    refused=1
  elif [ "$code" -ne 0 ]; then
    said=$(grep --max-count 1 --extended-regexp '^(Error|flag|invalid)|err=' <<<"$said" || head --lines 1 <<<"$said")
    echo "$version does not take $3 ($(without "${2#*=}" "${said##*err=}")): take it out of $4" >&2
    refused=1
  fi
}

close_images
trap close_images EXIT
{% for setting in settings %}
takes {{ setting.program }} {{ setting.argument | shell }} {{ setting.name | shell }} {{ setting.place | shell }}
{% endfor %}
exit "$refused"
