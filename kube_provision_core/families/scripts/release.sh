# shellcheck source=/dev/null
. /etc/os-release
for release in "${releases[@]}"; do
  case "$ID:$VERSION_ID" in
    "${system[0]}:$release" | "${system[0]}:$release".*) exit 0 ;;
  esac
done
echo "the template runs $PRETTY_NAME, not ${system[0]} ${releases[*]}: choose another template, or another os" >&2
exit 1
