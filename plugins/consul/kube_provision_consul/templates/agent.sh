# Starts the Consul agent and waits until it knows a server that leads.
systemctl daemon-reload
systemctl disable --now consul.service 2>/dev/null || true
systemctl enable --now kube-provision-consul.service
python3 /usr/local/lib/kube-provision/consul_agent.py wait --limit 240
