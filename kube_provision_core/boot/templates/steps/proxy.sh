systemctl daemon-reload
systemctl start kube-provision-proxy.service kube-provision-follower.service
