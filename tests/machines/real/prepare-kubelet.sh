#!/bin/sh
# Before a host's kubelet starts: what hosts of tests may not set for the machine's kernel is shown as set.
set -eu
show() {
  if ! mountpoint --quiet "/proc/sys/$1"; then
    shown=/run/shown/$(echo "$1" | tr / .)
    mkdir -p /run/shown
    echo "$2" >"$shown"
    mount --bind "$shown" "/proc/sys/$1"
  fi
}
show vm/overcommit_memory 1
show vm/panic_on_oom 0
show kernel/panic 10
show kernel/panic_on_oops 1
show kernel/keys/root_maxkeys 1000000
show kernel/keys/root_maxbytes 25000000
[ -e /dev/kmsg ] || ln -s /dev/null /dev/kmsg
# What pods mount must be seen by the kubelet, and the other way round.
mount --make-rshared /
