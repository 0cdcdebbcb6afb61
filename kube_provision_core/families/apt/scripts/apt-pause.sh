# Their locks would be in the way of ours, and a reboot in the middle of everything. A template may do without them.
for timer in apt-daily.timer apt-daily-upgrade.timer; do
  if systemctl is-active --quiet "$timer"; then
    systemctl stop "$timer"
  fi
done
