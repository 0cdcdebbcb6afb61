# shellcheck shell=bash source=/dev/null
. /etc/os-release
for release in "${releases[@]}"; do
  if [ "$ID:$VERSION_ID" = "${system[0]}:$release" ]; then
    exit 0
  fi
done
echo "the template runs $PRETTY_NAME, not ${system[0]} ${releases[*]}: choose another template, or another os" >&2
exit 1
