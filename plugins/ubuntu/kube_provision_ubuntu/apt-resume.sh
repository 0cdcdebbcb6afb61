systemctl start apt-daily.timer apt-daily-upgrade.timer
