swapoff --all
# Every swap unit, whether from fstab or found on a disk, is started by this target.
systemctl --quiet mask swap.target
# Debian's zram-tools, where a template has them, swap by themselves.
systemctl --quiet disable zramswap.service 2>/dev/null || true
