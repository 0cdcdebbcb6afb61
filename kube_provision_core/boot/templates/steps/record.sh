systemctl start kube-provision-record.timer
