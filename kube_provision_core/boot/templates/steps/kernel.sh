if [ "$(stat --file-system --format %T /sys/fs/cgroup)" != cgroup2fs ]; then
  echo "the kubelet needs cgroup v2: boot the template without systemd.unified_cgroup_hierarchy=0" >&2
  exit 1
fi
modprobe --all overlay br_netfilter
sysctl --quiet --load=/etc/sysctl.d/80-kube-provision.conf
