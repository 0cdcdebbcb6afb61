#!/bin/sh
# clean.sh FOLDER: waits until the last process of a host that was ended is gone, and removes its control groups.
# In a mount namespace of its own.
set -eu
mount --make-rprivate /
mount -t cgroup2 cgroup2 /sys/fs/cgroup
group=/sys/fs/cgroup/kube-provision-tests/$(basename "$1")
for _ in $(seq 100); do
  [ -d "$group" ] || exit 0
  find "$group" -depth -type d -exec rmdir {} \; 2>/dev/null || true
  [ ! -d "$group" ] || sleep 0.05
done
