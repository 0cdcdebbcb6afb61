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
{% include "steps/import-archives.sh" %}
