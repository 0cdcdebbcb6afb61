#!/bin/sh
# launch.sh FOLDER LOWER NAME: boots one host, again and again as long as it reboots itself. Everything it starts ends with it,
# since it is the first process of a process namespace. Its network namespace is the host's.
set -eu
folder=$1 lower=$2 name=$3
mount --make-rprivate /
# What nspawn keeps by the name of a machine: hosts of one name, of tests that run side by side, must not meet there.
mkdir -p /run/systemd/nspawn
mount -t tmpfs tmpfs /run/systemd/nspawn
# All hosts speak cgroup v2, also where the machine itself is of the old kind.
mount -t cgroup2 cgroup2 /sys/fs/cgroup
group=/sys/fs/cgroup/kube-provision-tests/$(basename "$folder")
mkdir -p "$group"
echo 0 >"$group/cgroup.procs"
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$folder/disk/upper,workdir=$folder/disk/work" "$folder/root"
export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 SYSTEMD_NSPAWN_API_VFS_WRITABLE=network
# Containers: an overlay cannot lie on an overlay, the kubelet shares what it mounts, and runc needs keys and bpf.
while :; do
  code=0
  systemd-nspawn --quiet --boot --keep-unit --register=no --machine="$name" --directory="$folder/root" \
    --network-namespace-path=/proc/1/ns/net --capability=CAP_NET_ADMIN --system-call-filter='@keyring bpf' --console=pipe --resolv-conf=off --timezone=off --link-journal=no \
    --bind="$folder/disk/containerd:/var/lib/containerd" --bind="$folder/disk/kubelet:/var/lib/kubelet" \
    --bind-ro="$folder/seed:/media/seed" --bind="$folder/channel:/media/channel" || code=$?
  # What nspawn says of a host that reboots and has no unit to do so for it.
  [ "$code" -eq 133 ] || exit "$code"
done
