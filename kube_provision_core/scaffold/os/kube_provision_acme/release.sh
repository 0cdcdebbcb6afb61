# shellcheck shell=bash source=/dev/null
. /etc/os-release
if [ "$ID" != "$system" ]; then
  echo "the template runs $PRETTY_NAME, not $system: choose another template, or another os" >&2
  exit 1
fi
