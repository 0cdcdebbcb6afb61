# Their locks would be in the way of ours, and a reboot in the middle of everything.
systemctl stop apt-daily.timer apt-daily-upgrade.timer
