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
