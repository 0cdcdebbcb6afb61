# disk.sh SIZE: makes the file system of rootfs.tar's content, as root of a user namespace, in the working folder.
set -eu
mkdir root
trap 'rm -rf root' EXIT
# Device nodes cannot be made here, and need not: the kernel makes its own.
tar --extract --numeric-owner --xattrs --xattrs-include='*' --exclude='./dev/*' --file rootfs.tar --directory root
cp root/boot/vmlinuz-* vmlinuz
cp root/boot/initrd.img-* initrd
mke2fs -q -t ext4 -L root -E root_owner=0:0,lazy_itable_init=1,lazy_journal_init=1 -d root disk.raw "$1"
chmod 0644 vmlinuz initrd disk.raw
