# It knows of the file that the boot has brought only when it is told.
if systemctl is-active --quiet NetworkManager.service; then
  systemctl reload NetworkManager.service
fi
