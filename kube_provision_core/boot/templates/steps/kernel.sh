if [ "$(stat --file-system --format %T /sys/fs/cgroup)" != cgroup2fs ]; then
  echo "the kubelet needs cgroup v2: boot the template without systemd.unified_cgroup_hierarchy=0" >&2
  exit 1
fi
{% if dual_stack %}
if [ ! -e /proc/sys/net/ipv6/conf/all/forwarding ]; then
  echo "the cluster is dual-stack, and this machine's kernel has no IPv6: boot the template without ipv6.disable=1" >&2
  exit 1
fi
{% endif %}
{% if shared %}
missing=()
grep --quiet --word-regexp overlay /proc/filesystems || missing+=(overlay)
[ -e /proc/sys/net/bridge ] || missing+=(br_netfilter)
if [ "${#missing[@]}" -gt 0 ]; then
  echo "this machine shares the kernel of its host, which lacks modules: modprobe --all ${missing[*]} there" >&2
  exit 1
fi
{% else %}
modprobe --all {{ modules | join(' ') }}
{% endif %}
sysctl --quiet --load=/etc/sysctl.d/80-kube-provision.conf
