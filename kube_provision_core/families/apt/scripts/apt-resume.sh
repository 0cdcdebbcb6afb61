for timer in apt-daily.timer apt-daily-upgrade.timer; do
  if systemctl is-enabled --quiet "$timer"; then
    systemctl start "$timer"
  fi
done
