# shellcheck shell=bash
# A step may be killed and run again. The core reboots where the file is there; here that is up to dnf's own plugin.
dnf --assumeyes --refresh upgrade
if dnf needs-restarting --help >/dev/null 2>&1 && ! dnf needs-restarting --reboothint; then
  touch /run/reboot-required
fi
