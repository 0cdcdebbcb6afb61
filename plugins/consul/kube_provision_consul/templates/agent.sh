# Starts the Consul agent and waits until it knows a server that leads.
systemctl daemon-reload
systemctl disable --now consul.service 2>/dev/null || true
systemctl enable --now kube-provision-consul.service
cd /usr/local/lib/kube-provision && exec python3 -m discovery.agent wait --limit 240
