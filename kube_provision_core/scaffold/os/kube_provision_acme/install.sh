# shellcheck shell=bash
# A step may be killed and run again: everything here may be done twice.
for unit in "${masked[@]}"; do
  systemctl mask --quiet "$unit"
done
if [ "${#wanted[@]}" -gt 0 ]; then
  dnf --assumeyes --disableexcludes=all "${options[@]}" install "${wanted[@]}"
fi
if [ "${#services[@]}" -gt 0 ]; then
  systemctl enable --quiet "${services[@]}"
fi
