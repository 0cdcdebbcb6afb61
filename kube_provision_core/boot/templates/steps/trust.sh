# A template's runtime may run already, with the authorities that it read when it started.
if systemctl is-active --quiet containerd.service; then
  systemctl restart containerd.service
fi
