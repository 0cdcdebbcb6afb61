#!/bin/bash
# etcdutl, as far as `snapshot restore` goes, with the options of the real one and no others.
set -euo pipefail
if [ "${1:-} ${2:-}" != "snapshot restore" ] || [ $# -lt 3 ]; then
  echo "Error: unknown command" >&2
  exit 1
fi
snapshot=$3
shift 3
options=() bump=0 compacted=false data=""
while [ $# -gt 0 ]; do
  case "$1" in
    --bump-revision) bump=$2; shift ;;
    --mark-compacted) compacted=true ;;
    --data-dir) data=$2; options+=("$1" "$2"); shift ;;
    --name | --initial-cluster | --initial-advertise-peer-urls) options+=("$1" "$2"); shift ;;
    *) echo "Error: unknown flag: $1" >&2; exit 1 ;;
  esac
  shift
done
if { [ "$bump" = 0 ] && [ "$compacted" = true ]; } || { [ "$bump" != 0 ] && [ "$compacted" = false ]; }; then
  echo "Error: --mark-compacted required if --bump-revision is set, and the other way round" >&2
  exit 1
fi
ETCDCTL_API=3 etcdctl snapshot restore "$snapshot" "${options[@]}"
if [ "$bump" != 0 ]; then
  "$(dirname "$(readlink -f "$0")")/revisions" "$data/member/snap/db" "$bump"
fi
