#!/bin/sh
# clean.sh FOLDER: removes the control groups of a host that has ended. In a mount namespace of its own.
set -eu
mount --make-rprivate /
mount -t cgroup2 cgroup2 /sys/fs/cgroup
group=/sys/fs/cgroup/kube-provision-tests/$(basename "$1")
[ ! -d "$group" ] || find "$group" -depth -type d -exec rmdir {} \;
