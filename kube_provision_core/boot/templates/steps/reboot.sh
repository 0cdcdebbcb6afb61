# No boot leaves that file there: the step is done once the machine has come back.
if [ -e {{ required }} ]; then
  echo "now: reboots"
  sync
  systemctl reboot
  sleep 600
  echo "the machine does not reboot: 600 s after systemd was told to it runs still" >&2
  exit 1
fi
