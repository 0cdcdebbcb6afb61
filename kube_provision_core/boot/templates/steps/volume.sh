device={{ device | shell }} kind={{ kind }}
udevadm settle --timeout 60
if [ ! -b "$device" ]; then
  echo "volumes: there is no block device $device" >&2
  exit 1
fi
{% include "steps/format.sh" %}
systemctl daemon-reload
systemctl start {{ unit | shell }}
