<# Every swap unit, whether from fstab or found on a disk, is started by the target; that of Debian's zram-tools is none. #>
swapoff --all
systemctl --quiet mask swap.target
systemctl --quiet disable zramswap.service 2>/dev/null || true
