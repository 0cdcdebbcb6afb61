swapoff --all
# Every swap unit, whether from fstab or found on a disk, is started by this target.
systemctl --quiet mask swap.target
