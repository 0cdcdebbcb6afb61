# What a template brings is not imported again, nor asked for: {{ IMPORTED }} says where from and where to.
namespaces=({{ namespaces | join(" ") }})
missing=()
for namespace in "${namespaces[@]}"; do
  if ! grep --fixed-strings --line-regexp --quiet --no-messages "$namespace "{{ source | shell }} {{ IMPORTED }}; then
    missing+=("$namespace")
  fi
done
if [ "${#missing[@]}" -eq 0 ]; then
  exit 0
fi
{% if source.startswith("/") %}
folder={{ source | shell }}
if [ ! -d "$folder" ]; then
  echo "image_archives: the template has no folder $folder" >&2
  exit 1
fi
{% else %}
folder=$(mktemp --directory --tmpdir=/var/tmp)
trap 'rm --recursive --force "$folder"' EXIT
curl --fail --silent --show-error --location --retry 5 --output "$folder/images.tar" {{ source | shell }}
{% endif %}
for archive in "$folder"/*.tar*; do
  [ -e "$archive" ] || continue
  for namespace in "${missing[@]}"; do
    ctr --namespace "$namespace" images import "$archive"
  done
done
