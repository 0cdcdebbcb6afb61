# Runs in the tree of a new Debian: what a disk that is booted directly, by cloud-init, needs besides its packages.
set -eu
echo 'LABEL=root / ext4 rw,relatime 0 1' >/etc/fstab
echo 'datasource_list: [NoCloud, None]' >/etc/cloud/cloud.cfg.d/90-kube-provision-qemu.cfg
systemctl --quiet enable systemd-networkd.service systemd-resolved.service systemd-timesyncd.service

# The initial file system holds what finds the root disk, and nothing else: it is loaded before anything runs.
printf 'MODULES=list\n' >/etc/initramfs-tools/conf.d/kube-provision
printf '%s\n' virtio_pci virtio_mmio virtio_blk virtio_rng ext4 >>/etc/initramfs-tools/modules
update-initramfs -u

: >/etc/machine-id
rm -f /var/lib/dbus/machine-id /etc/ssh/ssh_host_* /etc/hostname
ln -sf ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf
rm -f /var/tmp/bake.sh /var/tmp/prepare.sh
