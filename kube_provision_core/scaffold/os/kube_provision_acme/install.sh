# shellcheck shell=bash
# A step may be killed and run again: everything here may be done twice.
dnf --assumeyes install "${wanted[@]}"
systemctl mask --quiet nginx.service
if [ "${#services[@]}" -gt 0 ]; then
  systemctl enable --quiet "${services[@]}"
fi
