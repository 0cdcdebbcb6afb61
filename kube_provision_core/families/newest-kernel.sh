# One that runs no other kernel than the newest which is installed; a container has none of its own.
shopt -s nullglob
newest=$(printf '%s\n' /boot/vmlinuz-* | sed --quiet 's,.*/vmlinuz-,,p' | sort --version-sort | tail --lines 1)
if [ -n "$newest" ] && [ "$newest" != "$(uname --kernel-release)" ]; then
  touch /run/reboot-required
fi
